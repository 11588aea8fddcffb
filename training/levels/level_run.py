"""One part of a run of the level net: trainer, data and the files it leaves."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from training.fitting import torch_settings
from training.fitting.fit_callbacks import OrderlyEnd
from training.levels import store
from training.levels.correction_module import CorrectionModule
from training.levels.crops import LevelCrops, LevelCropSettings, LikenessCrops
from training.levels.level_module import LevelModule
from training.nets import checkpoint
from training.nets.level_bands import LevelBands
from training.nets.level_net import LevelNet, LevelNetConfig
from training.nets.level_restorer import LevelRestorer


@dataclass(frozen=True)
class Settings:
    """Settings that the command was given.

    Attributes:
        ends: a moment of the monotonic clock; None: never.
        precision: as Lightning names it; None: what the machine is made for.
    """

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
    precision: str | None
    seed: int
    start: Path | None
    fuse: bool
    accelerator: str = "cpu"
    workers: int = 0


def fit(settings: Settings, config: LevelNetConfig) -> None:
    """Trains a level net until the run, or this part of it, ends.

    Raises:
        ValueError: there are no levels, or the net to begin with is another one.
    """
    _prepare(settings)
    module = LevelModule(config, settings.learning_rate, decay_from=settings.decay_from, fuse=settings.fuse)
    if settings.start:
        module.begin_with(*checkpoint.load_restorer(settings.start))
    crops = LevelCrops(settings.folder / "train", LevelCropSettings(settings.frames), settings.seed, config.bands)
    _train(settings, module, crops, WholeItems(settings.folder / "valid", config.bands))


def correct(settings: Settings, width: int) -> None:
    """Trains the correction of a level net, which stays as it is, until the run, or this part of it, ends.

    Raises:
        ValueError: there is no net to begin with, or nothing was measured with its likeness.
    """
    _prepare(settings)
    if not settings.start:
        raise ValueError("--start must name the level net that is to be corrected")
    restorer, facts = checkpoint.load_restorer(settings.start)
    if not isinstance(restorer, LevelRestorer):
        raise ValueError(f"--start must name a level net, {settings.start} is another")
    module = CorrectionModule(restorer.levels, facts, width, settings.learning_rate, settings.decay_from, settings.fuse)
    bands, drawn = module.net.config.bands, LevelCropSettings(settings.frames)
    crops = LikenessCrops(settings.folder / "train", drawn, settings.seed, bands)
    _train(settings, module, crops, WholeLikeness(settings.folder / "valid", bands))


def _prepare(settings: Settings) -> None:
    torch_settings.prepare(settings.threads)
    seed_everything(settings.seed, verbose=False)


def _train(settings: Settings, module: LevelModule | CorrectionModule, crops: LevelCrops, whole: Dataset[Any]) -> None:
    """Goes on where the run stands, and leaves what the next part needs."""
    last = settings.run / "last.ckpt"
    trainer = Trainer(
        accelerator=settings.accelerator,
        devices=1,
        max_steps=settings.steps,
        precision=settings.precision or torch_settings.precision(),  # type: ignore[arg-type]
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
            LevelProgress(settings, len(crops.items)),
        ],
    )
    first = int(torch.load(last, weights_only=False)["global_step"]) if last.exists() else 0
    stream = DataLoader(
        Numbered(crops, first * settings.batch, settings.batch),
        batch_size=settings.batch,
        num_workers=settings.workers,
        pin_memory=settings.accelerator != "cpu",
    )
    trainer.fit(module, stream, DataLoader(whole, batch_size=1), ckpt_path=last if last.exists() else None)
    trainer.save_checkpoint(last)
    _save(module, settings.run)


def _save(module: LevelModule | CorrectionModule, run: Path) -> None:
    """The averaged net alone: what `python -m export --checkpoint` and `--start` take."""
    checkpoint.save_levels(run / "levels.pt", cast("LevelNet", module.averaged.module), **module.facts())


_LONGEST = 5000  # frames of an item to validate on


class Numbered(IterableDataset[Any]):
    """Crops from a number on, without end; several workers take whole batches in turn, so that none is made twice."""

    def __init__(self, crops: LevelCrops, first: int, batch: int) -> None:
        self._crops, self._first, self._batch = crops, first, batch

    def __iter__(self) -> Iterator[Any]:
        """Count."""
        worker = get_worker_info()
        turn, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        while True:
            begin = self._first + turn * self._batch
            yield from (self._crops[number] for number in range(begin, begin + self._batch))
            turn += workers


class WholeItems(Dataset[tuple[dict[str, Tensor], Tensor, Tensor]]):
    """The items to validate on, whole, one after the other; at most 30 s of each and so many."""

    def __init__(self, folder: Path, bands: LevelBands, count: int = 60) -> None:
        found = self._found(folder)
        self._folder, self._bands = folder, bands
        self._items = found[:: max(1, len(found) // count)][:count]

    def __len__(self) -> int:
        """Number of items."""
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """As `LevelCrops` gives them."""
        item = self._items[index]
        levels, wanted = store.read(self._folder, item, 0, min(item.frames, _LONGEST), self._bands)
        known = self._bands.known_below(item.cut_hz)
        parts = {name: torch.from_numpy(part) for name, part in levels.items()}
        return parts, torch.from_numpy(wanted), torch.from_numpy(known)

    def _found(self, folder: Path) -> list[store.LevelItem]:
        return store.items_of(folder)


class WholeLikeness(WholeItems):
    """The same of what was measured with its likeness."""

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """As `LikenessCrops` gives them."""
        item = self._items[index]
        frames = min(item.frames, _LONGEST)
        levels, _ = store.read(self._folder, item, 0, frames, self._bands)
        wanted, distance = torch.from_numpy(store.read_likeness(self._folder, item, 0, frames)).unbind(2)
        return {name: torch.from_numpy(part) for name, part in levels.items()}, wanted, distance

    def _found(self, folder: Path) -> list[store.LevelItem]:
        return [item for item in super()._found(folder) if store.has_likeness(folder, item)]


class LevelProgress(Callback):
    """Says how it goes, leaves the net after each validation, and ends a part of a run in time."""

    def __init__(self, settings: Settings, n_items: int) -> None:
        self._settings, self._n_items = settings, n_items
        self._since, self._heard_s = time.monotonic(), 0.0
        self._sums: dict[str, float] = {}
        self._count = 0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Say what is learnt from."""
        self._heard_s = pl_module.heard_s
        print(f"{self._n_items} items to train on, {pl_module.heard_s / 3600:.1f} h heard before", flush=True)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        """A line every 100 steps."""
        for name, value in outputs.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
        self._count += 1
        trainer.should_stop |= self._settings.ends is not None and time.monotonic() > self._settings.ends
        if self._count < 100:
            return
        speed = (pl_module.heard_s - self._heard_s) / (time.monotonic() - self._since)
        means = ", ".join(f"{name} {value / self._count:.4f}" for name, value in self._sums.items() if name != "loss")
        print(f"step {trainer.global_step} {means}, {speed:.1f} s of music a second", flush=True)
        self._begin_anew(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Say what was measured."""
        found = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("valid")}
        shown = " ".join(f"{name.removeprefix('valid/')} {value:.3f}" for name, value in found.items())
        print(f"valid step {trainer.global_step} {pl_module.heard_s / 3600:.2f} h {shown}", flush=True)
        _save(pl_module, self._settings.run)
        self._begin_anew(pl_module)

    def _begin_anew(self, module: Any) -> None:
        self._sums, self._count = {}, 0
        self._since, self._heard_s = time.monotonic(), module.heard_s
