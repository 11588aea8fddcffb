"""Reads the capture ring of a clock bridge: keeps its fill at the target by steering how fast it is read.

A ring that runs dry, or a reader that jumps, makes no step: the last sample is held and fades out, what comes fades in.
"""

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import realtime
from apollo_rt.compiled.records import load, store
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.clock_bridge.bridge_state import NOTES, ClockBridge, Seam
from apollo_rt.live.clock_bridge.clock_model import (
    STEP_S,
    find_anew,
    is_found,
    note_call,
    sample_at,
    scatter_s,
    time_of,
)
from apollo_rt.live.clock_bridge.delay_locked_loop import relock, steer
from apollo_rt.stream.resample import HELD_TO, position_of, seek

_FILL_SMOOTHING_S = 1.0
_DOUBT = 2.0
"""An error of so many times what the clock models scatter by is not taken for real."""
_FADE_STEP = 1.0 / FADE_LENGTH


@realtime
def read_step(bridge: ClockBridge) -> float:
    """Give the captured samples per sample of the engine."""
    return float(bridge.figures.in_rate / bridge.figures.engine_rate * (1.0 + bridge.loop.correction))


@realtime
def take_notice(bridge: ClockBridge, time_ns: int, has_broken: bool) -> None:
    """Bring both clock models up to now, when the playback device calls for the first sample it has not been given.

    Args:
        bridge: its clock models move on.
        time_ns: when it called.
        has_broken: the playback device had run dry.
    """
    control = bridge.control
    n_notes = load(control, "n_notes")
    for number in range(max(control.n_notes_seen, n_notes - NOTES // 2), n_notes):
        slot = number % NOTES
        called_s = bridge.noted_ns[slot] * 1e-9
        control.has_moved |= note_call(bridge.capture_clock, float(bridge.noted_samples[slot]), called_s)
    control.n_notes_seen = n_notes
    if has_broken:
        find_anew(bridge.playback_clock)
    control.has_moved |= note_call(bridge.playback_clock, float(control.n_played), time_ns * 1e-9)


@realtime
def _due(bridge: ClockBridge) -> float:
    """Find where the ring would be read if nothing were held back.

    What is captured, handed over or not, when the device really wants its next sample: as the clock models tell.
    """
    to_device = bridge.to_device
    # The engine is up to a sample ahead of the device.
    n_ahead = to_device.places[HELD_TO] - to_device.kernel.shape[1] // 2 - position_of(to_device)
    time_s = time_of(bridge.playback_clock, float(bridge.control.n_played))
    return float(sample_at(bridge.capture_clock, time_s) + n_ahead * read_step(bridge))


@realtime
def begin_to_flow(bridge: ClockBridge, n_samples: int) -> None:
    """Go to where the block that begins now leaves the ring at its target, if all that it needs is there."""
    if bridge.control.n_notes_seen == 0:
        return
    to_engine, figures = bridge.to_engine, bridge.figures
    n_in_block = n_samples * figures.in_rate / figures.out_rate * (1.0 + bridge.loop.correction)
    begin = _due(bridge) - figures.target - figures.block
    half = to_engine.kernel.shape[1] // 2
    is_there = begin + n_in_block + half + 2 <= load(bridge.ring.marks, "written")
    if not is_there or begin - half < bridge.control.dry_at:
        return
    seek(to_engine, begin)
    bridge.control.resyncs += bridge.control.has_flowed
    bridge.control.is_flowing = bridge.control.has_flowed = 1
    figures.ring_fill = figures.target
    relock(bridge.loop)


@realtime
def stop_flowing(bridge: ClockBridge) -> None:
    """Stop reading the ring: what was heard last will fade out."""
    seam = bridge.seam
    bridge.control.is_flowing = 0
    seam.gains.flow, seam.gains.tail = 0.0, 1.0
    seam.tail[0], seam.tail[1] = seam.last[0], seam.last[1]


@realtime
def steer_reader(bridge: ClockBridge, n_samples: int, is_clean: bool) -> None:
    """See how much is held back once a block is read, and steer, but not by an xrun; jump where that takes too long."""
    figures, control, period_s = bridge.figures, bridge.control, n_samples / bridge.figures.out_rate
    fill = _due(bridge) - position_of(bridge.to_engine) - figures.block
    store(figures, "ring_fill", figures.ring_fill + min(period_s / _FILL_SMOOTHING_S, 1.0) * (fill - figures.ring_fill))
    error = fill - figures.target
    is_elsewhere = control.has_moved != 0 and abs(error) > STEP_S * figures.in_rate
    control.has_moved = 0
    can_steer = is_clean and is_found(bridge.capture_clock) and is_found(bridge.playback_clock)
    doubt = _DOUBT * (scatter_s(bridge.capture_clock) + scatter_s(bridge.playback_clock)) * figures.in_rate
    if is_elsewhere or (can_steer and not steer(bridge.loop, error, period_s, figures.in_rate, doubt)):
        stop_flowing(bridge)
    store(figures, "correction_ppm", 1e6 * bridge.loop.correction)


@realtime
def cross(seam: Seam, block: NDArray[np.float32], is_flowing: bool) -> None:
    """Lead from what was heard last to what comes: silence, or the ring from another place.

    Shape:
        (samples, 2)
    """
    gains = seam.gains
    for index in range(block.shape[0]):
        if gains.tail == 0.0 and (gains.flow == 1.0 or not is_flowing):
            break
        if is_flowing:
            gains.flow = min(gains.flow + _FADE_STEP, 1.0)
        gains.tail = max(gains.tail - _FADE_STEP, 0.0)
        for channel in range(2):
            value = gains.flow * block[index, channel] + gains.tail * seam.tail[channel]
            block[index, channel] = np.float32(value)
    seam.last[0], seam.last[1] = block[-1, 0], block[-1, 1]
