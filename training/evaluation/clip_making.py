"""Clips are made with levels, slopes of the spectrum, noise and a bed of outdoor sound; all of it seeded."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.data.audio import SAMPLE_RATE, Audio

LENGTH = 10 * SAMPLE_RATE
_EDGE = SAMPLE_RATE // 2  # mirrored on both sides, so that a filter doesn't bring the end to the beginning


def level_db(audio: Audio) -> float:
    """Root mean square level in dB of full scale; silence is -200."""
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-20))


def at_level(audio: Audio, wanted_db: float) -> Audio:
    """Scales audio to a root mean square level in dB of full scale."""
    return audio * np.float32(10 ** ((wanted_db - level_db(audio)) / 20))


def above(audio: Audio, hz: float) -> Audio:
    """Keeps what lies above a frequency. Shape: (samples, channels) -> the same."""
    return _filtered(audio, lambda bins_hz: (bins_hz >= hz).astype(float))


def sloped(audio: Audio, corner_hz: float, db_an_octave: float) -> Audio:
    """Lets the spectrum fall (below 0) or rise from a frequency on. Shape: (samples, channels) -> the same."""
    return _filtered(audio, lambda bins_hz: 10 ** (db_an_octave / 20 * np.log2(np.maximum(bins_hz / corner_hz, 1.0))))


def noise(random: np.random.Generator, corner_hz: float = 50.0, db_an_octave: float = -3.0) -> Audio:
    """Noise with nothing in common between the channels, pink from 50 Hz on if nothing else is said."""
    return sloped(random.standard_normal((LENGTH, 2)).astype(np.float32), corner_hz, db_an_octave)


def outdoors(random: np.random.Generator) -> Audio:
    """Wide outdoor sound: wind that comes and goes on either side, and birds here and there between 3 and 7 kHz."""
    seconds = np.arange(LENGTH // SAMPLE_RATE + 1)
    time_s = np.arange(LENGTH) / SAMPLE_RATE
    gusts_db = np.stack([np.interp(time_s, seconds, random.uniform(-5, 5, len(seconds))) for _ in range(2)], axis=1)
    bed = at_level(noise(random) * 10 ** (gusts_db / 20).astype(np.float32), 0.0)
    for _ in range(25):
        start, place = int(random.integers(0, LENGTH - SAMPLE_RATE // 4)), float(random.uniform(0, np.pi / 2))
        song = np.outer(_chirp(random), (np.cos(place), np.sin(place)))
        bed[start : start + len(song)] += song.astype(np.float32)
    return bed


def _chirp(random: np.random.Generator) -> NDArray[np.float64]:
    """A bird's note: an eighth of a second that glides and trembles."""
    time_s = np.arange(SAMPLE_RATE // 8) / SAMPLE_RATE
    from_hz, to_hz = random.uniform(3_000, 7_000, 2)
    hz = from_hz + (to_hz - from_hz) * time_s / time_s[-1] + 150 * np.sin(2 * np.pi * 40 * time_s)
    return 0.5 * np.hanning(len(time_s)) * np.sin(2 * np.pi * np.cumsum(hz) / SAMPLE_RATE)


def _filtered(audio: Audio, gains: Callable[[NDArray[np.floating]], NDArray[np.floating]]) -> Audio:
    """Filters without delay."""
    padded = np.pad(audio, ((_EDGE, _EDGE), (0, 0)), mode="reflect")
    bins_hz = np.fft.rfftfreq(len(padded), 1 / SAMPLE_RATE)
    shaped = np.fft.irfft(np.fft.rfft(padded, axis=0) * gains(bins_hz)[:, None], len(padded), axis=0)
    return shaped[_EDGE : _EDGE + len(audio)].astype(np.float32)
