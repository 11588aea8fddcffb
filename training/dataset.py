"""Random crops of damaged and clean music for training, fixed ones for validation."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Crop = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CropSettings:
    """How crops are drawn.

    Attributes:
        samples: length of a crop; a whole number of hops.
        batch: crops a step.
        clean_share: share of items whose input is the clean music itself, which must pass unharmed.
        quietest_db: gains are drawn from here to 0 dB.
        mono_share: share of items with both channels alike.
        silent_share: share of items that fall silent within the crop, or start in silence.
    """

    samples: int = 256 * 256
    batch: int = 4
    clean_share: float = 0.12
    quietest_db: float = -40.0
    mono_share: float = 0.08
    silent_share: float = 0.04


class CropStream:
    """Endless batches from a folder of pairs `(2, samples, 2)`: clean and damaged int16, written by `training.pairs`.

    The folder is listed again now and then, so that training can start while pairs are still being made.

    Args:
        folder: where the `.npy` files are.
        settings: how to draw.
        seed: of the random numbers; the same seed and folder give the same crops.
    """

    def __init__(self, folder: Path, settings: CropSettings, seed: int) -> None:
        """List the folder.

        Raises:
            ValueError: the folder holds no pair that is long enough.
        """
        self.folder, self.settings = folder, settings
        self.random = np.random.default_rng(seed)
        self._files = sorted(folder.glob("*.npy"))
        self._drawn = 0
        if not self._files:
            raise ValueError(
                f"folder must hold pairs (*.npy), found none in {folder}; run `python -m training prepare`"
            )

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (damaged, clean), each (batch, 2, samples) float32."""
        while True:
            items = [self._item() for _ in range(self.settings.batch)]
            damaged, clean = (torch.from_numpy(np.stack(side)) for side in zip(*items, strict=True))
            yield damaged, clean

    def _item(self) -> tuple[Crop, Crop]:
        """One augmented crop: damaged and clean (2, samples)."""
        settings, random = self.settings, self.random
        clean, damaged = self._crop()
        if random.random() < settings.clean_share:
            damaged = clean
        if random.random() < settings.mono_share:
            clean, damaged = (np.repeat(side.mean(0, keepdims=True), 2, axis=0) for side in (clean, damaged))
        gain = _gain_curve(settings, random) * (1 if random.random() < 0.5 else -1)
        order = slice(None, None, 1 if random.random() < 0.5 else -1)
        return tuple(np.ascontiguousarray((side * gain)[order], np.float32) for side in (damaged, clean))

    def _crop(self) -> tuple[Crop, Crop]:
        """Draw until a crop isn't silent: silence teaches nothing and is added on purpose elsewhere."""
        self._drawn += 1
        if self._drawn % 500 == 0:
            self._files = sorted(self.folder.glob("*.npy"))
        while True:
            pair = np.load(self._files[self.random.integers(len(self._files))], mmap_mode="r")
            if pair.shape[1] < self.settings.samples:
                continue
            start = int(self.random.integers(pair.shape[1] - self.settings.samples + 1))
            clean, damaged = pair[:, start : start + self.settings.samples].astype(np.float32) / 32768
            if np.abs(clean).max() > 0.01:
                return clean.T, damaged.T


def _gain_curve(settings: CropSettings, random: np.random.Generator) -> Crop:
    """A constant gain, now and then with a hard or soft start or end."""
    level = 10 ** (random.uniform(settings.quietest_db, 0) * random.random() / 20)
    curve = np.full(settings.samples, level, np.float32)
    if random.random() < settings.silent_share:
        edge = int(random.integers(settings.samples // 8, settings.samples * 7 // 8))
        fade = min(int(random.choice([1, 441, 8820])), settings.samples - edge)
        ramp = np.ones(settings.samples, np.float32)
        ramp[edge : edge + fade] = np.linspace(1, 0, fade)
        ramp[edge + fade :] = 0
        curve *= ramp if random.random() < 0.5 else ramp[::-1]
    return curve


def fixed_crops(folder: Path, samples: int, count: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The validation set: one crop from the middle of each of `count` files spread over the folder.

    Returns:
        An iterator of (file name, damaged, clean), each (1, 2, samples).
    """
    files = sorted(folder.glob("*.npy"))
    for file in files[:: max(1, len(files) // count)][:count]:
        pair = np.load(file, mmap_mode="r")
        start = max(0, (pair.shape[1] - samples) // 2)
        clean, damaged = (
            torch.from_numpy(side.astype(np.float32).T / 32768) for side in pair[:, start : start + samples]
        )
        yield file.stem, damaged[None], clean[None]
