"""One part of a run of the level net: trainer, data and the files it leaves."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from training.fitting import machine
from training.fitting.callbacks import OrderlyEnd
from training.levels import store
from training.levels.crops import LevelCrops, LevelCropSettings
from training.levels.module import LevelModule
from training.nets import checkpoint
from training.nets.level_bands import LevelBands
from training.nets.level_net import LevelNetConfig


@dataclass(frozen=True)
class Settings:
    """What the command was given; `ends` is a moment of the monotonic clock."""

    folder: Path
    run: Path
    steps: int
    ends: float | None
    decay_from: float
    batch: int
    frames: int
    learning_rate: float
    validate_every: int
    threads: int
    precision: str
    seed: int
    start: Path | None
    fuse: bool


def fit(settings: Settings, config: LevelNetConfig) -> None:
    """Trains until the run, or this part of it, ends.

    Raises:
        ValueError: there are no levels.
    """
    machine.prepare(settings.threads)
    seed_everything(settings.seed, verbose=False)
    module = LevelModule(config, settings.learning_rate, decay_from=settings.decay_from, fuse=settings.fuse)
    if settings.start:
        module.begin_with(*checkpoint.load_restorer(settings.start))
    crops = LevelCrops(settings.folder / "train", LevelCropSettings(settings.frames), settings.seed, config.bands)
    whole = DataLoader(WholeItems(settings.folder / "valid", config.bands), batch_size=1)
    last = settings.run / "last.ckpt"
    trainer = Trainer(
        accelerator="cpu",
        max_steps=settings.steps,
        precision=settings.precision,  # type: ignore[arg-type]
        gradient_clip_val=1.0,
        val_check_interval=settings.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=CSVLogger(settings.run, "logs"),
        log_every_n_steps=100,
        callbacks=[
            ModelCheckpoint(
                settings.run, "last", every_n_train_steps=settings.validate_every, enable_version_counter=False
            ),
            OrderlyEnd(),
            Lines(settings, len(crops.items)),
        ],
    )
    first = int(torch.load(last, weights_only=False)["global_step"]) if last.exists() else 0
    stream = DataLoader(Numbered(crops, first * settings.batch), batch_size=settings.batch)
    trainer.fit(module, stream, whole, ckpt_path=last if last.exists() else None)
    trainer.save_checkpoint(last)
    _save(module, settings.run)


def _save(module: LevelModule, run: Path) -> None:
    """The averaged net alone: what `python -m export --checkpoint` and `--start` take."""
    facts = {"step": module.global_step, "trained_s": module.trained_s, "heard_s": module.heard_s}
    checkpoint.save_levels(run / "levels.pt", module.averaged.module, **facts)


class Numbered(IterableDataset[Any]):
    """Crops from a number on, without end."""

    def __init__(self, crops: LevelCrops, first: int) -> None:
        self._crops, self._first = crops, first

    def __iter__(self) -> Iterator[Any]:
        """Count."""
        number = self._first
        while True:
            yield self._crops[number]
            number += 1


class WholeItems(Dataset[tuple[dict[str, Tensor], Tensor, Tensor]]):
    """The items to validate on, whole, one after the other; at most 30 s of each and so many."""

    def __init__(self, folder: Path, bands: LevelBands, count: int = 60) -> None:
        found = store.items_of(folder)
        self._folder, self._bands = folder, bands
        self._items = found[:: max(1, len(found) // count)][:count]

    def __len__(self) -> int:
        """Number of items."""
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """As `LevelCrops` gives them."""
        item = self._items[index]
        levels, wanted = store.read(self._folder, item, 0, min(item.frames, 5000), self._bands)
        known = self._bands.known_below(item.cut_hz)
        return {name: torch.from_numpy(part) for name, part in levels.items()}, *map(torch.from_numpy, (wanted, known))


class Lines(Callback):
    """Says how it goes, leaves the net after each validation, and ends a part of a run in time."""

    def __init__(self, settings: Settings, n_items: int) -> None:
        self._settings, self._n_items = settings, n_items
        self._since, self._heard_s = time.monotonic(), 0.0
        self._sum, self._missing, self._count = 0.0, 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LevelModule) -> None:
        """Say what is learnt from."""
        self._heard_s = pl_module.heard_s
        print(f"{self._n_items} items to train on, {pl_module.heard_s / 3600:.1f} h heard before", flush=True)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LevelModule, outputs: Any, *_: Any) -> None:
        """A line every 100 steps."""
        self._sum, self._missing = self._sum + float(outputs["error"]), self._missing + float(outputs["missing"])
        self._count += 1
        trainer.should_stop |= self._settings.ends is not None and time.monotonic() > self._settings.ends
        if self._count < 100:
            return
        speed = (pl_module.heard_s - self._heard_s) / (time.monotonic() - self._since)
        error, missing = 10 * (self._sum / self._count) ** 0.5, self._missing / self._count
        print(
            f"step {trainer.global_step} error {error:.3f} dB, missing {missing:.4f}, {speed:.1f} s of music a second",
            flush=True,
        )
        self._sum, self._missing, self._count = 0.0, 0.0, 0
        self._since, self._heard_s = time.monotonic(), pl_module.heard_s

    def on_validation_end(self, trainer: Trainer, pl_module: LevelModule) -> None:
        """Say what was measured."""
        found = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("valid")}
        shown = " ".join(f"{name.removeprefix('valid/')} {value:.3f}" for name, value in found.items())
        print(f"valid step {trainer.global_step} {pl_module.heard_s / 3600:.2f} h {shown}", flush=True)
        _save(pl_module, self._settings.run)
        self._since, self._heard_s = time.monotonic(), pl_module.heard_s
