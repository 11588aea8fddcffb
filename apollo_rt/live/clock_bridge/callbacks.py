"""Callbacks of a clock bridge: take the devices' calls in place of the engine's callback, and call that one in turn.

    capture -> ring -> to_engine -> the engine's callback -> to_device -> playback        two callbacks, two clocks
    capture -> ring -> to_engine -> the engine's callback -> to_device -> playback        one callback, one clock
               ring -> to_engine -> the engine's callback -> its sink                     capture only
                                    the engine's callback -> to_device -> playback        playback only

The playing side draws: so many samples for the device are so many of the engine's, and so many from the ring. Where
there are two clocks, how fast the ring is read is steered so that always as much is held back in it.
"""

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.address_table import from_address
from apollo_rt.compiled.kept_code import is_made_aside
from apollo_rt.compiled.native import call_address, now_ns, realtime
from apollo_rt.compiled.records import add, load
from apollo_rt.live.clock_bridge.bridge_state import LONGEST_PIECE, NOTES, ClockBridge
from apollo_rt.live.clock_bridge.clock_model import find_anew
from apollo_rt.live.clock_bridge.reader import begin_to_flow, cross, read_step, steer_reader, stop_flowing, take_notice
from apollo_rt.live.realtime.callback import COMPLETE, CONTINUE, stream_callback
from apollo_rt.live.realtime.device_block import read_block, write_block
from apollo_rt.live.realtime.ring import CHUNK, append, fetch
from apollo_rt.stream.resample import HELD_TO, Resampler, n_needed, n_ready, position_of, pull, push

_INPUT_UNDERFLOW, _INPUT_OVERFLOW, _OUTPUT_UNDERFLOW, _PRIMING = 1, 2, 4, 16
_XRUNS = 15
"""Status flags of a `PaStreamCallback`."""


# --- the capturing side ----------------------------------------------------------------------------------------------


@realtime
def captured(bridge: ClockBridge, address: int, n_samples: int, flags: int, time_ns: int) -> None:
    """Take what the device has captured until `time_ns`."""
    channels = bridge.control.input_channels
    done = 0
    while done < n_samples:
        block = bridge.pieces[0, : min(CHUNK, n_samples - done)]
        if address:
            read_block(address, n_samples, channels, done, block)
        else:
            block[:, :] = np.float32(0.0)
        append(bridge.ring, block)
        done += block.shape[0]
    if flags & _INPUT_OVERFLOW:
        add(bridge.control, "n_overflows", 1)
    slot = bridge.control.n_notes % NOTES
    bridge.noted_samples[slot], bridge.noted_ns[slot] = bridge.ring.marks.written, time_ns
    add(bridge.control, "n_notes", 1)


# --- the playing side ------------------------------------------------------------------------------------------------


@realtime
def played(bridge: ClockBridge, address: int, n_samples: int, flags: int, time_ns: int) -> int:
    """Fill the playback device's block, which it wants at `time_ns`; returns `CONTINUE` or `COMPLETE`."""
    control = bridge.control
    control.held_flags |= flags
    if control.has_two_clocks:
        n_overflows = load(control, "n_overflows")
        if n_overflows != control.n_overflows_seen:
            control.n_overflows_seen = n_overflows
            control.held_flags |= _INPUT_OVERFLOW
            find_anew(bridge.capture_clock)
        if flags & _PRIMING == 0:
            take_notice(bridge, time_ns, flags & _OUTPUT_UNDERFLOW != 0)
            if control.is_flowing == 0:
                begin_to_flow(bridge, n_samples)
    is_clean = control.held_flags & _XRUNS == 0
    code, done = CONTINUE, 0
    while done < n_samples:
        piece = bridge.pieces[2, : min(LONGEST_PIECE, n_samples - done)]
        code |= _play(bridge, piece)
        write_block(address, n_samples, control.output_channels, done, piece)
        done += piece.shape[0]
    control.n_played += n_samples
    if control.has_two_clocks and control.is_flowing:
        steer_reader(bridge, n_samples, is_clean)
    return code


@realtime
def _play(bridge: ClockBridge, piece: NDArray[np.float32]) -> int:
    """Make the next samples for the playback device."""
    to_device, step = bridge.to_device, bridge.figures.engine_rate / bridge.figures.out_rate
    n_engine = n_needed(to_device, piece.shape[0], step)
    code = _run_engine(bridge, n_engine)
    push(to_device, bridge.blocks[1, :n_engine])
    pull(to_device, piece, step)
    ended_at = bridge.control.ended_at
    if code == COMPLETE and ended_at < 0:
        bridge.control.ended_at = to_device.places[HELD_TO]
        return CONTINUE
    return COMPLETE if ended_at >= 0 and position_of(to_device) >= ended_at else CONTINUE


@realtime
def drained(bridge: ClockBridge, flags: int) -> int:
    """Hand everything that has been captured to the engine, which has a sink; returns `CONTINUE` or `COMPLETE`."""
    bridge.control.held_flags |= flags
    code, to_engine = CONTINUE, bridge.to_engine
    left = load(bridge.ring.marks, "written") - to_engine.places[HELD_TO]
    while left > 0:
        n_samples = min(CHUNK, left)
        _fetch(bridge, n_samples)
        code |= _run_engine(bridge, n_ready(to_engine, read_step(bridge)))
        left -= n_samples
    return code


@realtime
def _run_engine(bridge: ClockBridge, n_samples: int) -> int:
    """Move the engine on by one block; its output is then in `blocks`."""
    control, block, output = bridge.control, bridge.blocks[0, :n_samples], bridge.blocks[1, :n_samples]
    if n_samples == 0:
        return CONTINUE
    if control.ended_at >= 0:
        output[:, :] = np.float32(0.0)
        return CONTINUE
    if control.input_channels:
        _supply(bridge, block)
    flags = control.held_flags
    control.held_flags = 0
    return int(
        call_address(
            control.engine_callback,
            (
                block.ctypes.data if control.input_channels else 0,
                output.ctypes.data if control.output_channels else 0,
                n_samples,
                0,
                flags,
                control.engine_userdata,
            ),
        )
        & 0xFFFFFFFF
    )


@realtime
def _supply(bridge: ClockBridge, block: NDArray[np.float32]) -> None:
    """Supply the engine's next input."""
    control, step = bridge.control, read_step(bridge)
    is_there = bool(control.is_flowing) and _fetch(bridge, n_needed(bridge.to_engine, block.shape[0], step))
    if is_there:
        pull(bridge.to_engine, block, step)
    else:
        block[:, :] = np.float32(0.0)
    if control.has_two_clocks == 0:
        return
    if not is_there and control.is_flowing:
        control.dry_at = load(bridge.ring.marks, "written")
        stop_flowing(bridge)
    if not is_there and control.has_flowed:
        control.held_flags |= _INPUT_UNDERFLOW
    cross(bridge.seam, block, is_there)


@realtime
def _fetch(bridge: ClockBridge, n_samples: int) -> bool:
    """Push the ring's next samples into the resampler; False where they aren't there yet, or no more."""
    to_engine: Resampler = bridge.to_engine
    if to_engine.places[HELD_TO] + n_samples > load(bridge.ring.marks, "written"):
        return False
    done = 0
    while done < n_samples:
        piece = bridge.pieces[1, : min(CHUNK, n_samples - done)]
        if not fetch(bridge.ring, to_engine.places[HELD_TO], piece):
            return False
        push(to_engine, piece)
        done += piece.shape[0]
    return True


# --- what PortAudio calls --------------------------------------------------------------------------------------------


def _capture_body(
    input_address: int, output_address: int, block_size: int, time_info: int, flags: int, userdata: int
) -> int:
    """`PaStreamCallback` of a capture device whose clock is not the playback device's."""
    bridge = from_address(userdata, ClockBridge)
    captured(bridge, input_address, int(block_size), int(flags), now_ns(bridge.calls))
    return CONTINUE


def _device_body(
    input_address: int, output_address: int, block_size: int, time_info: int, flags: int, userdata: int
) -> int:
    """`PaStreamCallback` of the stream that calls the engine."""
    bridge = from_address(userdata, ClockBridge)
    control, now = bridge.control, now_ns(bridge.calls)
    if control.input_channels and control.has_two_clocks == 0:
        captured(bridge, input_address, int(block_size), int(flags), now)
    if control.output_channels:
        return played(bridge, output_address, int(block_size), int(flags), now)
    return drained(bridge, int(flags))


_CAPTURE_CALLBACK, _DEVICE_CALLBACK = (stream_callback(body, is_kept=True) for body in (_capture_body, _device_body))


def capture_address() -> int:
    """Give the address of the capture side's callback for two clocks; compile it (or read it from the cache) once."""
    return _CAPTURE_CALLBACK.address


def device_address() -> int:
    """Give the address of the callback that calls the engine; compile it (or read it from the cache) once."""
    return _DEVICE_CALLBACK.address


def compile_callbacks() -> None:
    """Compile what a bridge calls back for, so that none has to wait for it: aside, where that can be, else here."""
    if not is_made_aside(__name__):
        capture_address()
        device_address()
