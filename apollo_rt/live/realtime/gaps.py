"""Holes in the input: where nothing was captured, or what was captured does not join, the output is silent.

The output lags behind the input by D, so that a hole is known before it is heard, and the sound fades around it:

    input    ~~~~~~~~~|  hole  |~~~~~~~~~      a gap, an overrun, samples that were no numbers, a device that returned
    gain     --------.            .--------
                      `-.______.-'             FADE_LENGTH on either side, at D later
"""

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import realtime
from apollo_rt.latency import FADE_LENGTH

FOR_EVER = 2**62
_FIRST, _COUNT, _SLOTS = 0, 1, 2
_N_HOLES = 16
_STEP = np.float32(1.0 / FADE_LENGTH)


def make_holes() -> NDArray[np.int64]:
    """No hole; a ring of the last few, by absolute sample index, that belongs to the callback."""
    return np.zeros(_SLOTS + 2 * _N_HOLES, np.int64)


@realtime
def clear_holes(holes: NDArray[np.int64]) -> None:
    """Forget them all."""
    holes[_COUNT] = 0


@realtime
def add_hole(holes: NDArray[np.int64], begin: int, end: int) -> None:
    """Remember a hole behind all others; an empty one is a joint between two samples that don't belong together.

    One that touches the last, or for which there is no room, makes the last one longer.
    """
    count = holes[_COUNT]
    last = _SLOTS + 2 * ((holes[_FIRST] + count - 1) % _N_HOLES)
    if count == _N_HOLES or (count > 0 and begin <= holes[last + 1]):
        holes[last + 1] = max(holes[last + 1], end)
        return
    slot = _SLOTS + 2 * ((holes[_FIRST] + count) % _N_HOLES)
    holes[slot], holes[slot + 1] = begin, end
    holes[_COUNT] = count + 1


@realtime
def _hole(holes: NDArray[np.int64], number: int) -> tuple[int, int]:
    """Both ends of a remembered one."""
    slot = _SLOTS + 2 * ((holes[_FIRST] + number) % _N_HOLES)
    return holes[slot], holes[slot + 1]


@realtime
def fade_around_holes(holes: NDArray[np.int64], begin: int, output: NDArray[np.float32]) -> int:
    """Silence the output's holes and fade around them; forgets those that are past.

    Args:
        holes: of the input.
        begin: absolute index of the first sample of `output`, of the input that it is made of.
        output: changed in place.

    Returns:
        How many samples were silenced altogether, other than for ever.

    Shape:
        output (samples, 2)
    """
    while holes[_COUNT] > 0 and holes[_SLOTS + 2 * holes[_FIRST] + 1] + FADE_LENGTH <= begin:
        holes[_FIRST] = (holes[_FIRST] + 1) % _N_HOLES
        holes[_COUNT] -= 1
    n_silenced = 0
    for number in range(holes[_COUNT]):
        hole_begin, hole_end = _hole(holes, number)
        first = max(hole_begin - FADE_LENGTH - begin, 0)
        last = min(hole_end + FADE_LENGTH - begin, output.shape[0])
        for index in range(first, last):
            distance = max(hole_begin - (begin + index), begin + index + 1 - hole_end, 0)
            n_silenced += distance == 0 and hole_end != FOR_EVER
            gain = np.float32(min(distance, FADE_LENGTH)) * _STEP
            output[index, 0] *= gain
            output[index, 1] *= gain
    return n_silenced
