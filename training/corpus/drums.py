"""Drum loops: samples of real and electronic kits, played in patterns drawn at random."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data.audio import SAMPLE_RATE, Audio, load

_STEPS = 16
"""Of a bar: sixteenths."""

_ENDINGS = (".wav", ".flac", ".aiff")
_LONGEST_S = 4.0

_ROLES: tuple[tuple[str, tuple[str, ...], tuple[float, ...]], ...] = (
    ("kick", ("bd", "kick", "bass", "drum_heavy", "thump"), (1, 0, 0, 0.1, 0.6, 0, 0.2, 0.1)),
    ("snare", ("sd", "sn", "clap", "rim", "slap", "rs_"), (0, 0, 0.05, 0.1, 1, 0, 0.05, 0.15)),
    ("hat", ("hh", "hat", "shak", "tick", "_cl", "pedal"), (0.9, 0.4, 0.8, 0.4, 0.9, 0.4, 0.8, 0.4)),
    ("cymbal", ("crash", "ride", "cym", "ho_", "china", "splash", "bell", "open"), (0.2, 0, 0.1, 0, 0.15, 0, 0.15, 0)),
    ("other", ("",), (0.1, 0.06, 0.12, 0.06, 0.1, 0.06, 0.12, 0.1)),
)
"""Role, what the file names say, and how probable a hit is on each of eight sixteenths (twice a bar)."""


@dataclass(frozen=True)
class Kit:
    """One folder of samples: its files by role."""

    name: str
    samples: dict[str, tuple[Path, ...]]


def kits(*folders: Path) -> list[Kit]:
    """Every folder below these that holds samples, as a kit; loops aren't single hits and stay out."""
    found = []
    for folder in sorted({file.parent for root in folders for file in root.rglob("*") if _is_hit(file)}):
        files = sorted(file for file in folder.iterdir() if _is_hit(file))
        by_role: dict[str, list[Path]] = {role: [] for role, _, _ in _ROLES}
        for file in files:
            by_role[_role(file)].append(file)
        found.append(
            Kit(folder.name.replace(" ", ""), {role: tuple(paths) for role, paths in by_role.items() if paths})
        )
    return found


def render(kit: Kit, seconds: float, random: np.random.Generator) -> list[Audio]:
    """Play a kit: a pattern of one bar for each role, with a variation every fourth bar.

    Args:
        kit: What is played.
        seconds: Length.
        random: Decides on tempo, swing, pattern and samples.

    Returns:
        One stem for each role of the kit.

    Shape:
        stems: ``(samples, 2)``
    """
    step_s = 60 / float(random.uniform(75, 175)) / 4
    swing_s = step_s * float(random.choice([0.0, random.uniform(0.05, 0.3)]))
    stems = []
    for role, _, chances in _ROLES:
        if role not in kit.samples:
            continue
        stem = np.zeros((round((seconds + _LONGEST_S) * SAMPLE_RATE), 2), np.float32)
        chosen = [_sample(path) for path in random.choice(np.array(kit.samples[role], object), 3)]
        for step, velocity in _hits(np.array(chances), seconds, step_s, random):
            start = round((step * step_s + swing_s * (step % 2)) * SAMPLE_RATE)
            sample = chosen[0] if random.random() < 0.7 else chosen[random.integers(len(chosen))]
            sample = sample[: len(stem) - start]
            stem[start : start + len(sample)] += sample * np.float32(velocity)
        stems.append(stem[: round(seconds * SAMPLE_RATE)])
    return stems


def _hits(
    chances: np.ndarray, seconds: float, step_s: float, random: np.random.Generator
) -> Iterator[tuple[int, float]]:
    """Step and velocity of each hit."""
    bar = random.random(_STEPS) < np.tile(chances, 2)
    for step in range(int(seconds / step_s)):
        if step % (4 * _STEPS) == 3 * _STEPS:
            varied = random.random(_STEPS) < np.tile(chances, 2)
        in_fill = step // _STEPS % 4 == 3
        if (varied if in_fill else bar)[step % _STEPS]:
            yield step, float(random.uniform(0.6, 1.0)) * (1.0 if step % 4 == 0 else 0.7)


def _is_hit(file: Path) -> bool:
    return file.suffix.lower() in _ENDINGS and not file.name.startswith(("loop", "ambi", "empty", "misc"))


def _role(file: Path) -> str:
    name = file.stem.lower()
    return next(role for role, marks, _ in _ROLES if any(mark in name for mark in marks))


@functools.lru_cache(maxsize=256)
def _sample(path: Path) -> Audio:
    """One hit, cut at its longest and faded out."""
    audio = load(path)[: round(_LONGEST_S * SAMPLE_RATE)].copy()
    fade = min(len(audio), SAMPLE_RATE // 50)
    audio[len(audio) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
    return audio
