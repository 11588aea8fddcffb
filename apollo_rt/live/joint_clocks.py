"""What two clocks take: how much is held back in a joint's ring, where to read it, and how fast.

A ring that runs dry, or a reader that jumps, makes no step: the last sample is held and fades out, what comes fades in.
"""

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_load, atomic_store, realtime
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.drift import CORRECTION, relock, steer
from apollo_rt.live.joint import (
    CORRECTION_PPM,
    DRY_AT,
    ENGINE_RATE,
    FILL,
    FILLS,
    GAIN,
    HAS_FLOWED,
    IN_RATE,
    IS_FLOWING,
    LAST_LEFT,
    LOOKS,
    N_LOOKS,
    N_NOTES,
    NOTED_NS,
    NOTED_WRITTEN,
    NOTES,
    OUT_RATE,
    RESYNCS,
    TAIL_GAIN,
    TAIL_LEFT,
    TARGET,
    Joint,
)
from apollo_rt.live.ring import WRITTEN
from apollo_rt.stream.resample import HELD_TO, position_of, seek

_FILL_SMOOTHING_S = 1.0
_FADE_STEP = 1.0 / FADE_LENGTH


@realtime
def read_step(joint: Joint) -> float:
    """Captured samples per sample of the engine."""
    return float(joint.figures[IN_RATE] / joint.figures[ENGINE_RATE] * (1.0 + joint.loop[CORRECTION]))


@realtime
def captured_until(joint: Joint, time_ns: int) -> float:
    """How many samples the capture device has taken until a moment, those included that it hasn't handed over yet.

    A device may call late but never early: of what the last calls tell, the most is true.
    """
    n_notes = atomic_load(joint.control, N_NOTES)
    most = -1e18
    for number in range(max(n_notes - LOOKS, 0), n_notes):
        note = joint.notes[number % NOTES]
        most = max(most, note[NOTED_WRITTEN] + (time_ns - note[NOTED_NS]) * 1e-9 * joint.figures[IN_RATE])
    return float(most)


@realtime
def held_back(joint: Joint, time_ns: int) -> float:
    """Captured samples between what the capture device has taken and what the playback device has been given."""
    return float(_due(joint, time_ns) - position_of(joint.to_engine))


@realtime
def _due(joint: Joint, time_ns: int) -> float:
    """Where the ring would be read if nothing were held back."""
    to_device = joint.to_device
    # The engine is up to a sample ahead of the device.
    n_ahead = to_device.places[HELD_TO] - to_device.kernel.shape[1] // 2 - position_of(to_device)
    return float(captured_until(joint, time_ns) + n_ahead * read_step(joint))


@realtime
def begin_to_flow(joint: Joint, n_samples: int, time_ns: int) -> None:
    """Go to where the block that begins now leaves the ring at its target, if all that it needs is there."""
    if atomic_load(joint.control, N_NOTES) == 0:
        return
    to_engine, figures = joint.to_engine, joint.figures
    n_in_block = n_samples * figures[IN_RATE] / figures[OUT_RATE] * (1.0 + joint.loop[CORRECTION])
    end = _due(joint, time_ns) - figures[TARGET]
    half = to_engine.kernel.shape[1] // 2
    if end + half + 2 > atomic_load(joint.ring.marks, WRITTEN) or end - n_in_block - half < joint.control[DRY_AT]:
        return
    seek(to_engine, end - n_in_block)
    joint.control[RESYNCS] += joint.control[HAS_FLOWED]
    joint.control[IS_FLOWING] = joint.control[HAS_FLOWED] = 1
    figures[FILL] = figures[TARGET]
    joint.control[N_LOOKS] = 0
    relock(joint.loop)


@realtime
def stop_flowing(joint: Joint) -> None:
    """What was heard last will fade out."""
    bridge = joint.bridge
    joint.control[IS_FLOWING] = 0
    bridge[GAIN], bridge[TAIL_GAIN] = 0.0, 1.0
    bridge[TAIL_LEFT], bridge[TAIL_LEFT + 1] = bridge[LAST_LEFT], bridge[LAST_LEFT + 1]


@realtime
def look(joint: Joint, n_samples: int, time_ns: int, is_clean: bool) -> None:
    """See how much is held back and steer, but not by an xrun; jump where steering would take too long."""
    figures, control, period_s = joint.figures, joint.control, n_samples / joint.figures[OUT_RATE]
    figures[FILLS + control[N_LOOKS] % LOOKS] = held_back(joint, time_ns)
    control[N_LOOKS] += 1
    # Late calls find more in the ring than there would be in time.
    fill = figures[FILLS]
    for number in range(1, min(control[N_LOOKS], LOOKS)):
        fill = min(fill, figures[FILLS + number])
    atomic_store(figures, FILL, figures[FILL] + min(period_s / _FILL_SMOOTHING_S, 1.0) * (fill - figures[FILL]))
    if is_clean and not steer(joint.loop, fill - figures[TARGET], period_s, figures[IN_RATE]):
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
