"""Counters of the audio path: what happened, how long it took, how loud it was, for anybody to read while it runs.

It writes into records and arrays that it shares, every value from one thread only and whole (atomic stores), and never
waits. Around what belongs together the writer moves a version on, which is odd meanwhile (a sequence lock: Boehm, "Can
seqlocks get along with programming language memory models?", MSPC 2012), so that `snapshot` never shows half of a
callback or hop.
"""

import math
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_store, realtime
from apollo_rt.compiled.records import Record, add, new_record, store


class Counters(Record):
    """Counts what happens in the audio path, since the start; `Snapshot`, which has the same names, explains each."""

    callbacks: int
    samples: int
    hops: int
    deadline_misses: int
    covered_samples: int
    frame_faults: int
    model_errors: int
    jumps: int
    skipped_hops: int
    input_underflow: int
    input_overflow: int
    output_underflow: int
    output_overflow: int
    priming_output: int
    source_underruns: int
    sink_overruns: int
    clipped_samples: int
    faulty_samples: int
    silenced_samples: int
    silent_hops: int
    reconnections: int
    worker_restarts: int
    tier_changes: int


COUNTERS = tuple(Counters.__annotations__)
"""Names of the counters, in the order in which a snapshot shows them."""

XRUNS = COUNTERS[COUNTERS.index("input_underflow") : COUNTERS.index("priming_output") + 1]
"""PortAudio's five status flags, in the order of their bits."""


class Version(Record):
    """Tells readers of counters whether they saw a whole callback, or a whole hop.

    Attributes:
        number: odd while its thread is counting.
    """

    number: int


# Histogram: bin 0 is everything up to 1 us; 16 bins per octave above it up to 2^24 us = 17 s; the last bin is the rest.
FIRST_EDGE_NS = 1_000.0
BINS_PER_OCTAVE = 16
N_BINS = 24 * BINS_PER_OCTAVE + 2
MAX_NS = N_BINS
"""Slot behind the bins: the longest duration."""

# Meters: per channel a peak that falls 20 dB in 1.7 s (IEC 60268-10, type I), and a mean square over 0.3 s (as a VU's,
# IEC 60268-17).
_PEAK_FALL_PER_S = math.log(10.0) / 1.7
_MEAN_SQUARE_S = 0.3
_LOAD_S = 0.5


class MeterState(NamedTuple):
    """Holds the level of a stereo signal, full scale is 1: left and right channel.

    Attributes:
        peaks: fall slowly, see above.
        mean_squares: over a while, see above.
    """

    peaks: Annotated[NDArray[np.float64], 2]
    mean_squares: Annotated[NDArray[np.float64], 2]


class WorkerLoad(Record):
    """Tells how busy the worker is.

    Attributes:
        share: step time over hop period, smoothed; 1 is all there is.
    """

    share: float


class Stats(NamedTuple):
    """Holds what the audio path measures, shared with who reads it.

    Attributes:
        counters: of what happened.
        callback_version: odd while the callback counts.
        worker_version: odd while the worker counts.
        step_ns: histogram of the times of the worker's steps, and behind its bins the longest of them.
        interval_ns: the same of the times between two callbacks.
        callback_ns: the same of the times that callbacks took.
        input_meter: of what came in.
        output_meter: of what went out.
        load: of the worker.
    """

    counters: Counters
    callback_version: Version
    worker_version: Version
    step_ns: Annotated[NDArray[np.int64], N_BINS + 1]
    interval_ns: Annotated[NDArray[np.int64], N_BINS + 1]
    callback_ns: Annotated[NDArray[np.int64], N_BINS + 1]
    input_meter: MeterState
    output_meter: MeterState
    load: WorkerLoad


def make_stats() -> Stats:
    """Allocate counters, histograms and meters, all zero."""
    steps, intervals, callbacks = np.zeros((3, N_BINS + 1), np.int64)
    return Stats(
        counters=new_record(Counters),
        callback_version=new_record(Version),
        worker_version=new_record(Version),
        step_ns=steps,
        interval_ns=intervals,
        callback_ns=callbacks,
        input_meter=MeterState(*np.zeros((2, 2))),
        output_meter=MeterState(*np.zeros((2, 2))),
        load=new_record(WorkerLoad),
    )


# --- writing, in the audio path --------------------------------------------------------------------------------------


@realtime
def begin_counting(version: Version) -> None:
    """Have what is counted until `end_counting` seen as a whole or not at all; a writer that died is no matter."""
    store(version, "number", version.number | 1)


@realtime
def end_counting(version: Version) -> None:
    """Let readers see what has been counted since `begin_counting`."""
    store(version, "number", (version.number | 1) + 1)


@realtime
def count_xruns(counters: Counters, flags: int, is_priming: bool) -> None:
    """Count the status flags of one callback.

    Before there is any input, PortAudio fills an ALSA output by callbacks without one, and calls that an underflow:
    here it counts as what it is, the filling of the output.
    """
    if flags & 1 and is_priming:
        add(counters, "priming_output", 1)
    elif flags & 1:
        add(counters, "input_underflow", 1)
    if flags & 2:
        add(counters, "input_overflow", 1)
    if flags & 4:
        add(counters, "output_underflow", 1)
    if flags & 8:
        add(counters, "output_overflow", 1)
    if flags & 16:
        add(counters, "priming_output", 1)


@realtime
def record(histogram: NDArray[np.int64], duration_ns: int) -> None:
    """Count one duration in its bin of a histogram, `(N_BINS + 1,)`, whose last value is the longest."""
    octaves = math.log2(max(duration_ns, 1) / FIRST_EDGE_NS)
    index = min(max(0, math.ceil(octaves * BINS_PER_OCTAVE)), N_BINS - 1)
    atomic_store(histogram, index, histogram[index] + 1)
    if duration_ns > histogram[MAX_NS]:
        atomic_store(histogram, MAX_NS, duration_ns)


@realtime
def move_meter(meter: MeterState, block: NDArray[np.float32], sample_rate: float) -> None:
    """Move a meter on by one block of `(samples, 2)`."""
    n_samples = block.shape[0]
    fall = math.exp(-_PEAK_FALL_PER_S * n_samples / sample_rate)
    keep = math.exp(-n_samples / (_MEAN_SQUARE_S * sample_rate))
    for channel in range(2):
        peak, energy = 0.0, 0.0
        for index in range(n_samples):
            value = float(block[index, channel])
            peak = max(peak, abs(value))
            energy += value * value
        atomic_store(meter.peaks, channel, max(peak, meter.peaks[channel] * fall))
        mean_square = keep * meter.mean_squares[channel] + (1.0 - keep) * energy / max(n_samples, 1)
        atomic_store(meter.mean_squares, channel, mean_square)


@realtime
def record_step(stats: Stats, step_ns: int, hop_period_ns: float) -> None:
    """Count one step of the worker and move the load on."""
    record(stats.step_ns, step_ns)
    add(stats.counters, "hops", 1)
    keep = math.exp(-hop_period_ns / (_LOAD_S * 1e9))
    store(stats.load, "share", keep * stats.load.share + (1.0 - keep) * step_ns / hop_period_ns)
