"""Sample guard: puts silence in place of what is no audio where samples come in, and bounds them where they go out.

What is no audio is a value that is not finite, or beyond +-1e6 (+120 dB of full scale): far beyond any sound, and small
enough that no spectrum of it overflows.
"""

import math

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import realtime

FULL_SCALE = np.float32(1.0)
LOUDEST_SAMPLE = np.float32(1e6)


@realtime
def replace_faults(block: NDArray[np.float32]) -> tuple[int, int, int]:
    """Put 0 in place of every value that is no audio.

    Returns:
        How many there were, and the first and the end of the stretch that holds them all.

    Shape:
        (samples, 2)
    """
    n_faults, first, end = 0, 0, 0
    for index in range(block.shape[0]):
        for channel in range(2):
            if not abs(block[index, channel]) <= LOUDEST_SAMPLE:
                block[index, channel] = 0.0
                first = index if n_faults == 0 else first
                n_faults, end = n_faults + 1, index + 1
    return n_faults, first, end


@realtime
def guard_output(block: NDArray[np.float32]) -> tuple[int, int]:
    """Put 0 in place of every value that is no audio, and hold the others at full scale.

    A plain clip, which is what every converter does: a softer knee would change all loud music, bypass included.

    Returns:
        How many values were no audio; how many samples were held (counted once if both channels were beyond).

    Shape:
        (samples, 2)
    """
    n_faults, n_clipped = 0, 0
    for index in range(block.shape[0]):
        beyond = False
        for channel in range(2):
            value = block[index, channel]
            if abs(value) <= FULL_SCALE:
                continue
            if abs(value) <= LOUDEST_SAMPLE:
                block[index, channel] = math.copysign(FULL_SCALE, value)
                beyond = True
            else:
                block[index, channel] = 0.0
                n_faults += 1
        n_clipped += beyond
    return n_faults, n_clipped
