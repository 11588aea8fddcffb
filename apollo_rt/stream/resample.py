"""A resampler whose ratio may change from block to block, for two clocks and for devices at other rates; compiled.

A windowed sinc in polyphase form (Smith & Gossett, "A flexible sampling-rate conversion method", ICASSP 1984): the
kernel is tabulated at `_N_PHASES` places between two samples of the lower rate, and what lies between two places is
interpolated linearly.

```
 input     x  x  x  x  x | x  x  x  x  x        half_length samples on either side of the position
 kernel    . -'--. .-'-. ^ .-'-. .--'- .
 position             whole + fraction          moves on by `step` input samples per output sample
```
Output sample k is the input at position `start + k * step`, to a fraction of a sample: the delay is what the caller
makes of `start`, and at least `half_length`, for so many samples must be there behind the position.
"""

import math
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import realtime, realtime_sum

ZERO_CROSSINGS = 64
"""Half the kernel's length, in samples of the lower rate: 1.45 ms at 44.1 kHz."""

_N_PHASES = 256
"""Per sample of the lower rate. Linear interpolation leaves an error 12 dB lower per doubling: -105 dB (measured)."""

_STOPBAND_DB = 104.0
"""Of the Kaiser window (Kaiser, 1974); with 128 taps its transition band is 2.3 kHz wide at 44.1 kHz."""

POSITION, HELD_FROM, HELD_TO = range(3)
"""Places in `Resampler.places`, all counted in input samples of the stream: whole part of the next output's position;
the buffer's first sample; the end of what it holds, which is the next sample to be pushed."""


class Resampler(NamedTuple):
    """Filter and state.

    Attributes:
        kernel: row p is the filter for a position p / phases behind a sample.
        buffer: the newest input.
        places: see `POSITION`.
        fraction: the position's part behind the point.
    """

    kernel: Annotated[NDArray[np.float32], "rows", "taps"]
    buffer: Annotated[NDArray[np.float32], 2, "capacity"]
    places: Annotated[NDArray[np.int64], HELD_TO + 1]
    fraction: Annotated[NDArray[np.float64], 1]


def half_length(in_rate: float, out_rate: float, is_steered: bool = True) -> int:
    """Input samples that must be there behind a position: the least delay. See `make_resampler`."""
    if in_rate == out_rate and not is_steered:
        return 1
    return math.ceil(ZERO_CROSSINGS * max(1.0, in_rate / out_rate))


def make_resampler(in_rate: float, out_rate: float, longest_block: int, is_steered: bool = True) -> Resampler:
    """A resampler at position 0, with silence before it.

    Args:
        in_rate: Hz.
        out_rate: Hz.
        longest_block: the most input samples that are pushed at once, beside those that the filter itself needs.
        is_steered: the step departs from the nominal ratio, by a percent at most; else equal rates pass bit for bit.
    """
    half = half_length(in_rate, out_rate, is_steered)
    kernel = np.eye(2, dtype=np.float32) if half == 1 else _kernel(half, in_rate / out_rate)
    buffer = np.zeros((2, 4 * half + 2 * longest_block), np.float32)
    resampler = Resampler(kernel, buffer, np.zeros(3, np.int64), np.zeros(1))
    rewind(resampler, 0.0)
    return resampler


def _kernel(half: int, ratio: float) -> NDArray[np.float32]:
    """The table; every row has a gain of 1 at 0 Hz."""
    squeeze = max(1.0, ratio)
    n_phases = math.ceil(_N_PHASES / squeeze)
    # Kaiser's formula gives the width of the transition; it ends at half the lower rate, so that nothing folds.
    width = (_STOPBAND_DB - 7.95) / (14.36 * 2 * half)
    cutoff = 0.5 / squeeze - width / 2
    taps = np.arange(1 - half, half + 1)
    times = taps - np.arange(n_phases + 1)[:, None] / n_phases
    window = np.i0(0.1102 * (_STOPBAND_DB - 8.7) * np.sqrt(np.maximum(1.0 - (times / half) ** 2, 0.0)))
    rows = np.sinc(2.0 * cutoff * times) * window
    return np.ascontiguousarray(rows / rows.sum(axis=1, keepdims=True), np.float32)


def rewind(resampler: Resampler, delay: float) -> None:
    """Start again: the first sample to be pushed is number 0, silence comes before it, the position is `-delay`."""
    seek(resampler, -delay)
    n_before = -int(resampler.places[HELD_FROM])
    resampler.buffer[:, : max(n_before, 0)] = 0.0
    resampler.places[HELD_TO] = 0


@entry
@realtime
def seek(resampler: Resampler, position: float) -> None:
    """Go to a position of the input and forget what is held; `HELD_TO` says what has to be pushed next."""
    whole = math.floor(position)
    resampler.places[POSITION] = whole
    resampler.fraction[0] = position - whole
    begin = whole - resampler.kernel.shape[1] // 2 + 1
    resampler.places[HELD_FROM] = begin
    resampler.places[HELD_TO] = begin


@realtime
def position_of(resampler: Resampler) -> float:
    """Of the next output sample, in input samples of the stream."""
    return float(resampler.places[POSITION] + resampler.fraction[0])


@entry
@realtime
def n_needed(resampler: Resampler, n_out: int, step: float) -> int:
    """Number of input samples that have to be pushed before so many output samples can be pulled."""
    if n_out == 0:
        return 0
    last = math.floor(resampler.fraction[0] + (n_out - 1) * step)
    end = resampler.places[POSITION] + int(last) + resampler.kernel.shape[1] // 2 + 1
    return int(max(end - resampler.places[HELD_TO], 0))


@entry
@realtime
def n_ready(resampler: Resampler, step: float) -> int:
    """Number of output samples that can be pulled."""
    room = resampler.places[HELD_TO] - resampler.places[POSITION] - resampler.kernel.shape[1] // 2
    count = int(max(math.ceil((room - resampler.fraction[0]) / step), 0))
    while n_needed(resampler, count, step) > 0:  # where rounding went the other way
        count -= 1
    return count


@entry
@realtime
def push(resampler: Resampler, block: Annotated[NDArray[np.float32], "samples", 2]) -> None:
    """Take the next input samples, at most `longest_block` beyond what has been needed.

    Shape:
        (samples, 2)
    """
    buffer, places = resampler.buffer, resampler.places
    end = places[HELD_TO] - places[HELD_FROM]
    if end + block.shape[0] > buffer.shape[1]:
        begin = places[POSITION] - resampler.kernel.shape[1] // 2 + 1 - places[HELD_FROM]
        for channel in range(2):
            for index in range(begin, end):
                buffer[channel, index - begin] = buffer[channel, index]
        places[HELD_FROM] += begin
        end -= begin
    for index in range(block.shape[0]):
        buffer[0, end + index] = block[index, 0]
        buffer[1, end + index] = block[index, 1]
    places[HELD_TO] += block.shape[0]


@entry
@realtime
def pull(resampler: Resampler, out: Annotated[NDArray[np.float32], "samples", 2], step: float) -> None:
    """Fill a block; what it needs must have been pushed.

    Args:
        resampler: moves on.
        out: the next output samples.
        step: input samples per output sample; close to the nominal ratio.

    Shape:
        (samples, 2)
    """
    kernel, places, before = resampler.kernel, resampler.places, resampler.fraction[0]
    n_phases, n_taps = kernel.shape[0] - 1, kernel.shape[1]
    first = places[POSITION] - n_taps // 2 + 1 - places[HELD_FROM]
    for index in range(out.shape[0]):
        offset = before + index * step
        whole = math.floor(offset)
        phase = (offset - whole) * n_phases
        row = min(int(phase), n_phases - 1)
        begin = first + int(whole)
        left, right = _filtered(
            kernel[row],
            kernel[row + 1],
            np.float32(phase - row),
            resampler.buffer[0, begin : begin + n_taps],
            resampler.buffer[1, begin : begin + n_taps],
        )
        out[index, 0] = left
        out[index, 1] = right
    after = before + out.shape[0] * step
    places[POSITION] += math.floor(after)
    resampler.fraction[0] = after - math.floor(after)


@realtime_sum
def _filtered(
    row: NDArray[np.float32],
    next_row: NDArray[np.float32],
    share: np.float32,
    left_in: NDArray[np.float32],
    right_in: NDArray[np.float32],
) -> tuple[np.float32, np.float32]:
    """Both channels through the filter that lies at `share` between two rows."""
    left, right = np.float32(0.0), np.float32(0.0)
    for tap in range(row.shape[0]):
        weight = row[tap] + share * (next_row[tap] - row[tap])
        left += weight * left_in[tap]
        right += weight * right_in[tap]
    return left, right
