"""Leakage into silence: what is heard in a channel without music, or between two pieces."""

import numpy as np
from numpy.typing import NDArray

from training.data.audio import SAMPLE_RATE, Audio

SILENCE_DB = -90.0
"""Level, in dB of full scale, under which a channel holds nothing but the rounding to 16 bits."""

_SILENCE = 10 ** (SILENCE_DB / 10)
_LOWEST = 1e-15
_BLOCK = SAMPLE_RATE // 10
_FEWEST = 5
"""Blocks without music that a channel must have: half a second."""


def is_silent(channel: NDArray[np.float32]) -> bool:
    """Says whether there is nothing in a channel. Shape: (samples,)."""
    return _power(channel) < _SILENCE


def leakage_db(ours: Audio, clean: Audio) -> float | None:
    """Measures the level of what a system lets be heard where the original is silent.

    Only tenths of a second are looked at whose neighbours are silent too: a codec may smear what it keeps that far.

    Returns:
        In dB of full scale, of the channel where there is more of it; None where the original is never silent.

    Shape:
        (samples, 2), the same
    """
    found = [_leakage(ours[:, channel], clean[:, channel]) for channel in range(clean.shape[1])]
    powers = [power for power in found if power is not None]
    return float(10 * np.log10(max(*powers, _LOWEST))) if powers else None


def _leakage(ours: NDArray[np.float32], clean: NDArray[np.float32]) -> float | None:
    silent = np.array([is_silent(block) for block in _blocks(clean)], bool)
    padded = np.pad(silent, 1, constant_values=True)
    chosen = padded[:-2] & silent & padded[2:]
    if chosen.sum() < _FEWEST:
        return None
    return _power(_blocks(ours)[chosen])


def _blocks(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    return channel[: len(channel) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)


def _power(samples: NDArray[np.float32]) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
