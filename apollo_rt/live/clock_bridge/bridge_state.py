"""Shared state of a clock bridge, where clocks or rates of devices and engine differ: everything its callbacks share.

As `realtime.shared_state` for the engine: Python holds a named tuple of arrays and records, the callbacks get the
address of its table.
"""

import math
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import system_calls
from apollo_rt.compiled.records import Record, new_record
from apollo_rt.live.clock_bridge.clock_model import ClockModel, make_clock_model
from apollo_rt.live.clock_bridge.delay_locked_loop import DelayLockedLoop, make_loop
from apollo_rt.live.realtime.ring import CHUNK, Ring, make_ring
from apollo_rt.stream.resample import Resampler, half_length, make_resampler, rewind, seek

NOTES = 64
"""How many captures are remembered until the playing side takes notice of them."""

LONGEST_PIECE = 4096
"""The most samples of the playback device for which the engine is called at once."""

_RING_S = 1.4
_LONG_AGO = -(2**62)
_SLACK = 2.0**-10
"""In samples; so that rounding, over a year, never asks for one more sample than there is."""


class BridgeControl(Record):
    """Holds the numbers of a bridge that its callbacks share; the playing side's but for those that say otherwise.

    Attributes:
        engine_callback: address.
        engine_userdata: address.
        input_channels: of the device; 0: the engine has a source.
        output_channels: of the device; 0: the engine has a sink.
        has_two_clocks: 1: capture and playback call back by themselves.
        n_notes: how often a capture was noted; the capturing side's, as the next.
        n_overflows: how often the capture device lost samples.
        n_overflows_seen: by the playing side.
        is_flowing: 1: the engine gets what is captured; 0: silence, until the ring can be read at its target.
        has_flowed: 1: it has ever got it.
        held_flags: status flags that came when the engine was not called.
        ended_at: of the stream to the playback device: where the engine's last sample stands; -1 before its end.
        resyncs: how often the ring's reader jumped.
        dry_at: sample of the ring at which it ran dry last: what comes from there on may not follow what was before.
        n_played: samples that the playback device has been given.
        n_notes_seen: captures that the playing side knows of.
        has_moved: 1: a device's clock model is another one since the reader was steered last.
    """

    engine_callback: int
    engine_userdata: int
    input_channels: int
    output_channels: int
    has_two_clocks: int
    n_notes: int
    n_overflows: int
    n_overflows_seen: int
    is_flowing: int
    has_flowed: int
    held_flags: int
    ended_at: int
    resyncs: int
    dry_at: int
    n_played: int
    n_notes_seen: int
    has_moved: int


class BridgeFigures(Record):
    """Holds rates and fills of a bridge.

    Attributes:
        in_rate: Hz, of the capture device.
        out_rate: Hz, of the playback device.
        engine_rate: Hz.
        target: samples as captured to hold back in the ring, behind a block of the playback device.
        block: samples as captured that such a block takes.
        correction_ppm: the present correction.
        ring_fill: how many samples are held back, smoothed.
    """

    in_rate: float
    out_rate: float
    engine_rate: float
    target: float
    block: float
    correction_ppm: float
    ring_fill: float


class SeamGains(Record):
    """Tells how far a fade between two stretches of captured sound has got.

    Attributes:
        flow: gain of what is captured.
        tail: gain of the tail.
    """

    flow: float
    tail: float


class Seam(NamedTuple):
    """Leads from one stretch of captured sound to another.

    Attributes:
        gains: of both.
        last: the last sample that was heard.
        tail: the value that fades out.
    """

    gains: SeamGains
    last: Annotated[NDArray[np.float64], 2]
    tail: Annotated[NDArray[np.float64], 2]


class ClockBridge(NamedTuple):
    """Holds everything that the callbacks on either side share.

    Attributes:
        ring: what is captured, as captured.
        noted_samples: samples captured until a moment; the newest at `control.n_notes - 1`, modulo `NOTES`.
        noted_ns: that moment.
        capture_clock: what these moments tell of the capture device's clock.
        playback_clock: what the calls of the playback device tell of its clock.
        to_engine: from the capture device's rate to the engine's.
        to_device: from the engine's rate to the playback device's.
        blocks: the engine's input and output.
        pieces: of the capturing side, of the ring's reader, of the playing side.
        seam: where captured sound breaks off or begins.
        loop: steers how fast the ring is read.
        figures: rates and fills.
        control: numbers that both sides share.
        calls: addresses of clock and sleep.
    """

    ring: Ring
    noted_samples: Annotated[NDArray[np.int64], NOTES]
    noted_ns: Annotated[NDArray[np.int64], NOTES]
    capture_clock: ClockModel
    playback_clock: ClockModel
    to_engine: Resampler
    to_device: Resampler
    blocks: Annotated[NDArray[np.float32], 2, "longest_block", 2]
    pieces: Annotated[NDArray[np.float32], 3, LONGEST_PIECE, 2]
    seam: Seam
    loop: DelayLockedLoop
    figures: BridgeFigures
    control: BridgeControl
    calls: Annotated[NDArray[np.int64], 4]


def make_clock_bridge(
    in_rate: int,
    out_rate: int,
    engine_rate: int,
    channels: tuple[int, int],
    target: float = 0.0,
    far: float = 0.0,
    block_size: int = 0,
) -> ClockBridge:
    """Allocate a bridge at the start of a stream.

    Args:
        in_rate: Hz of the capture device; the engine's where there is none.
        out_rate: Hz of the playback device; the engine's where there is none.
        engine_rate: Hz.
        channels: of the capture and the playback device, 0 where there is none.
        target: where the devices have a clock each, samples as captured to hold back; 0 where one clock drives all.
        far: how many samples from the target are mended by a jump.
        block_size: of the playback device; the most where blocks vary.
    """
    longest_block = math.ceil(LONGEST_PIECE * engine_rate / out_rate) + 2
    to_engine_block = math.ceil(1.01 * longest_block * in_rate / engine_rate) + CHUNK
    bridge = ClockBridge(
        ring=make_ring(int(_RING_S * in_rate)),
        noted_samples=np.zeros(NOTES, np.int64),
        noted_ns=np.zeros(NOTES, np.int64),
        capture_clock=make_clock_model(in_rate),
        playback_clock=make_clock_model(out_rate),
        to_engine=make_resampler(in_rate, engine_rate, to_engine_block),
        to_device=make_resampler(engine_rate, out_rate, longest_block, is_steered=False),
        blocks=np.zeros((2, longest_block, 2), np.float32),
        pieces=np.zeros((3, LONGEST_PIECE, 2), np.float32),
        seam=Seam(new_record(SeamGains), *np.zeros((2, 2))),
        loop=make_loop(far),
        figures=_figures((in_rate, out_rate, engine_rate), target, block_size),
        control=_control(channels, has_two_clocks=target > 0.0),
        calls=system_calls(),
    )
    _align(bridge, (in_rate, out_rate, engine_rate))
    return bridge


def _align(bridge: ClockBridge, rates: tuple[int, int, int]) -> None:
    """Set both converters to where the stream's first sample is asked for first, and the seam to how it begins."""
    bridge.seam.gains.flow = float(not bridge.control.has_two_clocks)
    in_rate, out_rate, engine_rate = rates
    seek(bridge.to_engine, -half_length(in_rate, engine_rate) - _SLACK)
    rewind(bridge.to_device, half_length(engine_rate, out_rate, is_steered=False) + _SLACK * (out_rate != engine_rate))


def _control(channels: tuple[int, int], has_two_clocks: bool) -> BridgeControl:
    control = new_record(BridgeControl)
    control.input_channels, control.output_channels = channels
    control.has_two_clocks, control.is_flowing = int(has_two_clocks), int(not has_two_clocks)
    control.ended_at, control.dry_at = -1, _LONG_AGO
    return control


def _figures(rates: tuple[int, int, int], target: float, block_size: int) -> BridgeFigures:
    figures = new_record(BridgeFigures)
    figures.in_rate, figures.out_rate, figures.engine_rate = rates
    figures.target, figures.block = target, block_size * rates[0] / rates[1]
    return figures
