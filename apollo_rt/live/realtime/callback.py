"""Audio callback: moves the stream on by a block, one compiled body for every device.

It is a `PaStreamCallback`, handed to PortAudio as a C function pointer, and called the very same way by the virtual
device. It moves samples, counts and crossfades. It never allocates (`realtime` functions can't), locks, waits, logs,
raises, or needs the interpreter.

    device or source -> input guard -> history ----------------------> worker -> wet ring
                                   '-- delayed by D: dry -> mixer <-----------'
                                                              '-> output guard -> device or sink
"""

import ctypes
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.address_table import from_address
from apollo_rt.compiled.functions import CompiledCallback
from apollo_rt.compiled.native import now_ns, realtime
from apollo_rt.compiled.records import add, load, store
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.realtime.counters import begin_counting, count_xruns, end_counting, move_meter, record
from apollo_rt.live.realtime.device_block import read_block, write_block
from apollo_rt.live.realtime.gaps import FOR_EVER, add_gap, fade_around_gaps
from apollo_rt.live.realtime.heard_signal import aim, note_loudest
from apollo_rt.live.realtime.lockout import Attachment, enter, leave, play_silence
from apollo_rt.live.realtime.ring import (
    CHUNK,
    UNKNOWN,
    append,
    copy_in,
    copy_out,
    end_of,
    has_hop,
    n_free,
    n_queued,
    put,
    run_end,
    take,
)
from apollo_rt.live.realtime.shared_state import SharedState
from apollo_rt.stream.mixer import crossfade, finish
from apollo_rt.stream.sample_guard import guard_output, replace_faults

CONTINUE, COMPLETE, ABORT = 0, 1, 2
"""What a `PaStreamCallback` returns."""

_INPUT_UNDERFLOW, _INPUT_OVERFLOW = 1, 2
"""PortAudio's status flags."""

# Pointers travel as integers of their size, which every 64-bit calling convention passes the same way.
_ARGUMENTS = ctypes.c_int64, ctypes.c_int64, ctypes.c_ulong, ctypes.c_int64, ctypes.c_ulong, ctypes.c_int64


def _body(input_address: int, output_address: int, block_size: int, time_info: int, flags: int, userdata: int) -> int:
    """`PaStreamCallback`: input, output, frame count, time info (not used), status flags, userdata."""
    attachment = from_address(userdata, Attachment)
    lockout, shared = attachment.lockout, attachment.shared
    if not enter(lockout):
        play_silence(lockout, output_address, int(block_size))
        return ABORT
    now = now_ns(shared.calls)
    begin_counting(shared.stats.callback_version)
    if shared.control.last_call_ns:
        record(shared.stats.interval_ns, now - shared.control.last_call_ns)
    shared.control.last_call_ns = now
    add(shared.stats.counters, "callbacks", 1)
    _note_flags(shared, int(flags), int(block_size))
    code = advance(shared, input_address, output_address, int(block_size))
    record(shared.stats.callback_ns, now_ns(shared.calls) - now)
    end_counting(shared.stats.callback_version)
    leave(lockout)
    return code


def stream_callback(body: Callable[[int, int, int, int, int, int], int], is_kept: bool = False) -> CompiledCallback:
    """Compile a `PaStreamCallback` as `realtime` functions are, once its `.address` is asked for; PortAudio wants that.

    Args:
        body: see above.
        is_kept: it is a function of a module of ours, whose code is kept for later starts as that of entries is.
    """
    return CompiledCallback(body, _ARGUMENTS, ctypes.c_int32, is_kept)


_CALLBACK = stream_callback(_body, is_kept=True)


def callback_address() -> int:
    """Give the address of the callback; compile it (or read it from the cache) the first time."""
    return _CALLBACK.address


@realtime
def _note_flags(shared: SharedState, flags: int, block_size: int) -> None:
    """Note where the device made up the input of this block, or lost some before it: the output fades around that."""
    written, is_priming = shared.history.marks.written, shared.control.priming == 1 and flags & _INPUT_UNDERFLOW != 0
    count_xruns(shared.stats.counters, flags, is_priming)
    if is_priming:
        add_gap(shared.gaps, written + block_size, written + block_size)  # what is captured then fades in
        return
    shared.control.priming = 0
    if flags & _INPUT_UNDERFLOW:
        add_gap(shared.gaps, written, written + block_size)
    elif flags & _INPUT_OVERFLOW:
        add_gap(shared.gaps, written, written)


@realtime
def advance(shared: SharedState, input_address: int, output_address: int, n_samples: int) -> int:
    """Move the stream on by any number of samples; returns `CONTINUE`, or `COMPLETE` when all is played."""
    done = 0
    while done < n_samples:
        n_chunk = min(CHUNK, n_samples - done)
        block, dry, output = shared.scratch[0, :n_chunk], shared.scratch[1, :n_chunk], shared.scratch[2, :n_chunk]
        _receive(shared, input_address, done, n_samples, block)
        append(shared.history, block)
        _mix(shared, dry, output)
        _deliver(shared, output_address, done, n_samples, output)
        add(shared.stats.counters, "samples", n_chunk)
        done += n_chunk
    ended_at = shared.control.source_ended_at
    if ended_at != UNKNOWN and shared.history.marks.written >= ended_at + shared.control.delay:
        store(shared.control, "finished", 1)
        return COMPLETE
    return CONTINUE


@realtime
def _receive(shared: SharedState, address: int, done: int, n_samples: int, block: NDArray[np.float32]) -> None:
    """Receive the next samples from the device or the source: always two channels, always finite."""
    channels = shared.control.input_channels
    if channels == 0:
        _receive_from_source(shared, block)
    else:
        read_block(address, n_samples, channels, done, block)
    _replace_faults(shared, block)
    note_loudest(shared.heard, block, shared.control.delay, shared.control.sample_rate)
    move_meter(shared.stats.input_meter, block, shared.control.sample_rate)


@realtime
def _replace_faults(shared: SharedState, block: NDArray[np.float32]) -> None:
    """Put silence in place of values that are no audio; the output fades around it."""
    n_faults, first, end = replace_faults(block)
    if n_faults > 0:
        add(shared.stats.counters, "faulty_samples", n_faults)
        position = shared.history.marks.written
        add_gap(shared.gaps, position + first, position + end)


@realtime
def _receive_from_source(shared: SharedState, block: NDArray[np.float32]) -> None:
    """Receive samples from the file; behind its end, or where it isn't decoded yet, silence."""
    n_taken = take(shared.source, block)
    block[n_taken:, :] = np.float32(0.0)
    position = shared.history.marks.written
    at_end = end_of(shared.source) != UNKNOWN and n_queued(shared.source) == 0
    if at_end and shared.control.source_ended_at == UNKNOWN:
        shared.control.source_ended_at = position + n_taken
    if n_taken < block.shape[0] and not at_end:
        add(shared.stats.counters, "source_underruns", 1)
        add_gap(shared.gaps, position + n_taken, position + block.shape[0])


@realtime
def _mix(shared: SharedState, dry: NDArray[np.float32], output: NDArray[np.float32]) -> None:
    """Mix what is heard: input of D samples ago, restored where that is there in time."""
    end = shared.history.marks.written - shared.control.delay
    begin = end - output.shape[0]
    copy_out(shared.history, begin, dry)
    _judge_hops(shared, end + FADE_LENGTH)
    hop_length = shared.wet.samples.shape[1]
    aim(shared.mixer, shared.parameters, shared.heard)
    position, wet_end, n_covered = begin, begin, 0
    while position < end:
        if position >= wet_end:
            wet_end = run_end(shared.wet, position, end + FADE_LENGTH)
        hop = position // hop_length
        stop = min(end, (hop + 1) * hop_length)
        wet = shared.wet.samples[hop % shared.wet.tags.shape[0], position - hop * hop_length : stop - hop * hop_length]
        part = slice(position - begin, stop - begin)
        n_covered += crossfade(dry[part], wet, wet_end - position, shared.mixer, output[part])
        position = stop
    finish(shared.mixer, output, shared.control.sample_rate)
    add(shared.stats.counters, "covered_samples", n_covered)
    if load(shared.control, "mute") == 1:
        shared.control.mute = 2
        add_gap(shared.gaps, begin + FADE_LENGTH, FOR_EVER)
    add(shared.stats.counters, "silenced_samples", fade_around_gaps(shared.gaps, begin, output))


@realtime
def _judge_hops(shared: SharedState, needed_end: int) -> None:
    """Count each hop that isn't there when its first sample, or the reserve before a fade, is needed."""
    hop = shared.control.next_judged_hop
    hop_length = shared.wet.samples.shape[1]
    while hop * hop_length < needed_end:
        if not has_hop(shared.wet, hop):
            add(shared.stats.counters, "deadline_misses", 1)
        hop += 1
    shared.control.next_judged_hop = hop


@realtime
def _deliver(shared: SharedState, address: int, done: int, n_samples: int, output: NDArray[np.float32]) -> None:
    """Guard the output and hand it to the device or the sink."""
    n_faults, n_clipped = guard_output(output)
    add(shared.stats.counters, "faulty_samples", n_faults)
    add(shared.stats.counters, "clipped_samples", n_clipped)
    move_meter(shared.stats.output_meter, output, shared.control.sample_rate)
    copy_in(shared.output, shared.history.marks.written - output.shape[0], output)
    channels = shared.control.output_channels
    if channels == 0:
        if put(shared.sink, output) < output.shape[0]:
            add(shared.stats.counters, "sink_overruns", 1)
        return
    write_block(address, n_samples, channels, done, output)


@realtime
def is_ready(userdata: int, n_samples: int, with_worker: bool) -> bool:
    """Tell whether the next block can be moved without an under- or overrun at a file, or if asked, a missed hop.

    For a device whose clock can wait.
    """
    shared = from_address(userdata, Attachment).shared
    control = shared.control
    if control.input_channels == 0 and end_of(shared.source) == UNKNOWN and n_queued(shared.source) < n_samples:
        return False
    if control.output_channels == 0 and n_free(shared.sink) < n_samples:
        return False
    if not with_worker:
        return True
    hop_length = shared.wet.samples.shape[1]
    written = shared.history.marks.written
    n_hops = -(-(written + n_samples + FADE_LENGTH - control.delay) // hop_length)
    needed = min(n_hops * hop_length + control.hop_delay, written // hop_length * hop_length)
    return bool(load(control, "consumed") >= needed)
