"""The callbacks of a joint: what the devices call instead of the engine's callback, and what calls that one in turn.

    capture -> ring -> to_engine -> the engine's callback -> to_device -> playback        two callbacks, two clocks
    capture -> ring -> to_engine -> the engine's callback -> to_device -> playback        one callback, one clock
               ring -> to_engine -> the engine's callback -> its sink                     capture only
                                    the engine's callback -> to_device -> playback        playback only

The playing side draws: so many samples for the device are so many of the engine's, and so many from the ring. Where
there are two clocks, how fast the ring is read is steered so that always as much is held back in it.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_load, atomic_store, call_address, now_ns, realtime
from apollo_rt.live.clock_bridge.clock_model import find_anew
from apollo_rt.live.clock_bridge.reader import begin_to_flow, cross, look, read_step, stop_flowing, take_notice
from apollo_rt.live.clock_bridge.shared_state import (
    CAPTURE,
    DRY_AT,
    ENDED_AT,
    ENGINE_CALLBACK,
    ENGINE_RATE,
    ENGINE_USERDATA,
    HAS_FLOWED,
    HAS_TWO_CLOCKS,
    HELD_FLAGS,
    INPUT_CHANNELS,
    IS_FLOWING,
    LONGEST_PIECE,
    N_NOTES,
    N_OVERFLOWS,
    N_OVERFLOWS_SEEN,
    N_PLAYED,
    NOTED_NS,
    NOTED_WRITTEN,
    NOTES,
    OUT_RATE,
    OUTPUT_CHANNELS,
    Joint,
    joint_at,
)
from apollo_rt.live.realtime.callback import COMPLETE, CONTINUE, stream_callback
from apollo_rt.live.realtime.device_block import read_block, write_block
from apollo_rt.live.realtime.ring import CHUNK, WRITTEN, append, fetch
from apollo_rt.stream.resample import HELD_TO, Resampler, n_needed, n_ready, position_of, pull, push

_INPUT_UNDERFLOW, _INPUT_OVERFLOW, _OUTPUT_UNDERFLOW, _PRIMING = 1, 2, 4, 16
_XRUNS = 15
"""Status flags of a `PaStreamCallback`."""


# --- the capturing side ----------------------------------------------------------------------------------------------


@realtime
def captured(joint: Joint, address: int, n_samples: int, flags: int, time_ns: int) -> None:
    """Take what the device has captured until `time_ns`."""
    channels = joint.control[INPUT_CHANNELS]
    done = 0
    while done < n_samples:
        block = joint.pieces[0, : min(CHUNK, n_samples - done)]
        if address:
            read_block(address, n_samples, channels, done, block)
        else:
            block[:, :] = np.float32(0.0)
        append(joint.ring, block)
        done += block.shape[0]
    if flags & _INPUT_OVERFLOW:
        atomic_store(joint.control, N_OVERFLOWS, joint.control[N_OVERFLOWS] + 1)
    n_notes = joint.control[N_NOTES]
    joint.notes[n_notes % NOTES, NOTED_WRITTEN] = joint.ring.marks[WRITTEN]
    joint.notes[n_notes % NOTES, NOTED_NS] = time_ns
    atomic_store(joint.control, N_NOTES, n_notes + 1)


# --- the playing side ------------------------------------------------------------------------------------------------


@realtime
def played(joint: Joint, address: int, n_samples: int, flags: int, time_ns: int) -> int:
    """Fill the playback device's block, which it wants at `time_ns`; returns `CONTINUE` or `COMPLETE`."""
    control = joint.control
    control[HELD_FLAGS] |= flags
    if control[HAS_TWO_CLOCKS]:
        n_overflows = atomic_load(control, N_OVERFLOWS)
        if n_overflows != control[N_OVERFLOWS_SEEN]:
            control[N_OVERFLOWS_SEEN] = n_overflows
            control[HELD_FLAGS] |= _INPUT_OVERFLOW
            find_anew(joint.bases[CAPTURE])
        if flags & _PRIMING == 0:
            take_notice(joint, time_ns, flags & _OUTPUT_UNDERFLOW != 0)
            if control[IS_FLOWING] == 0:
                begin_to_flow(joint, n_samples)
    is_clean = control[HELD_FLAGS] & _XRUNS == 0
    code, done = CONTINUE, 0
    while done < n_samples:
        piece = joint.pieces[2, : min(LONGEST_PIECE, n_samples - done)]
        code |= _play(joint, piece)
        write_block(address, n_samples, control[OUTPUT_CHANNELS], done, piece)
        done += piece.shape[0]
    control[N_PLAYED] += n_samples
    if control[HAS_TWO_CLOCKS] and control[IS_FLOWING]:
        look(joint, n_samples, is_clean)
    return code


@realtime
def _play(joint: Joint, piece: NDArray[np.float32]) -> int:
    """The next samples for the playback device."""
    to_device, step = joint.to_device, joint.figures[ENGINE_RATE] / joint.figures[OUT_RATE]
    n_engine = n_needed(to_device, piece.shape[0], step)
    code = _run_engine(joint, n_engine)
    push(to_device, joint.blocks[1, :n_engine])
    pull(to_device, piece, step)
    ended_at = joint.control[ENDED_AT]
    if code == COMPLETE and ended_at < 0:
        joint.control[ENDED_AT] = to_device.places[HELD_TO]
        return CONTINUE
    return COMPLETE if ended_at >= 0 and position_of(to_device) >= ended_at else CONTINUE


@realtime
def drained(joint: Joint, flags: int) -> int:
    """Hand everything that has been captured to the engine, which has a sink; returns `CONTINUE` or `COMPLETE`."""
    joint.control[HELD_FLAGS] |= flags
    code, to_engine = CONTINUE, joint.to_engine
    left = atomic_load(joint.ring.marks, WRITTEN) - to_engine.places[HELD_TO]
    while left > 0:
        n_samples = min(CHUNK, left)
        _fetch(joint, n_samples)
        code |= _run_engine(joint, n_ready(to_engine, read_step(joint)))
        left -= n_samples
    return code


@realtime
def _run_engine(joint: Joint, n_samples: int) -> int:
    """Move the engine on by one block; its output is then in `blocks`."""
    control, block, output = joint.control, joint.blocks[0, :n_samples], joint.blocks[1, :n_samples]
    if n_samples == 0:
        return CONTINUE
    if control[ENDED_AT] >= 0:
        output[:, :] = np.float32(0.0)
        return CONTINUE
    if control[INPUT_CHANNELS]:
        _supply(joint, block)
    flags = control[HELD_FLAGS]
    control[HELD_FLAGS] = 0
    return int(
        call_address(
            control[ENGINE_CALLBACK],
            (
                block.ctypes.data if control[INPUT_CHANNELS] else 0,
                output.ctypes.data if control[OUTPUT_CHANNELS] else 0,
                n_samples,
                0,
                flags,
                control[ENGINE_USERDATA],
            ),
        )
        & 0xFFFFFFFF
    )


@realtime
def _supply(joint: Joint, block: NDArray[np.float32]) -> None:
    """The engine's next input."""
    control, step = joint.control, read_step(joint)
    is_there = bool(control[IS_FLOWING]) and _fetch(joint, n_needed(joint.to_engine, block.shape[0], step))
    if is_there:
        pull(joint.to_engine, block, step)
    else:
        block[:, :] = np.float32(0.0)
    if control[HAS_TWO_CLOCKS] == 0:
        return
    if not is_there and control[IS_FLOWING]:
        control[DRY_AT] = atomic_load(joint.ring.marks, WRITTEN)
        stop_flowing(joint)
    if not is_there and control[HAS_FLOWED]:
        control[HELD_FLAGS] |= _INPUT_UNDERFLOW
    cross(joint.bridge, block, is_there)


@realtime
def _fetch(joint: Joint, n_samples: int) -> bool:
    """Push the ring's next samples into the resampler; False where they aren't there yet, or no more."""
    to_engine: Resampler = joint.to_engine
    if to_engine.places[HELD_TO] + n_samples > atomic_load(joint.ring.marks, WRITTEN):
        return False
    done = 0
    while done < n_samples:
        piece = joint.pieces[1, : min(CHUNK, n_samples - done)]
        if not fetch(joint.ring, to_engine.places[HELD_TO], piece):
            return False
        push(to_engine, piece)
        done += piece.shape[0]
    return True


# --- what PortAudio calls --------------------------------------------------------------------------------------------


def _capture_body(
    input_address: int, output_address: int, block_size: int, time_info: int, flags: int, userdata: int
) -> int:
    """`PaStreamCallback` of a capture device whose clock is not the playback device's."""
    joint = joint_at(userdata)
    captured(joint, input_address, int(block_size), int(flags), now_ns(joint.calls))
    return CONTINUE


def _device_body(
    input_address: int, output_address: int, block_size: int, time_info: int, flags: int, userdata: int
) -> int:
    """`PaStreamCallback` of the stream that calls the engine."""
    joint = joint_at(userdata)
    control, now = joint.control, now_ns(joint.calls)
    if control[INPUT_CHANNELS] and control[HAS_TWO_CLOCKS] == 0:
        captured(joint, input_address, int(block_size), int(flags), now)
    if control[OUTPUT_CHANNELS]:
        return played(joint, output_address, int(block_size), int(flags), now)
    return drained(joint, int(flags))


@cache
def _compiled(body: Any) -> Any:
    return stream_callback(body)


def capture_address() -> int:
    """Address of the callback for the capture side of two clocks; compiles it (or reads it from the cache) once."""
    return int(_compiled(_capture_body).address)


def device_address() -> int:
    """Address of the callback for the stream that calls the engine; compiles it (or reads it from the cache) once."""
    return int(_compiled(_device_body).address)
