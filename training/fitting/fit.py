"""The training loop: crops in, checkpoints out, resumable, and at home on one CPU thread."""

import csv
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.data.dataset import CropSettings, CropStream, fixed_crops
from training.evaluation.metrics import log_spectral_distance, si_sdr_db
from training.fitting import checkpoint
from training.fitting.losses import LossWeights, RestorationLoss
from training.nets.framing import TorchFraming
from training.nets.model import ModelConfig, Restorer, State

_ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}


@dataclass(frozen=True)
class FitSettings:
    """One training run.

    Attributes:
        pairs: folder with `train` and `valid` pairs.
        run: folder for checkpoint and log.
        minutes: training time in all, over all resumed parts; the learning rate falls to nearly nothing at its end.
        learning_rate: at its highest.
        warmup_steps: until the learning rate is there.
        threads: of the CPU.
        compile: fuse the net with `torch.compile`: half a minute at the start, then about a third faster.
        validate_minutes: between two validations.
        seed: of crops and carrier.
    """

    pairs: Path
    run: Path
    minutes: float
    learning_rate: float = 2e-3
    warmup_steps: int = 150
    threads: int = 1
    compile: bool = True
    validate_minutes: float = 10.0
    seed: int = 1
    crops: CropSettings = field(default_factory=CropSettings)
    weights: LossWeights = field(default_factory=LossWeights)


def restart_with_fast_allocator() -> None:
    """Start this process again with malloc settings that make CPU training three to five times faster (data.md).

    They are read before Python starts, so setting them here is too late for this process.
    """
    if sys.platform == "linux" and not _ALLOCATOR.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **_ALLOCATOR})  # noqa: S606


def restore_clip(
    net: nn.Module, framing: TorchFraming, damaged: Tensor, state: State, random: torch.Generator
) -> Tensor:
    """Run the net over whole clips; the result is aligned with them and lacks the last hop, which no frame completed.

    Shape:
        (batch, 2, samples) -> (batch, 2, samples - hop_length)
    """
    spectrum = framing.analyse(damaged)
    carrier = (torch.rand(spectrum.shape, generator=random) - 0.5) * 6**0.5
    restored, _ = net(spectrum, carrier, state)
    return framing.synthesise(restored)[..., framing.framing.hop_delay :]


class Fit:
    """A run that can be broken off and taken up again.

    Args:
        settings: the run.
        config: sizes of a fresh net; a checkpoint in the run's folder has its own.
    """

    def __init__(self, settings: FitSettings, config: ModelConfig) -> None:
        """Load the newest checkpoint of the run, or start afresh."""
        torch.set_flush_denormal(True)
        torch.set_num_threads(settings.threads)
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.path = settings.run / "last.pt"
        content = checkpoint.load(self.path) if self.path.exists() else None
        self.config = checkpoint.config_from_dict(content["config"]) if content else config
        self.net = Restorer(self.config)
        self.averaged = AveragedModel(self.net, multi_avg_fn=get_ema_multi_avg_fn(0.99))
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98))
        self.framing = TorchFraming(self.config.framing)
        self.loss = RestorationLoss(settings.weights, self.config.framing.sample_rate)
        self.step, self.trained_s = 0, 0.0
        if content:
            self._take_up(content)
        self.random = torch.Generator().manual_seed(settings.seed + self.step)

    def _take_up(self, content: dict[str, Any]) -> None:
        """Go on from a checkpoint; one that was pruned has the averaged net alone, and begins a new run with it."""
        self.net.load_state_dict(content.get("model", content["averaged"]))
        self.averaged.module.load_state_dict(content["averaged"])
        self.averaged.n_averaged.fill_(content["step"])
        self.step = content["step"]
        if "optimizer" in content:
            self.optimizer.load_state_dict(content["optimizer"])
            self.trained_s = content["trained_s"]

    def save(self) -> None:
        """Write the checkpoint."""
        checkpoint.save(
            self.path,
            config=checkpoint.config_to_dict(self.config),
            model=self.net.state_dict(),
            averaged=self.averaged.module.state_dict(),
            optimizer=self.optimizer.state_dict(),
            step=self.step,
            trained_s=self.trained_s,
        )

    def run(self) -> None:
        """Train until the time is up."""
        settings = self.settings
        settings.run.mkdir(parents=True, exist_ok=True)
        crops = iter(CropStream(settings.pairs / "train", settings.crops, settings.seed + self.step))
        forward = torch.compile(self.net, dynamic=False) if settings.compile else self.net
        seconds_per_step = settings.crops.batch * settings.crops.samples / self.config.framing.sample_rate
        sums: dict[str, float] = {}
        since, validated, counted = time.monotonic(), self.trained_s, 0
        while self.trained_s < settings.minutes * 60:
            parts = self._train_step(forward, *next(crops))
            counted += 1
            sums = {name: sums.get(name, 0.0) + value for name, value in parts.items()}
            if counted % 20 == 0:
                speed = 20 * seconds_per_step / (time.monotonic() - since)
                self._log("train", {name: value / 20 for name, value in sums.items()} | {"music_s_per_s": speed})
                sums, since = {}, time.monotonic()
            if self.trained_s - validated > settings.validate_minutes * 60:
                validated = self.trained_s
                self.validate()
                since = time.monotonic()
        self.validate()

    def _train_step(self, forward: nn.Module, damaged: Tensor, clean: Tensor) -> dict[str, float]:
        """One step; its time counts towards the budget."""
        started = time.monotonic()
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        state = self.net.initial_state(len(damaged))
        restored = restore_clip(forward, self.framing, damaged, state, self.random)
        loss, parts = self.loss(restored, clean[..., : restored.shape[-1]], self.step % 3)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
            self.averaged.update_parameters(self.net)
        self.step += 1
        # The first step of a part compiles; that minute is no training.
        self.trained_s += min(time.monotonic() - started, 20.0)
        return parts | {"loss": float(loss.detach())}

    def _learning_rate(self) -> float:
        """Warm up by steps, then a half cosine over the time that is left."""
        done = min(1.0, self.trained_s / (self.settings.minutes * 60))
        cosine = 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * done))))
        return self.settings.learning_rate * min(1.0, (self.step + 1) / self.settings.warmup_steps) * max(cosine, 0.01)

    @torch.no_grad()
    def validate(self) -> None:
        """Measure the averaged net on fixed crops, beside the untouched input, and write the checkpoint."""
        self.save()
        net, random = self.averaged.module, torch.Generator().manual_seed(0)
        rows: list[dict[str, float]] = []
        for _, damaged, clean in fixed_crops(self.settings.pairs / "valid", 4 * 172 * 256, 24):
            restored = restore_clip(net, self.framing, damaged, net.initial_state(1), random)[0]
            length = restored.shape[-1]
            before, target = damaged[0, :, :length], clean[0, :, :length]
            rows.append(
                {
                    "lsd": log_spectral_distance(restored, target),
                    "lsd_input": log_spectral_distance(before, target),
                    "si_sdr_gain": si_sdr_db(restored, target) - si_sdr_db(before, target),
                }
            )
        if rows:
            self._log("valid", {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]})

    def _log(self, kind: str, values: dict[str, float]) -> None:
        """One line on the terminal and one row a value in the log."""
        shown = " ".join(f"{name} {value:.3f}" for name, value in values.items())
        print(f"{kind} step {self.step} {self.trained_s / 60:.1f} min {shown}", flush=True)
        with (self.settings.run / "log.csv").open("a", newline="") as log:
            csv.writer(log).writerows(
                [self.step, round(self.trained_s), kind, n, f"{v:.5f}"] for n, v in values.items()
            )


@click.command("fit")
@click.option(
    "--pairs",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="Folder made by `prepare`: its `pairs`.",
)
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for checkpoint and log; a run that is there is taken up.",
)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), required=True, help="Training time in all.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads.")
@click.option("--batch", type=click.IntRange(1), default=4, show_default=True, help="Crops a step.")
@click.option("--learning-rate", type=float, default=2e-3, show_default=True)
@click.option(
    "--compile/--no-compile", "fused", default=True, show_default=True, help="Fuse the net with torch.compile."
)
@click.option("--width", type=click.IntRange(8), default=64, show_default=True, help="Channels of a band's token.")
@click.option("--dilations", default="1,2,4,8", show_default=True, help="Frames between taps, one number a layer.")
def command(
    pairs: Path,
    run: Path,
    minutes: float,
    threads: int,
    batch: int,
    learning_rate: float,
    fused: bool,
    width: int,
    dilations: str,
) -> None:
    """Train, or go on training; the newest checkpoint is RUN/last.pt."""
    restart_with_fast_allocator()
    settings = FitSettings(
        pairs=pairs,
        run=run,
        minutes=minutes,
        learning_rate=learning_rate,
        threads=threads,
        compile=fused,
        crops=CropSettings(batch=batch),
    )
    try:
        Fit(settings, ModelConfig(width=width, dilations=tuple(int(d) for d in dilations.split(",")))).run()
    except ValueError as error:
        raise click.ClickException(str(error)) from error
