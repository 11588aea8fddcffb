"""The state of a running engine at one moment, read from what the audio path counts."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from apollo_rt.latency import LatencyReport
from apollo_rt.live.endpoints.driver import Clocks
from apollo_rt.live.endpoints.live_source import RadioState
from apollo_rt.live.monitoring.durations import NO_DURATIONS, Durations, plain_durations
from apollo_rt.live.monitoring.gauges import Gauge
from apollo_rt.live.realtime.counters import COUNTERS, XRUNS, MeterState, Stats
from apollo_rt.plugins.live_plugin import PluginState

_XRUNS_HEARD = XRUNS[:-1]
"""Filling a device before its start is no fault."""


@dataclass(frozen=True)
class Meter:
    """Level of a stereo signal, full scale is 1; see `counters` for the ballistics."""

    peak: tuple[float, float]
    rms: tuple[float, float]

    @classmethod
    def of(cls, state: MeterState) -> "Meter":
        """Read a meter of the audio path."""
        left, right = (float(value) for value in state.peaks)
        square_l, square_r = (float(value) for value in state.mean_squares)
        return cls((left, right), (math.sqrt(square_l), math.sqrt(square_r)))


@dataclass(frozen=True)
class Recent:
    """Counts and durations of the last seconds.

    Attributes:
        duration_s: how many seconds these are: about 10, fewer soon after the start.
        step_ms: times of the worker's steps.
        callback_interval_ms: times between two callbacks.
        counts: increase of every counter, by name.
        callback_ms: times that callbacks took.
    """

    duration_s: float
    step_ms: Durations
    callback_interval_ms: Durations
    counts: dict[str, int]
    callback_ms: Durations = NO_DURATIONS

    @classmethod
    def between(cls, before: Stats, after: Stats, duration_s: float) -> "Recent":
        """Counts and durations between two copies."""
        return cls(
            duration_s,
            Durations.of(after.step_ns, before.step_ns),
            Durations.of(after.interval_ns, before.interval_ns),
            {name: int(getattr(after.counters, name) - getattr(before.counters, name)) for name in COUNTERS},
            Durations.of(after.callback_ns, before.callback_ns),
        )

    @property
    def xruns(self) -> int:
        """Under- and overruns at the device, priming apart."""
        return sum(self.counts[name] for name in _XRUNS_HEARD)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for a JSON file."""
        return {"duration_s": self.duration_s, **plain_durations(self), **self.counts,
                "xruns": self.xruns}  # fmt: skip


@dataclass(frozen=True)
class Snapshot:
    """The engine at one moment; what one callback, or one hop, has counted is in it as a whole or not at all.

    Attributes:
        elapsed_s: seconds since the start.
        running: the device calls back.
        finished: the source came to its end and everything has been played.
        device_state: how the connection to the devices stands, in words; see `supervision.connection_state`.
        tier: of the model, that is heard; `dry` for none.
        scheduling: what priority and memory the audio threads got, in words.
        parameters: as set, by name; those of plugins too.
        load_percent: step time over hop period, smoothed over half a second.
        step_ms: times of the worker's steps.
        callback_interval_ms: times between two callbacks.
        callback_ms: times that callbacks took.
        input: level at the door.
        output: level behind the mixer.
        latency: the latency in named terms.
        recent: the last 10 s.
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
        faulty_samples: values of input or output that were no audio (not finite, beyond +-1e6), replaced by 0.
        clocks: how two devices' clocks are held together; None where there is one clock.
        gauges: with their bounds: `wet_ring`, samples restored and not yet played (below 0: what is late);
            `source_queue` and `sink_queue`, samples between files and the stream; of two clocks `clock_ring`, samples
            held back, and `correction_ppm`.
        radio: the stream, pipe or playlist that is heard; None where the input is a device or a file.
        unrecorded_samples: that a file at the output could not take, because the disk was full.
        silenced_samples: output samples that are silent because nothing was captured for them; see `realtime.gaps`.
        silent_hops: hops of digital silence that the model wasn't asked for.
        reconnections: how often a device that was lost plays again, or another one in its place.
        worker_restarts: how often a worker that died or hung was replaced.
        tier_changes: changes between tiers of the model, or to dry and back.
        plugins: those before and after the model, in the order of the signal.
    """

    elapsed_s: float
    running: bool
    finished: bool
    device_state: str
    tier: str
    scheduling: str
    parameters: dict[str, float]
    load_percent: float
    step_ms: Durations
    callback_interval_ms: Durations
    input: Meter
    output: Meter
    latency: LatencyReport
    recent: Recent
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
    clocks: Clocks | None = None
    plugins: tuple[PluginState, ...] = ()
    callback_ms: Durations = NO_DURATIONS
    gauges: dict[str, Gauge] = field(default_factory=dict)
    unrecorded_samples: int = 0
    radio: RadioState | None = None

    @property
    def xruns(self) -> int:
        """Under- and overruns at the device, priming apart."""
        return sum(getattr(self, name) for name in _XRUNS_HEARD)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for a JSON file."""
        special = {"latency": self.latency.to_dict(), "recent": self.recent.to_dict(), "xruns": self.xruns}
        return {**asdict(self), **plain_durations(self), **special}
