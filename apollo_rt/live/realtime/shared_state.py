"""Shared state of callback and worker: rings, counters, parameters, and the few numbers that both sides need.

Python and the worker hold it as a named tuple of arrays and records. The callback gets one address (PortAudio's
`userdata`), that of an `AddressTable`, from which it makes the same tuple again, without allocating.
"""

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import realtime, system_calls
from apollo_rt.compiled.records import Record, load, new_record
from apollo_rt.config import Framing
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.realtime.counters import Stats, make_stats
from apollo_rt.live.realtime.gaps import Gaps, make_gaps
from apollo_rt.live.realtime.heard_signal import HeardSignal, new_heard_signal
from apollo_rt.live.realtime.ring import CHUNK, UNKNOWN, Ring, WetRing, make_ring, make_wet_ring, n_queued
from apollo_rt.stream.loudness import LoudnessMeter, make_loudness_meter
from apollo_rt.stream.mixer import N_MIXER, new_mixer

HISTORY_LENGTH = 65_536
"""Samples of input and output that are kept at least, 1.5 s: far more than the worker is allowed to be late."""


class StreamControl(Record):
    """Holds the numbers of a stream that callback, worker and supervisor share; each is written by one side only.

    Attributes:
        delay: D in samples: output sample t is input sample t - D.
        hop_delay: samples, of the processor and of the plugins around it.
        sample_rate: Hz.
        input_channels: 1 or 2 of the device; 0: samples come from the source.
        output_channels: 1 or 2 of the device; 0: samples go to the sink.
        last_call_ns: when the callback was called last, 0 before.
        next_judged_hop: hops before it have been counted as there or missed.
        source_ended_at: stream position at which the source's last sample had been taken, or `UNKNOWN`.
        unfit_hops: so many hops of the processor belong to what was before its reset.
        finished: 1: the callback has ended the stream.
        consumed: stream position up to which the worker has done its work.
        stop: 1: the worker shall return.
        mute: 1: the callback shall fade to silence, for good; 2: it does.
        priming: 1: the device has handed over no input yet.
    """

    delay: int
    hop_delay: int
    sample_rate: int
    input_channels: int
    output_channels: int
    last_call_ns: int
    next_judged_hop: int
    source_ended_at: int
    unfit_hops: int
    finished: int
    consumed: int
    stop: int
    mute: int
    priming: int


class SharedState(NamedTuple):
    """Holds everything that callback and worker share.

    Attributes:
        history: the input; also the dry signal's delay line.
        wet: finished hops.
        source: queue of samples from a file, where the device has no input.
        sink: queue of samples to a file, where the device has no output.
        stats: counters, histograms and meters.
        parameters: live values, see `control.parameters`.
        mixer: see `stream.mixer`; the callback's own.
        control: numbers of the stream.
        calls: addresses of clock and sleep.
        scratch: the callback's own: input, dry, output.
        output: what was handed out, by the history's index and marks.
        gaps: in the input; the callback's own.
        heard: which of input and restoration is heard, and how loud the input is then.
        loudness: of the input and of what is made of it; the worker's own.
    """

    history: Ring
    wet: WetRing
    source: Ring
    sink: Ring
    stats: Stats
    parameters: Annotated[NDArray[np.float64], "parameters"]
    mixer: Annotated[NDArray[np.float64], N_MIXER]
    control: StreamControl
    calls: Annotated[NDArray[np.int64], 4]
    scratch: Annotated[NDArray[np.float32], 3, CHUNK, 2]
    output: Ring
    gaps: Gaps
    heard: HeardSignal
    loudness: LoudnessMeter


def make_shared_state(
    framing: Framing,
    delay: int,
    input_channels: int,
    output_channels: int,
    queue_length: int,
    parameters: NDArray[np.float64],
    kept_samples: int = 0,
    plugin_delay: int = 0,
) -> SharedState:
    """Allocate the state at the start of a stream: silence everywhere, wet silence before the first sample.

    Args:
        framing: the model's.
        delay: D in samples.
        input_channels: 1 or 2 of the device, 0 for the source.
        output_channels: 1 or 2 of the device, 0 for the sink.
        queue_length: samples that source and sink hold at least.
        parameters: the live values, shared, `(parameters,)`.
        kept_samples: of input and output that are kept at least, beyond `HISTORY_LENGTH`.
        plugin_delay: samples of D that plugins take; whole hops.
    """
    hop_length, hop_delay = framing.hop_length, framing.hop_delay + plugin_delay
    # Twice what can ever lie between the newest finished sample and the one being played.
    n_slots = 2 * ((delay + CHUNK + FADE_LENGTH) // hop_length + 4)
    history = make_ring(max(HISTORY_LENGTH, 4 * delay, kept_samples))
    return SharedState(
        history=history,
        wet=make_wet_ring(hop_length, n_slots),
        source=make_ring(queue_length),
        sink=make_ring(queue_length),
        stats=make_stats(),
        parameters=parameters,
        mixer=new_mixer(parameters),
        control=_control(framing, delay, hop_delay, (input_channels, output_channels)),
        calls=system_calls(),
        scratch=np.zeros((3, CHUNK, 2), np.float32),
        output=Ring(np.full_like(history.samples, 0), history.marks),
        gaps=make_gaps(),
        heard=new_heard_signal(),
        loudness=make_loudness_meter(hop_length, framing.sample_rate, parameters),
    )


def _control(framing: Framing, delay: int, hop_delay: int, channels: tuple[int, int]) -> StreamControl:
    control = new_record(StreamControl)
    control.delay, control.hop_delay = delay, hop_delay
    control.sample_rate = framing.sample_rate
    control.input_channels, control.output_channels = channels
    control.source_ended_at = UNKNOWN
    control.priming = 1
    control.unfit_hops = hop_delay // framing.hop_length
    return control


def ring_gauges(shared: SharedState) -> dict[str, float]:
    """Read how full the rings are at this moment, in samples, by the names of `Snapshot.gauges`."""
    queues = {"source_queue": n_queued(shared.source), "sink_queue": n_queued(shared.sink)}
    return {"wet_ring": _wet_ahead(shared), **queues}


@entry
@realtime
def _wet_ahead(shared: SharedState) -> int:
    """Count the samples that are restored and not yet played; below 0, what is late."""
    consumed, written = load(shared.control, "consumed"), load(shared.history.marks, "written")
    return int(consumed - shared.control.hop_delay - written + shared.control.delay)
