"""Random crops of damaged and clean music for training, fixed ones for validation."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_SAMPLE_RATE_KHZ = 44.1

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
        equalised_share: share of items with another timbre: one random equaliser over both sides.
    """

    samples: int = 256 * 256
    batch: int = 4
    clean_share: float = 0.12
    quietest_db: float = -40.0
    mono_share: float = 0.08
    silent_share: float = 0.04
    equalised_share: float = 0.7


class CropStream:
    """Endless batches from a folder of pairs `(2, samples, 2)`: clean and damaged int16, written by `pairs`.

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
        self._list()
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

    def _list(self) -> None:
        """See what is there; a source counts by the root of its number of pairs, or a large one would drown all."""
        self._files = sorted(self.folder.glob("*.npy"))
        sources = [file.name.split("__")[0] for file in self._files]
        chances = np.array([sources.count(source) ** -0.5 for source in sources])
        self._chances = chances / chances.sum()

    def _item(self) -> tuple[Crop, Crop]:
        """One augmented crop: damaged and clean (2, samples)."""
        settings, random = self.settings, self.random
        clean, damaged = self._crop()
        if random.random() < settings.clean_share:
            damaged = clean
        if random.random() < settings.mono_share:
            clean, damaged = (np.repeat(side.mean(0, keepdims=True), 2, axis=0) for side in (clean, damaged))
        if random.random() < settings.equalised_share:
            clean, damaged = _equalised((clean, damaged), random)
        gain = _gain_curve(settings, random) * (1 if random.random() < 0.5 else -1)
        order = slice(None, None, 1 if random.random() < 0.5 else -1)
        return tuple(np.ascontiguousarray((side * gain)[order], np.float32) for side in (damaged, clean))

    def _crop(self) -> tuple[Crop, Crop]:
        """Draw until a crop isn't silent: silence teaches nothing and is added on purpose elsewhere."""
        self._drawn += 1
        if self._drawn % 500 == 0:
            self._list()
        while True:
            pair = np.load(self._files[self.random.choice(len(self._files), p=self._chances)], mmap_mode="r")
            if pair.shape[1] < self.settings.samples:
                continue
            start = int(self.random.integers(pair.shape[1] - self.settings.samples + 1))
            clean, damaged = pair[:, start : start + self.settings.samples].astype(np.float32) / 32768
            if np.abs(clean).max() > 0.01:
                return clean.T, damaged.T


def _equalised(sides: tuple[Crop, Crop], random: np.random.Generator) -> list[Crop]:
    """Another timbre for both: a smooth random gain over log frequency, tilted mostly towards bright.

    A net that has seen one kind of music only learns one slope of the spectrum by heart; this makes it read the slope.
    """
    samples = sides[0].shape[1]
    octaves = np.log2(np.fft.rfftfreq(samples, 1 / _SAMPLE_RATE_KHZ) + 1e-3)
    points = np.arange(-5, 6)
    curve_db = np.interp(octaves, points, random.normal(0, 3, points.size)) + random.uniform(-2, 4) * octaves.clip(0, 5)
    bent = [np.fft.irfft(np.fft.rfft(side) * 10 ** (curve_db / 20), samples) for side in sides]
    loudest = max(1.0, *(float(np.abs(side).max()) for side in bent))
    return [(side / loudest).astype(np.float32) for side in bent]


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
