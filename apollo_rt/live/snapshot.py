"""The state of a running engine at one moment, read from what the audio path counts."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_load, realtime
from apollo_rt.latency import LatencyReport
from apollo_rt.live.stats import (
    BINS_PER_OCTAVE,
    COUNTERS,
    FIRST_EDGE_NS,
    INPUT_METER,
    LOAD,
    MAX_NS,
    N_BINS,
    OUTPUT_METER,
    Stats,
)


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
        bins, longest_ms = copy[:N_BINS], float(copy[MAX_NS]) / 1e6
        p50, p90, p99, p999 = (min(_percentile_ms(bins, share), longest_ms) for share in (0.5, 0.9, 0.99, 0.999))
        return cls(int(bins.sum()), p50, p90, p99, p999, longest_ms)


def _percentile_ms(bins: NDArray[np.int64], share: float) -> float:
    reached = np.cumsum(bins)
    if reached[-1] == 0:
        return 0.0
    rank = share * float(reached[-1])
    index = int(np.searchsorted(reached, rank))
    inside = 1.0 - (float(reached[index]) - rank) / float(bins[index])
    return float(FIRST_EDGE_NS * 2.0 ** ((index - 1 + inside) / BINS_PER_OCTAVE) / 1e6)


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
