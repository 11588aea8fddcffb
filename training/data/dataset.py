"""Random crops of damaged and clean music for training, fixed ones for validation.

Crop number n of a seed is always the same crop, whoever asks for it and whatever came before: workers, processes
and a run that is taken up again need no other state than the number of the next crop.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sized
from dataclasses import dataclass
from itertools import count as count_up
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from training.data.degrade import SAMPLE_RATE, read_label

Crop = npt.NDArray[np.float32]

_SILENT = 0.01
"""Peak below which a crop isn't taken: silence teaches nothing and is added on purpose elsewhere."""

_TRIES = 20
"""Crops drawn in search of one that isn't silent."""


@dataclass(frozen=True)
class CropSettings:
    """How crops are drawn.

    Attributes:
        samples: length of a crop; a whole number of hops.
        batch: crops a step.
        clean_share: share of items whose input is the clean music itself, which must pass unharmed.
        quietest_db: gains are drawn from here to 0 dB.
        mono_share: share of items with both channels alike.
        wide_share: share of items whose difference of left and right is scaled, up to twice.
        silent_share: share of items that fall silent within the crop, or start in silence.
        mute_share: share of items that are silent from start to end.
        clipped_share: share of items played up to 6 dB too loud and clipped at full scale.
        equalised_share: share of items with another timbre: one random equaliser over both sides.
        rescaled: divide both sides by their joint peak, as published, and leave all gains out.
    """

    samples: int = 256 * 256
    batch: int = 4
    clean_share: float = 0.12
    quietest_db: float = -40.0
    mono_share: float = 0.08
    wide_share: float = 0.1
    silent_share: float = 0.04
    mute_share: float = 0.005
    clipped_share: float = 0.03
    equalised_share: float = 0.7
    rescaled: bool = False


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Augmented crops by number, from a folder of pairs `(2, samples, 2)`: clean and damaged int16.

    The folder is listed once. Pairs of silence, or shorter than a crop, are passed over.

    Args:
        folder: where the `.npy` files are.
        settings: how to draw.
        seed: of the random numbers.
        count: how many crops there are: steps times batch.

    Attributes:
        digest: of the list of files, so that a run that is taken up again can tell whether it has the same ones.

    Raises:
        ValueError: the folder holds no pair.
    """

    def __init__(self, folder: Path, settings: CropSettings, seed: int, count: int = 2**62) -> None:
        """List the folder; a source counts by the root of its number of pairs, or a large one would drown all."""
        self._settings, self._seed, self._count = settings, seed, count
        self._files = sorted(folder.glob("*.npy"))
        if not self._files:
            raise ValueError(
                f"folder must hold pairs (*.npy), found none in {folder}; run `python -m training prepare`"
            )
        self.digest = hashlib.sha256("\n".join(file.name for file in self._files).encode()).hexdigest()
        sources = [file.name.split("__")[0] for file in self._files]
        counts = Counter(sources)
        self._chances = np.cumsum([counts[source] ** -0.5 for source in sources])

    def __len__(self) -> int:
        """As many as were asked for."""
        return self._count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Draw one crop.

        Returns:
            Damaged and clean.

        Shape:
            (2, samples) each, float32
        """
        if not 0 <= index < self._count:
            raise IndexError(f"index must be 0 to {self._count - 1}, got {index}")
        random = np.random.default_rng((self._seed, index))
        damaged, clean = _augmented(*self._crop(random), self._settings, random)
        return torch.from_numpy(damaged), torch.from_numpy(clean)

    def _crop(self, random: np.random.Generator) -> tuple[Crop, Crop]:
        """Clean and damaged (2, samples) as they are on disk."""
        samples = self._settings.samples
        for _ in range(_TRIES):
            file = self._files[int(np.searchsorted(self._chances, random.random() * self._chances[-1], "right"))]
            pair = np.load(file, mmap_mode="r")
            if pair.shape[1] < samples:
                continue
            start = int(random.integers(pair.shape[1] - samples + 1))
            clean, damaged = _read(pair, start, samples)
            if np.abs(clean).max() > _SILENT:
                return clean, damaged
        raise ValueError(f"{_TRIES} pairs drawn from {file.parent} are all silent, or shorter than {samples} samples")


class ConsecutiveSampler(Sampler[int]):
    """Numbers one after the other, from any number on; each of several processes takes its own.

    Process r of n takes of every n-th batch its own, so that n processes with a batch of b see in a step what one
    process with a batch of n b sees.

    Args:
        source: what is indexed.
        batch: crops of one process in a step.
        rank, world_size: which process this is, of how many.
        first_step: the first step; a run that is taken up again puts in the number of steps made.
    """

    def __init__(self, source: Sized, batch: int, rank: int = 0, world_size: int = 1, first_step: int = 0) -> None:
        """Keep what is needed to count."""
        self._source, self._batch, self._rank, self._world_size = source, batch, rank, world_size
        self.first_step = first_step

    def __iter__(self) -> Iterator[int]:
        """Count; a last step that would be cut short is left out."""
        whole = self._batch * self._world_size
        for step in range(self.first_step, len(self._source) // whole):
            start = step * whole + self._rank * self._batch
            yield from range(start, start + self._batch)

    def __len__(self) -> int:
        """Numbers of this process that are left."""
        return max(0, len(self._source) // (self._batch * self._world_size) - self.first_step) * self._batch


class ValidationCrop(NamedTuple):
    """One crop of the fixed set, with what was done to it; sides are (2, samples)."""

    name: str
    codec: str
    bitrate_bps: int
    damaged: Tensor
    clean: Tensor


class ValidationCrops(Dataset[ValidationCrop]):
    """The same crops every time: the middles of pairs, spread evenly over codecs, bit rates and tracks.

    Args:
        folder: where the `.npy` files are.
        samples: length of a crop.
        count: how many; fewer if the folder holds fewer.

    Raises:
        ValueError: the folder holds no pair.
    """

    def __init__(self, folder: Path, samples: int, count: int) -> None:
        """Take one file of each kind of damage in turn."""
        self._samples = samples
        kinds: dict[str, list[Path]] = {}
        for file in sorted(folder.glob("*.npy"), key=lambda file: hashlib.sha256(file.name.encode()).digest()):
            kinds.setdefault(_label(file), []).append(file)
        if not kinds:
            raise ValueError(
                f"folder must hold pairs (*.npy), found none in {folder}; run `python -m training prepare`"
            )
        turns = range(max(len(files) for files in kinds.values()))
        self._files = [kinds[kind][turn] for turn in turns for kind in sorted(kinds) if turn < len(kinds[kind])][:count]

    def __len__(self) -> int:
        """Number of crops."""
        return len(self._files)

    def __getitem__(self, index: int) -> ValidationCrop:
        """Read one crop."""
        file = self._files[index]
        pair = np.load(file, mmap_mode="r")
        clean, damaged = _read(pair, max(0, (pair.shape[1] - self._samples) // 2), self._samples)
        codec, bitrate_bps = read_label(_label(file))
        return ValidationCrop(file.stem, codec, bitrate_bps, torch.from_numpy(damaged), torch.from_numpy(clean))


class CropStream:
    """Endless batches of `Crops`; the folder is listed again now and then, for pairs that are still being made.

    Args:
        folder: where the `.npy` files are.
        settings: how to draw.
        seed: of the random numbers; the same seed and folder give the same crops.
    """

    _RELISTED_EVERY = 500

    def __init__(self, folder: Path, settings: CropSettings, seed: int) -> None:
        """List the folder."""
        self._folder, self._settings, self._seed = folder, settings, seed
        self._crops = Crops(folder, settings, seed)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (damaged, clean), each (batch, 2, samples) float32."""
        batch = self._settings.batch
        for step in count_up():
            if step % self._RELISTED_EVERY == 0:
                self._crops = Crops(self._folder, self._settings, self._seed)
            items = [self._crops[step * batch + item] for item in range(batch)]
            damaged, clean = (torch.stack(side) for side in zip(*items, strict=True))
            yield damaged, clean


def fixed_crops(folder: Path, samples: int, count: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The validation set: one crop from the middle of each of `count` files spread over the folder.

    Returns:
        An iterator of (file name, damaged, clean), each (1, 2, samples).
    """
    files = sorted(folder.glob("*.npy"))
    for file in files[:: max(1, len(files) // count)][:count]:
        pair = np.load(file, mmap_mode="r")
        clean, damaged = _read(pair, max(0, (pair.shape[1] - samples) // 2), samples)
        yield file.stem, torch.from_numpy(damaged)[None], torch.from_numpy(clean)[None]


def _label(file: Path) -> str:
    """The damage in a pair's file name."""
    return file.stem.split("__")[-1]


def _read(pair: npt.NDArray[np.int16], start: int, samples: int) -> tuple[Crop, Crop]:
    """Clean and damaged (2, samples) of a pair, full scale 1.0."""
    clean, damaged = (
        np.ascontiguousarray(side.T, np.float32) / np.float32(32768) for side in pair[:, start : start + samples]
    )
    return clean, damaged


def _augmented(clean: Crop, damaged: Crop, settings: CropSettings, random: np.random.Generator) -> tuple[Crop, Crop]:
    """Change both sides alike: timbre, width, order and sign of the channels, level."""
    if random.random() < settings.clean_share:
        damaged = clean
    sides = [damaged, clean]
    if random.random() < settings.mono_share:
        sides = [_widened(side, 0.0) for side in sides]
    elif random.random() < settings.wide_share:
        width = float(random.uniform(0.0, 2.0))
        sides = [_widened(side, width) for side in sides]
    if random.random() < settings.equalised_share:
        sides = _equalised(sides, random)
    order = slice(None, None, 1 if random.random() < 0.5 else -1)
    sign = 1 if random.random() < 0.5 else -1
    sides = [side[order] * np.float32(sign) for side in sides]
    damaged, clean = _rescaled(sides) if settings.rescaled else _played(sides, settings, random)
    return np.ascontiguousarray(damaged, np.float32), np.ascontiguousarray(clean, np.float32)


def _widened(side: Crop, width: float) -> Crop:
    """Scale the difference of left and right."""
    middle = side.mean(0, keepdims=True)
    return middle + np.float32(width) * (side - middle)


def _equalised(sides: list[Crop], random: np.random.Generator) -> list[Crop]:
    """Another timbre for both: a smooth random gain over log frequency, tilted mostly towards bright.

    A net that has seen one kind of music only learns one slope of the spectrum by heart; this makes it read the slope.
    """
    samples = sides[0].shape[1]
    octaves = np.log2(np.fft.rfftfreq(samples, 1000 / SAMPLE_RATE) + 1e-3)
    points = np.arange(-5, 6)
    curve_db = np.interp(octaves, points, random.normal(0, 3, points.size)) + random.uniform(-2, 4) * octaves.clip(0, 5)
    bent = [np.fft.irfft(np.fft.rfft(side) * 10 ** (curve_db / 20), samples) for side in sides]
    loudest = max(1.0, *(float(np.abs(side).max()) for side in bent))
    return [(side / loudest).astype(np.float32) for side in bent]


def _rescaled(sides: list[Crop]) -> list[Crop]:
    """Divide by the peak of both, as published."""
    peak = max(float(np.abs(side).max()) for side in sides)
    return [side / np.float32(max(peak, 1e-9)) for side in sides]


def _played(sides: list[Crop], settings: CropSettings, random: np.random.Generator) -> list[Crop]:
    """Set the level: from silence, over quiet music and fades, to clipping."""
    if random.random() < settings.mute_share:
        return [np.zeros_like(side) for side in sides]
    if random.random() < settings.clipped_share:
        gain = 10 ** (random.uniform(0, 6) / 20) / float(np.abs(sides[1]).max() + 1e-9)
        return [np.clip(side * np.float32(gain), -1, 1) for side in sides]
    curve = _gain_curve(settings, random)
    return [side * curve for side in sides]


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
