"""What the audio path counts while it runs, and how the rest of the program reads it.

The audio path writes into plain shared arrays, every slot from one thread only, every value whole (atomic stores), and
never waits. Readers take copies.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.latency import LatencyReport
from apollo_rt.native import atomic_load, atomic_store, realtime

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
)
"""Names of the counters in the order of the shared array; the first five are explained in `Snapshot`."""

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
) = range(len(COUNTERS))

XRUNS = COUNTERS[INPUT_UNDERFLOW : PRIMING_OUTPUT + 1]
"""PortAudio's five status flags, in the order of their bits."""

# Histogram: bin 0 is everything up to 1 us; 16 bins per octave above it up to 2^24 us = 17 s; the last bin is the rest.
_FIRST_EDGE_NS = 1_000.0
_BINS_PER_OCTAVE = 16
_N_BINS = 24 * _BINS_PER_OCTAVE + 2
_MAX_NS = _N_BINS
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
        counters: int64, one per name in `COUNTERS`.
        step_ns: histogram of the times of the worker's steps.
        interval_ns: histogram of the times between two callbacks.
        gauges: float64, meters and load.
    """

    counters: NDArray[np.int64]
    step_ns: NDArray[np.int64]
    interval_ns: NDArray[np.int64]
    gauges: NDArray[np.float64]


def make_stats() -> Stats:
    """All zero."""
    histogram = np.zeros((2, _N_BINS + 1), np.int64)
    return Stats(np.zeros(len(COUNTERS), np.int64), histogram[0], histogram[1], np.zeros(LOAD + 1))


# --- writing, in the audio path --------------------------------------------------------------------------------------


@realtime
def count(counters: NDArray[np.int64], counter: int, amount: int) -> None:
    """Add to a counter; only one thread may count on each."""
    atomic_store(counters, counter, counters[counter] + amount)


@realtime
def count_xruns(counters: NDArray[np.int64], flags: int) -> None:
    """Count the status flags of one callback."""
    for bit in range(5):
        if flags >> bit & 1:
            count(counters, INPUT_UNDERFLOW + bit, 1)


@realtime
def record(histogram: NDArray[np.int64], duration_ns: int) -> None:
    """Count one duration."""
    octaves = math.log2(max(duration_ns, 1) / _FIRST_EDGE_NS)
    index = min(max(0, math.ceil(octaves * _BINS_PER_OCTAVE)), _N_BINS - 1)
    count(histogram, index, 1)
    if duration_ns > histogram[_MAX_NS]:
        atomic_store(histogram, _MAX_NS, duration_ns)


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


# --- reading ---------------------------------------------------------------------------------------------------------


@realtime
def _copy(source: NDArray[Any], target: NDArray[Any]) -> None:
    for index in range(len(source)):
        target[index] = atomic_load(source, index)


def whole_copy(source: NDArray[Any]) -> NDArray[Any]:
    """A copy of a shared array in which no value is torn."""
    target = np.empty_like(source)
    _copy(source, target)
    return target


@dataclass(frozen=True)
class Durations:
    """A distribution of durations in milliseconds.

    Percentiles are interpolated inside a bin; bins grow by 2^(1/16), so they are off by 4.4 % at most. `max` is exact.
    """

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    max: float

    @classmethod
    def of(cls, histogram: NDArray[np.int64]) -> "Durations":
        """Read a histogram that `record` fills."""
        copy = whole_copy(histogram)
        bins, longest_ms = copy[:_N_BINS], float(copy[_MAX_NS]) / 1e6
        percentiles = (min(_percentile_ms(bins, share), longest_ms) for share in (0.5, 0.9, 0.99, 0.999))
        return cls(int(bins.sum()), *percentiles, longest_ms)


def _percentile_ms(bins: NDArray[np.int64], share: float) -> float:
    reached = np.cumsum(bins)
    if reached[-1] == 0:
        return 0.0
    rank = share * float(reached[-1])
    index = int(np.searchsorted(reached, rank))
    inside = 1.0 - (float(reached[index]) - rank) / float(bins[index])
    return _FIRST_EDGE_NS * 2.0 ** ((index - 1 + inside) / _BINS_PER_OCTAVE) / 1e6


@dataclass(frozen=True)
class Meter:
    """Level of a stereo signal, full scale is 1; see the constants above for the ballistics."""

    peak: tuple[float, float]
    rms: tuple[float, float]

    @classmethod
    def of(cls, gauges: NDArray[np.float64], first: int) -> "Meter":
        """Read the meter at `first`."""
        peak_l, peak_r, square_l, square_r = (float(value) for value in gauges[first : first + 4])
        return cls((peak_l, peak_r), (math.sqrt(square_l), math.sqrt(square_r)))


@dataclass(frozen=True)
class Snapshot:
    """The engine at one moment; every value is whole, but two of them may be a block apart.

    Attributes:
        elapsed_s: seconds since the start.
        running: the device calls back.
        finished: the source came to its end and everything has been played.
        mix: as set, 0 to 1.
        bypass: as set.
        load_percent: step time over hop period, smoothed over half a second.
        step_ms: times of the worker's steps.
        callback_interval_ms: times between two callbacks.
        input: level at the door.
        output: level behind the mixer.
        latency: the latency in named terms.
        callbacks: calls by the device.
        samples: samples moved.
        hops: steps of the model.
        deadline_misses: hops that weren't ready when the callback needed them; dry was heard.
        covered_samples: samples in which dry stood in for missing wet, fades included.
        frame_faults: frames that came back not finite or absurdly loud.
        model_errors: steps that ONNX Runtime refused.
        jumps: how often the worker gave up on what it was behind with.
        skipped_hops: hops it never computed because of that.
        input_underflow: as PortAudio flags it; so the next four.
        input_overflow: captured samples were lost.
        output_underflow: the device ran out of samples to play.
        output_overflow: samples were dropped because the device had no room.
        priming_output: callbacks that filled the device before its start.
        source_underruns: callbacks for which a file wasn't decoded in time.
        sink_overruns: callbacks whose output a file couldn't take in time.
        clipped_samples: output samples held at full scale.
        faulty_samples: values of input or output that were not finite, replaced by 0.
    """

    elapsed_s: float
    running: bool
    finished: bool
    mix: float
    bypass: bool
    load_percent: float
    step_ms: Durations
    callback_interval_ms: Durations
    input: Meter
    output: Meter
    latency: LatencyReport
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

    @property
    def xruns(self) -> int:
        """Under- and overruns at the device, priming apart."""
        return self.input_underflow + self.input_overflow + self.output_underflow + self.output_overflow

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for a JSON file."""
        return {**asdict(self), "latency": self.latency.to_dict(), "xruns": self.xruns}


def read_stats(stats: Stats) -> dict[str, Any]:
    """The part of a `Snapshot` that the shared arrays hold, by field name."""
    gauges = whole_copy(stats.gauges)
    counters = (int(value) for value in whole_copy(stats.counters))
    return {
        "load_percent": 100.0 * float(gauges[LOAD]),
        "step_ms": Durations.of(stats.step_ns),
        "callback_interval_ms": Durations.of(stats.interval_ns),
        "input": Meter.of(gauges, INPUT_METER),
        "output": Meter.of(gauges, OUTPUT_METER),
        **dict(zip(COUNTERS, counters, strict=True)),
    }
