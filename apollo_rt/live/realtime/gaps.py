"""Gaps in the input: silence the output where nothing was captured, or what was captured does not join.

The output lags behind the input by D, so that a gap is known before it is heard, and the sound fades around it:

    input    ~~~~~~~~~|  gap   |~~~~~~~~~      nothing came, an overrun, samples that were no numbers, a device returned
    gain     --------.            .--------
                      `-.______.-'             FADE_LENGTH on either side, at D later
"""

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import realtime
from apollo_rt.compiled.records import Record, new_record
from apollo_rt.latency import FADE_LENGTH

FOR_EVER = 2**62
_MOST = 16
_STEP = np.float32(1.0 / FADE_LENGTH)


class GapQueue(Record):
    """Tells where the remembered gaps lie among the slots.

    Attributes:
        first: slot of the oldest.
        count: how many are remembered.
    """

    first: int
    count: int


class Gaps(NamedTuple):
    """Holds the last few gaps; the callback's own.

    Attributes:
        ends: absolute index of each gap's first sample, and of the first behind it.
        queue: which of them count.
    """

    ends: Annotated[NDArray[np.int64], _MOST, 2]
    queue: GapQueue


def make_gaps() -> Gaps:
    """Allocate the ring; no gap is remembered."""
    return Gaps(np.zeros((_MOST, 2), np.int64), new_record(GapQueue))


@entry
@realtime
def clear_gaps(gaps: Gaps) -> None:
    """Forget all gaps."""
    gaps.queue.count = 0


@entry
@realtime
def add_gap(gaps: Gaps, begin: int, end: int) -> None:
    """Remember a gap behind all others; an empty one is a seam between two samples that don't belong together.

    One that touches the last, or for which there is no room, makes the last one longer.
    """
    ends, first, count = gaps.ends, gaps.queue.first, gaps.queue.count
    last = (first + count - 1) % _MOST
    if count == _MOST or (count > 0 and begin <= ends[last, 1]):
        ends[last, 1] = max(ends[last, 1], end)
        return
    slot = (first + count) % _MOST
    ends[slot, 0], ends[slot, 1] = begin, end
    gaps.queue.count = count + 1


@realtime
def _gap(gaps: Gaps, number: int) -> tuple[int, int]:
    """Give both ends of a remembered gap, 0 for the oldest."""
    slot = (gaps.queue.first + number) % _MOST
    return gaps.ends[slot, 0], gaps.ends[slot, 1]


@realtime
def fade_around_gaps(gaps: Gaps, begin: int, output: NDArray[np.float32]) -> int:
    """Silence the output in its gaps and fade around them; forget those that are past.

    Args:
        gaps: of the input.
        begin: absolute index of the first sample of `output`, of the input that it is made of.
        output: changed in place.

    Returns:
        How many samples were silenced altogether, other than for ever.

    Shape:
        output (samples, 2)
    """
    queue = gaps.queue
    while queue.count > 0 and gaps.ends[queue.first, 1] + FADE_LENGTH <= begin:
        queue.first = (queue.first + 1) % _MOST
        queue.count -= 1
    n_silenced = 0
    for number in range(queue.count):
        gap_begin, gap_end = _gap(gaps, number)
        first = max(gap_begin - FADE_LENGTH - begin, 0)
        last = min(gap_end + FADE_LENGTH - begin, output.shape[0])
        for index in range(first, last):
            distance = max(gap_begin - (begin + index), begin + index + 1 - gap_end, 0)
            n_silenced += distance == 0 and gap_end != FOR_EVER
            gain = np.float32(min(distance, FADE_LENGTH)) * _STEP
            output[index, 0] *= gain
            output[index, 1] *= gain
    return n_silenced
