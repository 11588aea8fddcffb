"""Callbacks accompany the steps: lines on the terminal, pictures and sounds, an orderly end, files for the export."""

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import soundfile
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from training.evaluation.picture import spectrograms
from training.fitting.generators import item_seeds
from training.fitting.module import Batch, RestorationModule
from training.nets import checkpoint


class PrunedBeside(TorchCheckpointIO):
    """Writes beside every `.ckpt` of a run a `.pt` of the averaged net: what `python -m export` takes."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write both."""
        super().save_checkpoint(checkpoint, path, storage_options)
        _write_pruned(checkpoint, Path(path).with_suffix(".pt"))


def _write_pruned(content: dict[str, Any], path: Path) -> None:
    checkpoint.save(path, **checkpoint.pruned(content))


class Lines(Callback):
    """A line every few steps: the losses, their means over these steps, and the speed; the same goes to the log.

    Args:
        every_steps: steps between two lines.

    Raises:
        ValueError: `every_steps` is below 1.
    """

    def __init__(self, every_steps: int = 20) -> None:
        """Check the interval."""
        if every_steps < 1:
            raise ValueError(f"every_steps must be at least 1, got {every_steps}")
        self.every_steps = every_steps
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._reset()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock; reading crops counts, validation doesn't."""
        self._reset()

    def on_train_batch_end(  # type: ignore[override]  # of our own module only
        self, trainer: Trainer, pl_module: RestorationModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Add up, and now and then tell."""
        for name, value in outputs.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach()
            self._counts[name] = self._counts.get(name, 0) + 1
        clips = batch[1]
        self._music_s += clips.shape[0] * clips.shape[-1] / pl_module.generator.sample_rate * trainer.world_size
        self._steps += 1
        if self._steps == self.every_steps:
            means = {name: float(value) / self._counts[name] for name, value in self._sums.items()}
            means["music_s_per_s"] = self._music_s / (time.monotonic() - self._since)
            pl_module.log_dict({f"train/{name}": value for name, value in means.items()})
            rate = pl_module.optimizers(use_pl_optimizer=False)
            pl_module.log("learning_rate", (rate[0] if isinstance(rate, list) else rate).param_groups[0]["lr"])
            _tell("train", pl_module, means)
            self._reset()

    def on_validation_end(self, trainer: Trainer, pl_module: RestorationModule) -> None:  # type: ignore[override]  # of our own module only
        """Tell what was measured, beside the untouched input."""
        _tell("valid", pl_module, {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("valid")})
        self._reset()

    def _reset(self) -> None:
        self._sums, self._counts, self._steps, self._music_s = {}, {}, 0, 0.0
        self._since = time.monotonic()


@rank_zero_only
def _tell(kind: str, module: RestorationModule, values: Mapping[str, float]) -> None:
    shown = " ".join(f"{name.removeprefix(f'{kind}/')} {value:.3f}" for name, value in values.items())
    print(f"{kind} step {module.steps} {module.trained_s / 60:.1f} min {shown}", flush=True)


class OrderlyEnd(Callback):
    """Ends a run with a validation and a checkpoint: at its last step, and at the first Ctrl-C or SIGTERM."""

    def __init__(self) -> None:
        """Nothing was asked for yet."""
        self._is_asked = False
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        """Once in order; the second time as it always was."""
        self._is_asked = True
        print("ending after this step; once more ends at once", flush=True)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """All processes end at the same step."""
        is_asked = trainer.strategy.reduce_boolean_decision(self._is_asked, all=False)
        trainer.should_stop |= is_asked or trainer.global_step == trainer.max_steps

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Listen no more."""
        self._restore()


class Listening(Callback):
    """Sounds and spectrograms of a few validation clips after every validation: in `clips`, and in TensorBoard.

    Args:
        folder: where they are written; the newest replace the ones before.
        count: clips, the first of the validation set.
    """

    def __init__(self, folder: Path, count: int = 2) -> None:
        """Keep the settings."""
        self._folder, self._count = folder, count

    @rank_zero_only
    def on_validation_batch_end(  # type: ignore[override]  # of our own module only
        self,
        trainer: Trainer,
        pl_module: RestorationModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write one clip: damaged, restored, clean."""
        if batch_idx >= self._count or trainer.sanity_checking:
            return
        damaged, clean = batch
        with torch.no_grad():
            restored = pl_module.averaged(damaged, item_seeds(0, 0, [batch_idx]))
        clips = {"damaged": damaged, "restored": restored, "clean": clean}
        self._folder.mkdir(parents=True, exist_ok=True)
        rate = pl_module.generator.sample_rate
        for name, clip in clips.items():
            soundfile.write(self._folder / f"{batch_idx}_{name}.wav", clip[0].T.clamp(-1, 1).cpu().numpy(), rate)
        figure = spectrograms({name: clip[0].mean(0).cpu().numpy() for name, clip in clips.items()})
        figure.savefig(self._folder / f"{batch_idx}.png", dpi=90)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_figure(f"clip_{batch_idx}", figure, pl_module.steps)
                for name, clip in clips.items():
                    mono = clip[0].mean(0, keepdim=True).clamp(-1, 1)  # TensorBoard plays one channel
                    logger.experiment.add_audio(f"clip_{batch_idx}/{name}", mono, pl_module.steps, rate)
