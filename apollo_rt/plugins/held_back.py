"""The latency of what takes blocks and returns them later, in samples, is found out by trying."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_TRIAL_S, _LONGER_TRIAL_S = 0.25, 3.0
"""How long it is tried: longer where something is held back, for how much may vary (a Resample: 420 to 423 samples)."""


def most_held_back(
    process: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    shape: tuple[int, int],
    sample_rate: float,
    longest_s: float,
) -> tuple[int, int]:
    """Send an impulse in silence through it; it must be as new, and must forget that afterwards.

    Args:
        process: takes a block, and returns none, some or all of its samples, or more of earlier ones.
        shape: of the blocks, (channels, samples).
        sample_rate: Hz.
        longest_s: seconds of sound that it may hold back.

    Returns:
        The most samples that were ever held back, and how many samples behind its place among what came out the impulse
        was loudest: 0 where a latency is cut off.

    Raises:
        ValueError: it holds back more.
    """
    silence, impulse = np.zeros((2, *shape), np.float32)
    impulse[:, 0] = 0.25
    n_in, n_out, most, out = 0, 0, 0, []
    while n_in < sample_rate * (_LONGER_TRIAL_S if most else _TRIAL_S) + 2 * most:
        # In the second block: what makes a first one something special isn't measured.
        out.append(process(impulse if n_in == shape[1] else silence))
        n_in, n_out = n_in + shape[1], n_out + out[-1].shape[-1]
        most = max(most, n_in - n_out)
        if most > longest_s * sample_rate:
            raise ValueError(f"holds back more than {longest_s:g} s")
    levels = np.abs(np.concatenate([part.reshape(shape[0], -1) for part in out], axis=1)).max(axis=0)
    # What swallows an impulse, as a gate does, tells nothing.
    return most, int(np.argmax(levels)) - shape[1] if levels.any() else 0
