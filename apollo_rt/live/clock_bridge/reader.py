"""What two clocks take: how much is held back in a joint's ring, where to read it, and how fast.

A ring that runs dry, or a reader that jumps, makes no step: the last sample is held and fades out, what comes fades in.
"""

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_load, atomic_store, realtime
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.clock_bridge.clock_model import (
    STEP_S,
    find_anew,
    is_found,
    note_call,
    sample_at,
    scatter_s,
    time_of,
)
from apollo_rt.live.clock_bridge.delay_locked_loop import CORRECTION, relock, steer
from apollo_rt.live.clock_bridge.shared_state import (
    BLOCK,
    CAPTURE,
    CORRECTION_PPM,
    DRY_AT,
    ENGINE_RATE,
    FILL,
    GAIN,
    HAS_FLOWED,
    HAS_MOVED,
    IN_RATE,
    IS_FLOWING,
    LAST_LEFT,
    N_NOTES,
    N_NOTES_SEEN,
    N_PLAYED,
    NOTED_NS,
    NOTED_WRITTEN,
    NOTES,
    OUT_RATE,
    PLAYBACK,
    RESYNCS,
    TAIL_GAIN,
    TAIL_LEFT,
    TARGET,
    Joint,
)
from apollo_rt.live.realtime.ring import WRITTEN
from apollo_rt.stream.resample import HELD_TO, position_of, seek

_FILL_SMOOTHING_S = 1.0
_DOUBT = 2.0
"""An error of so many times what the time bases scatter by is not taken for real."""
_FADE_STEP = 1.0 / FADE_LENGTH


@realtime
def read_step(joint: Joint) -> float:
    """Captured samples per sample of the engine."""
    return float(joint.figures[IN_RATE] / joint.figures[ENGINE_RATE] * (1.0 + joint.loop[CORRECTION]))


@realtime
def take_notice(joint: Joint, time_ns: int, has_broken: bool) -> None:
    """Bring both time bases up to now, when the playback device calls, for the first sample that it has not been given.

    Args:
        joint: its bases move on.
        time_ns: when it called.
        has_broken: the playback device had run dry.
    """
    control, bases = joint.control, joint.bases
    n_notes = atomic_load(control, N_NOTES)
    for number in range(max(control[N_NOTES_SEEN], n_notes - NOTES // 2), n_notes):
        note = joint.notes[number % NOTES]
        control[HAS_MOVED] |= note_call(bases[CAPTURE], float(note[NOTED_WRITTEN]), note[NOTED_NS] * 1e-9)
    control[N_NOTES_SEEN] = n_notes
    if has_broken:
        find_anew(bases[PLAYBACK])
    control[HAS_MOVED] |= note_call(bases[PLAYBACK], float(control[N_PLAYED]), time_ns * 1e-9)


@realtime
def _due(joint: Joint) -> float:
    """Where the ring would be read if nothing were held back.

    What is captured, handed over or not, when the device really wants its next sample: as the time bases tell.
    """
    to_device = joint.to_device
    # The engine is up to a sample ahead of the device.
    n_ahead = to_device.places[HELD_TO] - to_device.kernel.shape[1] // 2 - position_of(to_device)
    time_s = time_of(joint.bases[PLAYBACK], float(joint.control[N_PLAYED]))
    return float(sample_at(joint.bases[CAPTURE], time_s) + n_ahead * read_step(joint))


@realtime
def begin_to_flow(joint: Joint, n_samples: int) -> None:
    """Go to where the block that begins now leaves the ring at its target, if all that it needs is there."""
    if joint.control[N_NOTES_SEEN] == 0:
        return
    to_engine, figures = joint.to_engine, joint.figures
    n_in_block = n_samples * figures[IN_RATE] / figures[OUT_RATE] * (1.0 + joint.loop[CORRECTION])
    begin = _due(joint) - figures[TARGET] - figures[BLOCK]
    half = to_engine.kernel.shape[1] // 2
    is_there = begin + n_in_block + half + 2 <= atomic_load(joint.ring.marks, WRITTEN)
    if not is_there or begin - half < joint.control[DRY_AT]:
        return
    seek(to_engine, begin)
    joint.control[RESYNCS] += joint.control[HAS_FLOWED]
    joint.control[IS_FLOWING] = joint.control[HAS_FLOWED] = 1
    figures[FILL] = figures[TARGET]
    relock(joint.loop)


@realtime
def stop_flowing(joint: Joint) -> None:
    """What was heard last will fade out."""
    bridge = joint.bridge
    joint.control[IS_FLOWING] = 0
    bridge[GAIN], bridge[TAIL_GAIN] = 0.0, 1.0
    bridge[TAIL_LEFT], bridge[TAIL_LEFT + 1] = bridge[LAST_LEFT], bridge[LAST_LEFT + 1]


@realtime
def look(joint: Joint, n_samples: int, is_clean: bool) -> None:
    """See how much is held back once a block is read, and steer, but not by an xrun; jump where that takes too long."""
    figures, control, period_s = joint.figures, joint.control, n_samples / joint.figures[OUT_RATE]
    fill = _due(joint) - position_of(joint.to_engine) - figures[BLOCK]
    atomic_store(figures, FILL, figures[FILL] + min(period_s / _FILL_SMOOTHING_S, 1.0) * (fill - figures[FILL]))
    error = fill - figures[TARGET]
    is_elsewhere = control[HAS_MOVED] != 0 and abs(error) > STEP_S * figures[IN_RATE]
    control[HAS_MOVED] = 0
    can_steer = is_clean and is_found(joint.bases[CAPTURE]) and is_found(joint.bases[PLAYBACK])
    doubt = _DOUBT * (scatter_s(joint.bases[CAPTURE]) + scatter_s(joint.bases[PLAYBACK])) * figures[IN_RATE]
    if is_elsewhere or (can_steer and not steer(joint.loop, error, period_s, figures[IN_RATE], doubt)):
        stop_flowing(joint)
    atomic_store(figures, CORRECTION_PPM, 1e6 * joint.loop[CORRECTION])


@realtime
def cross(bridge: NDArray[np.float64], block: NDArray[np.float32], is_flowing: bool) -> None:
    """Lead from what was heard last to what comes: silence, or the ring from another place."""
    for index in range(block.shape[0]):
        if bridge[TAIL_GAIN] == 0.0 and (bridge[GAIN] == 1.0 or not is_flowing):
            break
        if is_flowing:
            bridge[GAIN] = min(bridge[GAIN] + _FADE_STEP, 1.0)
        bridge[TAIL_GAIN] = max(bridge[TAIL_GAIN] - _FADE_STEP, 0.0)
        for channel in range(2):
            value = bridge[GAIN] * block[index, channel] + bridge[TAIL_GAIN] * bridge[TAIL_LEFT + channel]
            block[index, channel] = np.float32(value)
    bridge[LAST_LEFT], bridge[LAST_LEFT + 1] = block[-1, 0], block[-1, 1]
