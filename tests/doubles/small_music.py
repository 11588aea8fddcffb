"""Music of a few seconds, made in no time: bursts of tones at random over faint white noise."""

import functools
from pathlib import Path

import numpy as np
import soundfile

from training.data.audio import SAMPLE_RATE, Audio


@functools.cache
def _song(seed: int, seconds: float) -> Audio:
    random = np.random.default_rng((5, seed))
    audio = random.standard_normal((int(seconds * SAMPLE_RATE), 2)).astype(np.float32) * np.float32(0.01)
    burst = SAMPLE_RATE // 4
    time_s = np.arange(burst) / SAMPLE_RATE
    for start in random.integers(0, len(audio) - burst, int(10 * seconds)):
        tone = np.sin(2 * np.pi * 10 ** random.uniform(2, 3.6) * time_s) * np.exp(-8 * time_s)
        audio[start : start + burst] += np.outer(tone, random.uniform(0.02, 0.15, 2)).astype(np.float32)
    return audio


def song(seed: int, seconds: float = 8.0) -> Audio:
    """The same music for the same seed.

    Shape:
        result: ``(samples, 2)``
    """
    return _song(seed, seconds).copy()


def write_musdb(folder: Path, split: str, title: str, seed: int) -> Path:
    """A song as MUSDB18-HQ has it; returns its folder."""
    place = folder / split / title
    place.mkdir(parents=True)
    stems = {name: 0.5 * song(4 * seed + index) for index, name in enumerate(("drums", "bass", "other", "vocals"))}
    for name, audio in {**stems, "mixture": np.sum(list(stems.values()), axis=0)}.items():
        soundfile.write(place / f"{name}.wav", audio, SAMPLE_RATE, "FLOAT")
    return place
