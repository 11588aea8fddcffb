"""What the audio path counts while it runs.

It writes into plain shared arrays, every slot from one thread only, every value whole (atomic stores), and never waits.
Around what belongs together the writer moves a version on, which is odd meanwhile (a sequence lock: Boehm, "Can
seqlocks get along with programming language memory models?", MSPC 2012), so that `snapshot` never shows half of a
callback or hop.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_store, realtime

COUNTERS = (
    "callbacks",
    "samples",
    "hops",
    "deadline_misses",
    "covered_samples",
    "frame_faults",
    "model_errors",
    "jumps",
    "skipped_hops",
    "input_underflow",
    "input_overflow",
    "output_underflow",
    "output_overflow",
    "priming_output",
    "source_underruns",
    "sink_overruns",
    "clipped_samples",
    "faulty_samples",
    "silenced_samples",
    "silent_hops",
    "reconnections",
    "worker_restarts",
    "tier_changes",
)
"""Names of the counters in the order of the shared array, as attributes of `Snapshot`, which explains them."""

(
    CALLBACKS,
    SAMPLES,
    HOPS,
    DEADLINE_MISSES,
    COVERED_SAMPLES,
    FRAME_FAULTS,
    MODEL_ERRORS,
    JUMPS,
    SKIPPED_HOPS,
    INPUT_UNDERFLOW,
    INPUT_OVERFLOW,
    OUTPUT_UNDERFLOW,
    OUTPUT_OVERFLOW,
    PRIMING_OUTPUT,
    SOURCE_UNDERRUNS,
    SINK_OVERRUNS,
    CLIPPED_SAMPLES,
    FAULTY_SAMPLES,
    SILENCED_SAMPLES,
    SILENT_HOPS,
    RECONNECTIONS,
    WORKER_RESTARTS,
    TIER_CHANGES,
) = range(len(COUNTERS))

CALLBACK_VERSION, WORKER_VERSION = len(COUNTERS), len(COUNTERS) + 1
"""Slots behind the counters: odd while the callback, or the worker, is counting."""

XRUNS = COUNTERS[INPUT_UNDERFLOW : PRIMING_OUTPUT + 1]
"""PortAudio's five status flags, in the order of their bits."""

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
INPUT_METER, OUTPUT_METER, LOAD = 0, 4, 8
"""Where the meters lie among the gauges: two peaks, then two mean squares, each; then the load as a ratio."""


class Stats(NamedTuple):
    """The shared arrays.

    Attributes:
        counters: int64, one per name in `COUNTERS`, and two versions.
        step_ns: histogram of the times of the worker's steps.
        interval_ns: histogram of the times between two callbacks.
        callback_ns: histogram of the times that callbacks took.
        gauges: float64, meters and load.
    """

    counters: NDArray[np.int64]
    step_ns: NDArray[np.int64]
    interval_ns: NDArray[np.int64]
    callback_ns: NDArray[np.int64]
    gauges: NDArray[np.float64]


def make_stats() -> Stats:
    """All zero."""
    histogram = np.zeros((3, N_BINS + 1), np.int64)
    steps, intervals, callbacks = histogram
    return Stats(np.zeros(WORKER_VERSION + 1, np.int64), steps, intervals, callbacks, np.zeros(LOAD + 1))


# --- writing, in the audio path --------------------------------------------------------------------------------------


@realtime
def begin_counting(counters: NDArray[np.int64], version: int) -> None:
    """What is counted from here to `end_counting` is seen as a whole or not at all; a writer that died is no matter."""
    atomic_store(counters, version, counters[version] | 1)


@realtime
def end_counting(counters: NDArray[np.int64], version: int) -> None:
    """Let readers see what has been counted since `begin_counting`."""
    atomic_store(counters, version, (counters[version] | 1) + 1)


@realtime
def count(counters: NDArray[np.int64], counter: int, amount: int) -> None:
    """Add to a counter; only one thread may count on each."""
    atomic_store(counters, counter, counters[counter] + amount)


@realtime
def count_xruns(counters: NDArray[np.int64], flags: int, is_priming: bool) -> None:
    """Count the status flags of one callback.

    Before there is any input, PortAudio fills an ALSA output by callbacks without one, and calls that an underflow:
    here it counts as what it is, the filling of the output.
    """
    for bit in range(5):
        if flags >> bit & 1:
            count(counters, PRIMING_OUTPUT if is_priming and bit == 0 else INPUT_UNDERFLOW + bit, 1)


@realtime
def record(histogram: NDArray[np.int64], duration_ns: int) -> None:
    """Count one duration."""
    octaves = math.log2(max(duration_ns, 1) / FIRST_EDGE_NS)
    index = min(max(0, math.ceil(octaves * BINS_PER_OCTAVE)), N_BINS - 1)
    count(histogram, index, 1)
    if duration_ns > histogram[MAX_NS]:
        atomic_store(histogram, MAX_NS, duration_ns)


@realtime
def meter(gauges: NDArray[np.float64], first: int, block: NDArray[np.float32], sample_rate: float) -> None:
    """Move the meter at `first` on by one block of `(samples, 2)`."""
    n_samples = block.shape[0]
    fall = math.exp(-_PEAK_FALL_PER_S * n_samples / sample_rate)
    keep = math.exp(-n_samples / (_MEAN_SQUARE_S * sample_rate))
    for channel in range(2):
        peak, energy = 0.0, 0.0
        for index in range(n_samples):
            value = float(block[index, channel])
            peak = max(peak, abs(value))
            energy += value * value
        atomic_store(gauges, first + channel, max(peak, gauges[first + channel] * fall))
        mean_square = keep * gauges[first + 2 + channel] + (1.0 - keep) * energy / max(n_samples, 1)
        atomic_store(gauges, first + 2 + channel, mean_square)


@realtime
def record_step(stats: Stats, step_ns: int, hop_period_ns: float) -> None:
    """Count one step of the worker and move the load on."""
    record(stats.step_ns, step_ns)
    count(stats.counters, HOPS, 1)
    keep = math.exp(-hop_period_ns / (_LOAD_S * 1e9))
    atomic_store(stats.gauges, LOAD, keep * stats.gauges[LOAD] + (1.0 - keep) * step_ns / hop_period_ns)
