"""Random crops of damaged and clean music for training, fixed ones for validation.

Crop number n of a seed is always the same crop, whoever asks for it and whatever came before: workers, processes
and a run that is taken up again need no other state than the number of the next crop.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sized
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from training.data.augmentation import Crop, CropSettings, augment
from training.data.damage_kinds import read_label

_SILENT = 0.01
"""Peak below which a crop isn't taken: silence teaches nothing and is added on purpose elsewhere."""

_TRIES = 20
"""Crops drawn in search of one that isn't silent."""


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Augmented crops by number, from a folder of pairs `(2, samples, 2)`: clean and damaged int16.

    The folder is listed once. Pairs of silence, or shorter than a crop, are passed over.

    Args:
        folder: where the `.npy` files are.
        settings: how to draw.
        seed: of the random numbers.
        count: how many crops there are: steps times batch.
        favour: how much more often pairs are drawn whose names begin so, such as `{"lmms-": 2.5}`.

    Attributes:
        digest: of the list of files, so that a run that is taken up again can tell whether it has the same ones.

    Raises:
        ValueError: the folder holds no pair, or a source is favoured by nothing or less.
    """

    def __init__(
        self,
        folder: Path,
        settings: CropSettings,
        seed: int,
        count: int = 2**62,
        favour: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
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
        favours = [max((favour[name] for name in favour if source.startswith(name)), default=1.0) for source in sources]
        if any(chance <= 0 for chance in favour.values()):
            raise ValueError(f"favour must hold numbers above 0, got {dict(favour)}")
        self._chances = np.cumsum(
            [chance * counts[source] ** -0.5 for source, chance in zip(sources, favours, strict=True)]
        )

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
        damaged, clean = augment(*self._crop(random), self._settings, random)
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


def _label(file: Path) -> str:
    """The damage in a pair's file name."""
    return file.stem.split("__")[-1]


def _read(pair: npt.NDArray[np.int16], start: int, samples: int) -> tuple[Crop, Crop]:
    """Clean and damaged (2, samples) of a pair, full scale 1.0."""
    clean, damaged = (
        np.ascontiguousarray(side.T, np.float32) / np.float32(32768) for side in pair[:, start : start + samples]
    )
    return clean, damaged
