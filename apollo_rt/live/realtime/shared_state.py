"""The line between callback and worker: rings, counters, parameters, and the few numbers that both sides need.

Python and the worker hold it as a named tuple of arrays. The callback gets one address (PortAudio's `userdata`): a
table from which it makes the same tuple again, without allocating.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import array_from_address, atomic_load, realtime, system_calls
from apollo_rt.config import Framing
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.realtime.counters import Stats, make_stats
from apollo_rt.live.realtime.gaps import make_holes
from apollo_rt.live.realtime.ring import CHUNK, WRITTEN, Ring, WetRing, make_ring, make_wet_ring, n_queued
from apollo_rt.stream.mixer import new_mixer

(
    DELAY,  # D: output sample t is input sample t - D
    HOP_DELAY,  # of the processor, and of the plugins around it
    SAMPLE_RATE,
    INPUT_CHANNELS,  # 0: from the source
    OUTPUT_CHANNELS,  # 0: to the sink
    LAST_CALL_NS,  # when the callback was called last, 0 before
    NEXT_JUDGED_HOP,  # hops before it have been counted as there or missed
    SOURCE_ENDED_AT,  # stream position at which the source's last sample had been taken, or UNKNOWN
    UNFIT_HOPS,  # so many hops of the processor belong to what was before its reset
    FINISHED,  # 1: the callback has ended the stream
    CONSUMED,  # stream position up to which the worker has done its work
    STOP,  # 1: the worker shall return
    MUTE,  # 1: the callback shall fade to silence, for good
    PRIMING,  # 1: the device has handed over no input yet
) = range(14)
"""Places in `Line.control`. Each is written by one side only."""

HISTORY_LENGTH = 65_536
"""Samples of input and output that are kept at least, 1.5 s: far more than the worker is allowed to be late."""


class Line(NamedTuple):
    """Everything that callback and worker share.

    Attributes:
        history: the input; also the dry signal's delay line.
        wet: finished hops.
        source: queue of samples from a file, where the device has no input.
        sink: queue of samples to a file, where the device has no output.
        stats: counters, histograms and meters.
        parameters: float64, see `parameters`.
        mixer: see `mixer`; the callback's own.
        control: int64, see above.
        calls: addresses of clock and sleep.
        scratch: (3, CHUNK, 2) float32, the callback's own: input, dry, output.
        output: what was handed out, by the history's index and marks.
        holes: see `holes`; the callback's own.
    """

    history: Ring
    wet: WetRing
    source: Ring
    sink: Ring
    stats: Stats
    parameters: NDArray[np.float64]
    mixer: NDArray[np.float64]
    control: NDArray[np.int64]
    calls: NDArray[np.int64]
    scratch: NDArray[np.float32]
    output: Ring
    holes: NDArray[np.int64]


def make_line(
    framing: Framing,
    delay: int,
    input_channels: int,
    output_channels: int,
    queue_length: int,
    parameters: NDArray[np.float64],
    kept_samples: int = 0,
    plugin_delay: int = 0,
) -> Line:
    """A line at the start of a stream: silence everywhere, wet silence before the first sample.

    Args:
        framing: the model's.
        delay: D in samples.
        input_channels: 1 or 2 of the device, 0 for the source.
        output_channels: 1 or 2 of the device, 0 for the sink.
        queue_length: samples that source and sink hold at least.
        parameters: the live values, shared.
        kept_samples: of input and output that are kept at least, beyond `HISTORY_LENGTH`.
        plugin_delay: samples of D that plugins take; whole hops.
    """
    hop_length, hop_delay = framing.hop_length, framing.hop_delay + plugin_delay
    # Twice what can ever lie between the newest finished sample and the one being played.
    n_slots = 2 * ((delay + CHUNK + FADE_LENGTH) // hop_length + 4)
    control = np.zeros(PRIMING + 1, np.int64)
    control[DELAY], control[HOP_DELAY] = delay, hop_delay
    control[SAMPLE_RATE] = framing.sample_rate
    control[INPUT_CHANNELS], control[OUTPUT_CHANNELS] = input_channels, output_channels
    control[NEXT_JUDGED_HOP] = 0
    control[SOURCE_ENDED_AT] = -1
    control[PRIMING] = 1
    control[UNFIT_HOPS] = hop_delay // hop_length
    history = make_ring(max(HISTORY_LENGTH, 4 * delay, kept_samples))
    return Line(
        history=history,
        wet=make_wet_ring(hop_length, n_slots),
        source=make_ring(queue_length),
        sink=make_ring(queue_length),
        stats=make_stats(),
        parameters=parameters,
        mixer=new_mixer(parameters),
        control=control,
        calls=system_calls(),
        scratch=np.zeros((3, CHUNK, 2), np.float32),
        output=Ring(np.full_like(history.samples, 0), history.marks),
        holes=make_holes(),
    )


_N_ROWS = 22
"""Rows of the address table: one per array, and the hop length; behind them lies the gate."""
N_WORDS = 2 * (_N_ROWS + 2)
OPEN, IN_CALL, GATE_CHANNELS = range(2 * _N_ROWS, 2 * _N_ROWS + 3)
"""Places of the gate among the table's words, see `gate`."""


def _arrays(line: Line) -> tuple[NDArray[np.generic], ...]:
    """The line's arrays in the order of the address table."""
    return (
        *line.history, *line.wet, *line.source, *line.sink, *line.stats,
        line.parameters, line.mixer, line.control, line.calls, line.scratch, *line.output, line.holes,
    )  # fmt: skip


def address_table(line: Line) -> NDArray[np.int64]:
    """Address and length of every array, for `line_at`, and an open gate. The line must outlive it."""
    arrays = _arrays(line)
    assert all(array.flags.c_contiguous for array in arrays)
    table = [(array.ctypes.data, len(array)) for array in arrays]
    table.append((0, line.wet.samples.shape[1]))
    table += [(1, 0), (int(line.control[OUTPUT_CHANNELS]), 0)]
    return np.array(table, np.int64)


@realtime
def line_at(address: int) -> Line:
    """The line whose table lies at `address`."""
    table = array_from_address(address, (_N_ROWS, 2), np.int64)
    hop_length = table[_N_ROWS - 1, 1]
    return Line(
        _ring_at(table, 0),
        WetRing(
            array_from_address(table[2, 0], (table[2, 1], hop_length, 2), np.float32),
            array_from_address(table[3, 0], table[3, 1], np.int64),
        ),
        _ring_at(table, 4),
        _ring_at(table, 6),
        Stats(
            array_from_address(table[8, 0], table[8, 1], np.int64),
            array_from_address(table[9, 0], table[9, 1], np.int64),
            array_from_address(table[10, 0], table[10, 1], np.int64),
            array_from_address(table[11, 0], table[11, 1], np.int64),
            array_from_address(table[12, 0], table[12, 1], np.float64),
        ),
        array_from_address(table[13, 0], table[13, 1], np.float64),
        array_from_address(table[14, 0], table[14, 1], np.float64),
        array_from_address(table[15, 0], table[15, 1], np.int64),
        array_from_address(table[16, 0], table[16, 1], np.int64),
        array_from_address(table[17, 0], (table[17, 1], CHUNK, 2), np.float32),
        _ring_at(table, 18),
        array_from_address(table[20, 0], table[20, 1], np.int64),
    )


@realtime
def _ring_at(table: NDArray[np.int64], row: int) -> Ring:
    return Ring(
        array_from_address(table[row, 0], (table[row, 1], 2), np.float32),
        array_from_address(table[row + 1, 0], table[row + 1, 1], np.int64),
    )


def ring_levels(line: Line) -> dict[str, float]:
    """How full its rings are at this moment, by the names of `Snapshot.levels`."""
    queues = {"source_queue": n_queued(line.source), "sink_queue": n_queued(line.sink)}
    return {"wet_ring": _wet_ahead(line), **queues}


@realtime
def _wet_ahead(line: Line) -> int:
    """Samples that are restored and not yet played; below 0, what is late."""
    consumed, written = atomic_load(line.control, CONSUMED), atomic_load(line.history.marks, WRITTEN)
    return int(consumed - line.control[HOP_DELAY] - written + line.control[DELAY])
