"""Items: a long stretch of clean music beside its damaged copy, mixed on line from stores.

    even numbers   a stretch of a real mixture; what there is little of comes more often than its length would give it
    odd numbers    1 to 8 stems of different songs, -10 to +10 dB, some with another tone and room
           |
    slope of the spectrum, level, fades -> one or two lossy codecs over the whole stretch -> cut -> alignment checked

Item number n of a seed is always the same item. Half of the items are real mixtures and half are sums of
stems, as published; where there are only mixtures or only stems, all are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.data import damages, mixing
from training.data.alignment import refuse_shifted
from training.data.audio import SAMPLE_RATE, Audio
from training.data.damage_kinds import Stage, label
from training.data.degrade import degrade_in_turn
from training.data.recordings import MIXTURE
from training.data.stores import Store

LEAD = SAMPLE_RATE
"""Samples encoded before an item and cut off: 38 MP3 frames, far more than a bit reservoir holds."""

TAIL = SAMPLE_RATE // 2
"""Samples encoded after it and cut off: the last frames have nothing to look ahead to."""

MIXED = "stems"
"""The group of items that are sums of stems."""


@dataclass(frozen=True)
class ItemSettings:
    """Settings of making items.

    Args:
        seconds: Length aimed at; a run of music is cut into equal parts near it.
        mixture_share: Share of items that are real mixtures, 0 to 1, where there are stems too.
        max_stems: Of a sum.
        treated_share: Share of the sums whose stems get effects and which are mastered; the others are plain sums.
        tilted_share: Share of items whose spectrum gets another slope before they are encoded: the codec then
            leaves what it leaves of bright or dull music, which no equaliser after it can imitate.
        slopes_db: Least and greatest of those, in decibels per octave above 1 kHz.
        quiet_share: Share of items encoded at a level of -40 dB to 0 dB; the others stay as they are.
        clipped_share: Share of items clipped by up to 6 dB before they are encoded.
        faded_share: Share of items with a fade or a silence before they are encoded.
    """

    seconds: float = 38.0
    mixture_share: float = 0.5
    max_stems: int = 8
    treated_share: float = 0.6
    tilted_share: float = 0.5
    slopes_db: tuple[float, float] = (-2.0, 8.0)
    quiet_share: float = 0.15
    clipped_share: float = 0.05
    faded_share: float = 0.1

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            ValueError: A setting is out of them.
        """
        if not 3.0 <= self.seconds <= 600.0:
            raise ValueError(f"seconds must be 3 to 600, got {self.seconds}")
        if not 0.0 <= self.mixture_share <= 1.0:
            raise ValueError(f"mixture_share must be 0 to 1, got {self.mixture_share}")
        if self.max_stems < 1:
            raise ValueError(f"max_stems must be at least 1, got {self.max_stems}")


@dataclass(frozen=True)
class Stretch:
    """A part of one store, with the music before and after it that is encoded too."""

    store: Store
    begin: int
    end: int

    def read(self) -> Audio:
        """Shape: ``(samples, 2)``."""
        return self.store.read(self.begin, self.end)


@dataclass(frozen=True)
class Item:
    """A finished item.

    Args:
        name: Group, recording and start in seconds, or `stems`; number and damage; joined by ``__``.
        sources: Where the music came from.
        licences: Of those.
        damages: What was done, in order.
        misalignment: In samples.
        clean: ``(samples, 2)``
        damaged: ``(samples, 2)``
    """

    name: str
    sources: tuple[str, ...]
    licences: tuple[str, ...]
    damages: tuple[Stage, ...]
    misalignment: float
    clean: Audio
    damaged: Audio


class Items:
    """The items of one split.

    Args:
        stores: Mixtures and stems.
        settings: How items are made.
        seed: Of everything drawn.

    Raises:
        ValueError: There is no music.
    """

    def __init__(self, stores: Sequence[Store], settings: ItemSettings, seed: int) -> None:
        self._settings, self._seed = settings, seed
        mixtures = [store for store in stores if store.source == MIXTURE]
        self._stretches = _evened_out([part for store in mixtures for part in stretches(store, settings.seconds)])
        self._stems: dict[str, list[Store]] = defaultdict(list)
        for store in stores:
            if store.source != MIXTURE:
                self._stems[f"{store.group}/{store.recording}"].append(store)
        if not self._stretches and not self._stems:
            raise ValueError("there is no music in this split: nothing was active, or all was left out")

    @property
    def one_pass(self) -> int:
        """Number of items until every stretch of a mixture has been taken; small groups come repeatedly."""
        if not self._stems:
            return len(self._stretches)
        return round(len(self._stretches) / max(self._mixture_share, 1e-3)) if self._stretches else len(self._stems)

    def make(self, index: int) -> Item:
        """Make one item.

        Raises:
            AlignmentError: Clean and damaged are shifted against each other.
            ValueError: The music drawn is silent.
        """
        random = np.random.default_rng((self._seed, index))
        before, turn = (int(number * self._mixture_share) for number in (index, index + 1))
        if turn > before:
            stretch = self._stretches[self._nth(before)]
            name, parts, music = _stretch_name(stretch), [stretch], stretch.read()
        else:
            parts = self._draw_stems(random)
            name, music = MIXED, self._mixed(parts, random)
        music = self._played(music, random)
        if np.abs(music).max(initial=0.0) < 1e-4:
            raise ValueError("silent")
        drawn = damages.draw(random)
        clean, damaged, shift = damage_inside(music, drawn)
        sources = tuple(f"{part.store.group}/{part.store.recording}/{part.store.source}" for part in parts)
        licences = tuple(sorted({part.store.licence for part in parts}))
        return Item(f"{name}__{index:07d}__{label(drawn)}", sources, licences, drawn, shift, clean, damaged)

    @property
    def _mixture_share(self) -> float:
        if not self._stretches or not self._stems:
            return float(bool(self._stretches))
        return self._settings.mixture_share

    def _nth(self, turn: int) -> int:
        """The stretch of the n-th turn: every pass takes all in the list, each time in another order."""
        round_, place = divmod(turn, len(self._stretches))
        return int(np.random.default_rng((self._seed, 1, round_)).permutation(len(self._stretches))[place])

    def _draw_stems(self, random: np.random.Generator) -> list[Stretch]:
        """One stem each of 1 to `max_stems` different songs."""
        songs = sorted(self._stems)
        count = int(random.integers(1, min(self._settings.max_stems, len(songs)) + 1))
        length = round(self._settings.seconds * SAMPLE_RATE) + LEAD + TAIL
        drawn = []
        for song in random.choice(len(songs), count, replace=False):
            stems = self._stems[songs[song]]
            store = stems[random.integers(len(stems))]
            run = max(
                (store.runs[random.integers(len(store.runs))] for _ in range(2)), key=lambda run: run.end - run.begin
            )
            start = int(random.integers(run.begin, max(run.begin, run.end - length) + 1))
            drawn.append(Stretch(store, start, min(run.end, start + length)))
        return drawn

    def _mixed(self, parts: Sequence[Stretch], random: np.random.Generator) -> Audio:
        """The sum of stems, some treated and mastered; one that is short comes in and goes out within it."""
        treated = random.random() < self._settings.treated_share
        length = max(part.end - part.begin for part in parts)
        stems = []
        for part in parts:
            stem = _eased(part.read())
            stem = mixing.treat(stem, random) if treated else stem
            late = int(random.integers(0, length - len(stem) + 1))
            stems.append(np.pad(stem, ((late, length - late - len(stem)), (0, 0))))
        mixed, _ = mixing.mix(stems, random)
        return mixing.master(mixed, random) if treated else mixed

    def _played(self, music: Audio, random: np.random.Generator) -> Audio:
        """Slope, level and fades before the codec, whose noise follows them; full scale is never passed."""
        settings = self._settings
        if random.random() < settings.tilted_share:
            music = mixing.tilt(music, float(random.uniform(*settings.slopes_db)))
        peak = max(float(np.abs(music).max(initial=0.0)), 1e-9)
        music = music / np.float32(max(peak, 1.0))
        if random.random() < settings.clipped_share:
            music = np.clip(music * np.float32(10 ** (random.uniform(0, 6) / 20) / min(peak, 1.0)), -1, 1)
        elif random.random() < settings.quiet_share:
            music = music * np.float32(10 ** (random.uniform(-40, 0) / 20))
        return mixing.fade(music, random) if random.random() < settings.faded_share else music


def stretches(store: Store, seconds: float) -> list[Stretch]:
    """Cut the runs of a store into equal stretches of about so many seconds, with lead and tail inside."""
    found = []
    for run in store.runs:
        usable = run.end - run.begin - LEAD - TAIL
        count = max(1, round(usable / (seconds * SAMPLE_RATE)))
        for part in range(count):
            begin, end = (run.begin + usable * edge // count for edge in (part, part + 1))
            found.append(Stretch(store, begin, end + LEAD + TAIL))
    return found


def _evened_out(parts: Sequence[Stretch]) -> list[Stretch]:
    """Those of smaller groups repeatedly: a group gets a share by the root of its length.

    By length alone, half an hour by a dozen authors would be 3 % of a corpus of synthetic songs, and a net that hears
    each of their songs for seconds learns it by heart.
    """
    counts = Counter(part.store.group for part in parts)
    most = max(counts.values(), default=0)
    return [part for part in parts for _ in range(round((most / counts[part.store.group]) ** 0.5))]


def damage_inside(music: Audio, chain: Sequence[Stage]) -> tuple[Audio, Audio, float]:
    """Damage a stretch, cut lead and tail off, and prove that nothing moved.

    Returns:
        Clean, damaged, and the misalignment in samples.

    Shape:
        music: ``(samples, 2)``; clean and damaged: ``(samples - LEAD - TAIL, 2)``

    Raises:
        AlignmentError: Clean and damaged are shifted against each other.
    """
    inside = slice(LEAD, len(music) - TAIL)
    clean, damaged = music[inside], degrade_in_turn(music, chain)[inside]
    return clean, damaged, refuse_shifted(clean, damaged, len(chain), label(chain))


def _stretch_name(stretch: Stretch) -> str:
    """Group, recording and start in seconds."""
    return f"{stretch.store.group}__{stretch.store.recording}__{(stretch.begin + LEAD) // SAMPLE_RATE:04d}"


def _eased(stem: Audio) -> Audio:
    """A few milliseconds of fade at both ends, so that a stem doesn't begin with a click."""
    ramp = np.linspace(0, 1, min(len(stem), SAMPLE_RATE // 100), dtype=np.float32)[:, None]
    stem[: len(ramp)] *= ramp
    stem[len(stem) - len(ramp) :] *= ramp[::-1]
    return stem
