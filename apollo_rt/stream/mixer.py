"""Mixer: wet and dry, crossfaded per sample by one gain, and the guard behind it.

Bypass, mix, a missing hop and its recovery all move the same gain, by at most `1 / FADE_LENGTH` per sample:

    target   what the user asks for, 0 in bypass       gain  ------.             .------
    limit    wet samples left / FADE_LENGTH                         `-._________.-'
                                                       wet   ============|       |=========

The limit reaches 0 with the last wet sample, so a miss never steps. Wet and dry are aligned and correlated: the gains
add up to one in amplitude, not in power.
"""

import math

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import realtime
from apollo_rt.latency import FADE_LENGTH

_STEP = 1.0 / FADE_LENGTH
FULL_SCALE = np.float32(1.0)
_LOUDEST_SAMPLE = np.float32(1e6)


@realtime
def crossfade(
    dry: NDArray[np.float32], wet: NDArray[np.float32], n_wet: int, target: float, gain: float, out: NDArray[np.float32]
) -> tuple[float, int]:
    """Mix one stretch of samples; at a gain of exactly 0 or 1 a signal passes bit for bit.

    Args:
        dry: the delayed input.
        wet: the restored signal, aligned with it; read only where it counts.
        n_wet: how many wet samples are there from the beginning of this stretch on, those behind it included; 0 if its
            first is missing (then none of the stretch may be there).
        target: gain of the wet signal that the user asks for, 0 to 1.
        gain: the gain that the stretch before ended with.
        out: the mixture.

    Returns:
        The gain at the end, and in how many samples the target was out of reach because wet samples were missing.

    Shape:
        all `(samples, 2)`
    """
    n_covered = 0
    for index in range(out.shape[0]):
        limit = max(n_wet - index, 0) * _STEP
        reach = max(min(target, gain + _STEP), gain - _STEP)
        gain = min(reach, limit)
        n_covered += limit < target
        for channel in range(2):
            if gain == 0.0:
                out[index, channel] = dry[index, channel]
            else:
                mixed = gain * wet[index, channel] + (1.0 - gain) * dry[index, channel]
                out[index, channel] = np.float32(mixed)
    return gain, n_covered


@realtime
def replace_faults(block: NDArray[np.float32]) -> tuple[int, int, int]:
    """Put 0 in place of every value that is no audio: not finite, or beyond +-1e6.

    Returns:
        How many there were, and the first and the end of the stretch that holds them all.
    """
    n_faults, first, end = 0, 0, 0
    for index in range(block.shape[0]):
        for channel in range(2):
            if not abs(block[index, channel]) <= _LOUDEST_SAMPLE:
                block[index, channel] = 0.0
                first = index if n_faults == 0 else first
                n_faults, end = n_faults + 1, index + 1
    return n_faults, first, end


@realtime
def clip(block: NDArray[np.float32]) -> int:
    """Hold samples at full scale; returns how many (counted once if both channels were beyond).

    A plain clip, which is what every converter does: a softer knee would change all loud music, bypass included.
    """
    n_clipped = 0
    for index in range(block.shape[0]):
        beyond = False
        for channel in range(2):
            value = block[index, channel]
            if abs(value) > FULL_SCALE:
                block[index, channel] = math.copysign(FULL_SCALE, value)
                beyond = True
        n_clipped += beyond
    return n_clipped
