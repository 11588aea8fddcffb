"""Crops of levels for training: what is cheap to vary in the domain of levels is varied here, for both sides alike.

Another equalisation and another loudness are sums, another balance is a sum of powers and of what the channels have in
common. With one channel turned over mid and side change places; an instrument that joins in from one place adds its
powers, and so does another piece that was damaged alike. Crop number n of a seed is always the same crop.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from training.levels import store
from training.nets.level_bands import FLOOR, LevelBands

Levels = dict[str, NDArray[np.float32]]
_SWAPPED, _TURNED = [1, 0, 2, 3], [0, 1, 3, 2]
_BRIGHT_FROM_HZ, _BRIGHTER = (500.0, 6000.0), (-0.5, 2.0)  # of an instrument that joins in: against the music, bels
_DARK_FROM, _DARK_FALLS = (-1.0, 3.5), (0.6, 4.0)  # octaves above 1 kHz; bels an octave: 6 to 40 dB
_MICROPHONE_ENDS, _MICROPHONE_FALLS = (1.5, 3.6), (4.0, 25.0)  # octaves above 1 kHz; bels an octave
_BED_BELOW = (1.5, 4.5)  # bels below what is over it
_FAINTEST = -9.0  # of what a microphone leaves above its end
_MIXED = (-1.5, 0.3)  # bels of another piece against the music
LOUDEST, SOFTEST = 0.0, -4.0  # of gains, as levels: 0 to -40 dB


@dataclass(frozen=True)
class LevelCropSettings:
    """Settings of how crops are drawn.

    Attributes:
        frames: length.
        equalised_share: share of crops with another equalisation.
        balanced_share: share of crops with another balance, some of them with one silent channel.
        darkened_share: share of crops whose highs fall off softly, as in old recordings and dark masters.
        joined_share: share of crops that a bright instrument joins in, damaged alike, anywhere between left and right:
            open music has little that is only on one side.
        turned_share: share of crops with one channel turned over.
        bed_share: share of undamaged crops that end where a microphone ends, over the faint bed of another.
        mixed_share: share of crops that another piece with the same damage is added to, in a timbre of its own: some
            hours of music are soon known by heart, their sums are not.
    """

    frames: int = 768
    equalised_share: float = 0.7
    balanced_share: float = 0.15
    darkened_share: float = 0.2
    joined_share: float = 0.2
    turned_share: float = 0.08
    bed_share: float = 0.25
    mixed_share: float = 0.4


class LevelCrops(Dataset[tuple[dict[str, Tensor], Tensor, Tensor]]):
    """Crops by number.

    Args:
        folder: of one split of a store.
        settings: how they are drawn.
        seed: of the random numbers.
        bands: what was measured.

    Raises:
        ValueError: the folder holds no item that is long enough.
    """

    def __init__(
        self, folder: Path, settings: LevelCropSettings, seed: int = 0, bands: LevelBands | None = None
    ) -> None:
        """List the folder; a group counts by the root of its amount, or a large one would drown all."""
        self.folder, self.settings, self.seed = folder, settings, seed
        self.bands = bands or LevelBands()
        self._curves = {part: np.log2(self.bands.centres_hz(part) / 1000) for part in self.bands.widths}
        self._keep(store.items_of(folder))

    def _keep(self, items: list[store.LevelItem], what: str = "or more") -> None:
        """Draw from these alone."""
        frames = self.settings.frames
        self.items = [item for item in items if item.frames >= frames]
        if not self.items:
            raise ValueError(f"folder must hold items of {frames} frames {what}, found none in {self.folder}")
        amount: dict[str, int] = {}
        for item in self.items:
            amount[item.group] = amount.get(item.group, 0) + item.frames
        self._alike: dict[str, list[store.LevelItem]] = {}
        for item in self.items:
            self._alike.setdefault(item.damage, []).append(item)
        self._chances = np.cumsum([item.frames * amount[item.group] ** -0.5 for item in self.items])

    def __len__(self) -> int:
        """More than any run needs."""
        return 2**62

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Draw one crop.

        Returns:
            Levels of the damaged music by part, those to be reached, and 1 for each band that has something to teach.

        Shape:
            parts ``(frames, *bands.widths[part])``; wanted ``(frames, 4, n_short)``; known ``(n_short,)``
        """
        item, begin, random = self._drawn(index)
        levels, wanted = store.read(self.folder, item, begin, self.settings.frames, self.bands)
        cut_hz = item.cut_hz
        if item.damage == store.UNDAMAGED and random.random() < self.settings.bed_share:
            levels = self._over_bed(levels, random)
            wanted = levels["short"]
        if random.random() < self.settings.mixed_share:
            levels, wanted, cut_hz = self._mixed(levels, wanted, item, random)
        if random.random() < self.settings.joined_share:
            levels, wanted, cut_hz = self._joined(levels, wanted, item, cut_hz, random)
        if random.random() < self.settings.balanced_share:
            levels, wanted = _balanced(levels, wanted, random)
        if random.random() < 0.5:
            levels, wanted = _rearranged(levels, _SWAPPED), wanted[:, _SWAPPED]
        if random.random() < self.settings.turned_share:
            levels, wanted = _rearranged(levels, _TURNED), wanted[:, _TURNED]
        levels, wanted = self._played(levels, wanted, "short", random)
        known = self.bands.known_below(cut_hz)
        parts = {name: torch.from_numpy(part) for name, part in levels.items()}
        return parts, torch.from_numpy(wanted), torch.from_numpy(known)

    def _drawn(self, index: int) -> tuple[store.LevelItem, int, np.random.Generator]:
        """Draw an item, the frame to begin with, and what is random about the rest."""
        random = np.random.default_rng((self.seed, index))
        place = int(np.searchsorted(self._chances, random.random() * self._chances[-1], "right"))
        item = self.items[place]
        return item, int(random.integers(item.frames - self.settings.frames + 1)), random

    def _over_bed(self, levels: Levels, random: np.random.Generator) -> Levels:
        """A voice through a microphone that ends somewhere, over a bed that goes on: a codec would have emptied it."""
        bed, _, _ = self._alike_crop(store.UNDAMAGED, random)
        ends, falls = random.uniform(*_MICROPHONE_ENDS), random.uniform(*_MICROPHONE_FALLS)
        loudness, its = (np.log10((10 ** one["short"][:, :2]).mean() + FLOOR) for one in (levels, bed))
        gain = np.float32(loudness - its - random.uniform(*_BED_BELOW))
        turned = {}
        for name, part in levels.items():
            curve = -(falls * (self._curves[name] - ends)).clip(0.0, -_FAINTEST).astype(np.float32)
            powers = 10 ** (part + curve) + 10 ** (bed[name] + gain).clip(max=0.0) + FLOOR
            turned[name] = np.log10(powers).astype(np.float32)
        return turned

    def _alike_crop(
        self, damage: str, random: np.random.Generator
    ) -> tuple[Levels, NDArray[np.float32], store.LevelItem]:
        """Any crop with that damage: levels, those to be reached, and of what it is."""
        others = self._alike[damage]
        other = others[int(random.integers(len(others)))]
        begin = int(random.integers(other.frames - self.settings.frames + 1))
        return *store.read(self.folder, other, begin, self.settings.frames, self.bands), other

    def _mixed(
        self, levels: Levels, wanted: NDArray[np.float32], item: store.LevelItem, random: np.random.Generator
    ) -> tuple[Levels, NDArray[np.float32], float]:
        """Two pieces at once: what has nothing in common adds by its powers, in each channel as in mid and side.

        Returns:
            Levels of both, those to be reached, and where the first of both ends, in hertz.
        """
        its_levels, its_wanted, other = self._alike_crop(item.damage, random)
        its_levels, its_wanted = self._in_timbre(its_levels, its_wanted, "short", random)
        loudness, its = (np.log10((10 ** one[:, :2]).mean() + FLOOR) for one in (wanted, its_wanted))
        gain = np.float32(loudness - its + random.uniform(*_MIXED))
        added = {name: _with_powers(part, its_levels[name] + gain) for name, part in levels.items()}
        return added, _with_powers(wanted, its_wanted + gain), min(item.cut_hz, other.cut_hz)

    def _joined(
        self,
        levels: Levels,
        wanted: NDArray[np.float32],
        item: store.LevelItem,
        cut_hz: float,
        random: np.random.Generator,
    ) -> tuple[Levels, NDArray[np.float32], float]:
        """An instrument joins in: the highs of another crop with the same damage, from one place.

        Returns:
            Levels of both, those to be reached, and where the first of both ends, in hertz.
        """
        its_levels, its_wanted, other = self._alike_crop(item.damage, random)
        angle = random.choice([0.0, random.uniform(0.0, np.pi / 2), np.pi / 2])
        left, right = np.cos(angle), np.sin(angle)
        places = np.array([left**2, right**2, (left + right) ** 2 / 2, (left - right) ** 2 / 2], np.float32)
        begins = float(np.log2(random.uniform(*_BRIGHT_FROM_HZ) / 1000))

        def curve(part: str) -> NDArray[np.float32]:
            octaves = self._curves[part] - begins
            return (4 * octaves.clip(-2.0, 0.0)).astype(np.float32)

        highs = self._curves["short"] > begins
        loudness, its = (np.log10((10 ** one[:, :2][..., highs]).mean() + FLOOR) for one in (wanted, its_wanted))
        gain = np.float32(loudness - its + random.uniform(*_BRIGHTER))
        added = {
            name: _summed(part, its_levels[name][_LEFT[name]] + curve(name) + gain, places, axis)
            for name, part, axis in [*_with_signals(levels), ("fast", levels["fast"], 1)]
        }
        wanted = _summed(wanted, its_wanted[:, :1] + curve("short") + gain, places, 1)
        return {name: added[name] for name in levels}, wanted, min(cut_hz, other.cut_hz)

    def _played(
        self, levels: Levels, wanted: NDArray[np.float32], part: str, random: np.random.Generator
    ) -> tuple[Levels, NDArray[np.float32]]:
        """Another loudness, and another timbre.

        Args:
            levels: of the damaged music.
            wanted: levels of the clean music, bands last.
            part: whose bands these are.
            random: what is drawn from.
        """
        gain = np.float32(random.uniform(SOFTEST, LOUDEST) * random.random())
        levels, wanted = self._in_timbre(levels, wanted, part, random)
        return {name: of_part + gain for name, of_part in levels.items()}, wanted + gain

    def _in_timbre(
        self, levels: Levels, wanted: NDArray[np.float32], part: str, random: np.random.Generator
    ) -> tuple[Levels, NDArray[np.float32]]:
        """Another timbre: a smooth curve over the octaves, brighter more often than darker.

        Args:
            levels: of the damaged music.
            wanted: levels of the clean music, bands last.
            part: whose bands these are.
            random: what is drawn from.
        """
        points, bends, tilt = np.arange(-6, 6), np.zeros(12), 0.0
        if random.random() < self.settings.equalised_share:
            bends, tilt = random.normal(0, 0.3, 12), random.uniform(-0.3, 0.4)
        begins, falls = random.uniform(*_DARK_FROM), 0.0
        if random.random() < self.settings.darkened_share:
            falls = random.uniform(*_DARK_FALLS)

        def curve(part: str) -> NDArray[np.float32]:
            octaves = self._curves[part]
            bent = np.interp(octaves, points, bends) + tilt * octaves.clip(0, 5)
            return (bent - falls * (octaves - begins).clip(0)).astype(np.float32)

        return {name: part + curve(name) for name, part in levels.items()}, wanted + curve(part)


class LikenessCrops(LevelCrops):
    """Crops by number, to learn the correction from."""

    def __init__(
        self, folder: Path, settings: LevelCropSettings, seed: int = 0, bands: LevelBands | None = None
    ) -> None:
        """List what was measured with its likeness.

        Raises:
            ValueError: the folder holds none that is long enough.
        """
        super().__init__(folder, settings, seed, bands)
        self._keep([item for item in self.items if store.has_likeness(folder, item)], "measured with its likeness")

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Draw one crop.

        Returns:
            Levels of the damaged music by part; levels of the clean music, left and right; the distance of both.

        Shape:
            parts ``(frames, *bands.widths[part])``; twice ``(frames, 2, n_long)``
        """
        item, begin, random = self._drawn(index)
        levels, _ = store.read(self.folder, item, begin, self.settings.frames, self.bands)
        wanted, distance = np.moveaxis(store.read_likeness(self.folder, item, begin, self.settings.frames), 2, 0)
        if random.random() < 0.5:
            levels, wanted, distance = _rearranged(levels, _SWAPPED), wanted[:, ::-1], distance[:, ::-1]
        levels, wanted = self._played(levels, wanted, "long", random)
        parts = {name: torch.from_numpy(part) for name, part in levels.items()}
        return parts, torch.from_numpy(wanted), torch.from_numpy(np.ascontiguousarray(distance))


def _rearranged(levels: Levels, order: list[int]) -> Levels:
    """Signals in another order."""
    turned = {name: part[:, order] for name, part in levels.items() if name in ("long", "short")}
    turned["fast"], turned["slow"] = levels["fast"][:, order[:2]], levels["slow"][:, :, order]
    return {name: turned[name] for name in levels}


def _balanced(
    levels: Levels, wanted: NDArray[np.float32], random: np.random.Generator
) -> tuple[Levels, NDArray[np.float32]]:
    """One channel softer by 3 dB or more, or silent."""
    gains = np.ones(2, np.float32)
    gains[random.integers(2)] = 0.0 if random.random() < 0.4 else 10 ** (-random.uniform(0.15, 1.5))
    turned = {name: _weighted(part, gains, axis) for name, part, axis in _with_signals(levels)}
    fast = np.log10(10 ** levels["fast"] * np.square(gains)[:, None, None] + FLOOR)
    return {**levels, **turned, "fast": fast.astype(np.float32)}, _weighted(wanted, gains, 1)


_LEFT = {part: np.s_[:, :, :1] if part == "slow" else np.s_[:, :1] for part in ("long", "short", "fast", "slow")}


def _with_powers(
    part: NDArray[np.float32], other: NDArray[np.float32], share: NDArray[np.float32] | float = 1.0
) -> NDArray[np.float32]:
    """Powers of both, of the other by its share. Shape: any, what broadcasts to it twice -> the same."""
    both: NDArray[np.float32] = np.log10(10**part + 10 ** np.minimum(other, 0.0) * share + FLOOR).astype(np.float32)
    return both


def _summed(
    part: NDArray[np.float32], other: NDArray[np.float32], places: NDArray[np.float32], axis: int
) -> NDArray[np.float32]:
    """Powers of signals, and of one more by how much of it is in each."""
    shape = [1] * part.ndim
    shape[axis] = part.shape[axis]
    return _with_powers(part, other, places[: part.shape[axis]].reshape(shape))


def _with_signals(levels: Levels) -> list[tuple[str, NDArray[np.float32], int]]:
    return [("long", levels["long"], 1), ("short", levels["short"], 1), ("slow", levels["slow"], 2)]


def _weighted(part: NDArray[np.float32], gains: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Powers of left and right by their gains; what they have in common, by both, tells mid and side."""
    left, right, mid, side = np.moveaxis(10**part, axis, 0)
    left, right, common = left * gains[0] ** 2, right * gains[1] ** 2, (mid - side) / 2 * gains.prod()
    half = (left + right) / 2
    common = np.clip(common, -half, half)
    stacked = np.stack([left, right, half + common, half - common], axis=axis)
    return np.log10(stacked + FLOOR).astype(np.float32)
