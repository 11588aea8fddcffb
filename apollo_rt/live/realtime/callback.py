"""The audio callback: one compiled body for every device.

It is a `PaStreamCallback`, handed to PortAudio as a C function pointer, and called the very same way by the virtual
device. It moves samples, counts and crossfades. It never allocates (`realtime` functions can't), locks, waits, logs,
raises, or needs the interpreter.

    device or source -> door -> history ----------------------> worker -> wet ring
                                   '-- delayed by D: dry -> mixer <-----------'
                                                              '-> guard -> device or sink
"""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import cfunc, types
from numpy.typing import NDArray

from apollo_rt.compiled.code_cache import kept_by_sources
from apollo_rt.compiled.native import atomic_load, atomic_store, now_ns, realtime
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.realtime.counters import (
    CALLBACK_VERSION,
    CALLBACKS,
    CLIPPED_SAMPLES,
    COVERED_SAMPLES,
    DEADLINE_MISSES,
    FAULTY_SAMPLES,
    INPUT_METER,
    OUTPUT_METER,
    SAMPLES,
    SILENCED_SAMPLES,
    SINK_OVERRUNS,
    SOURCE_UNDERRUNS,
    begin_counting,
    count,
    count_xruns,
    end_counting,
    meter,
    record,
)
from apollo_rt.live.realtime.device_block import read_block, write_block
from apollo_rt.live.realtime.gaps import FOR_EVER, add_hole, fade_around_holes
from apollo_rt.live.realtime.lockout import enter, leave, play_silence
from apollo_rt.live.realtime.ring import (
    CHUNK,
    UNKNOWN,
    WRITTEN,
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
from apollo_rt.live.realtime.shared_state import (
    CONSUMED,
    DELAY,
    FINISHED,
    HOP_DELAY,
    INPUT_CHANNELS,
    LAST_CALL_NS,
    MUTE,
    NEXT_JUDGED_HOP,
    OUTPUT_CHANNELS,
    PRIMING,
    SAMPLE_RATE,
    SOURCE_ENDED_AT,
    Line,
    line_at,
)
from apollo_rt.stream.mixer import clip, crossfade, finish, read_mixer_targets, replace_faults

CONTINUE, COMPLETE, ABORT = 0, 1, 2
"""What a `PaStreamCallback` returns."""

_INPUT_UNDERFLOW, _INPUT_OVERFLOW = 1, 2
"""PortAudio's status flags."""

_ULONG = types.uint64 if ctypes.sizeof(ctypes.c_ulong) == 8 else types.uint32
# Pointers travel as integers of their size, which every 64-bit calling convention passes the same way.
_SIGNATURE = types.int32(types.int64, types.int64, _ULONG, types.int64, _ULONG, types.int64)


def _body(input_address: int, output_address: int, block_size: int, time_info: int, flags: int, userdata: int) -> int:
    """`PaStreamCallback`: input, output, frame count, time info (not used), status flags, userdata."""
    if not enter(userdata):
        play_silence(userdata, output_address, int(block_size))
        return ABORT
    line = line_at(userdata)
    now = now_ns(line.calls)
    begin_counting(line.stats.counters, CALLBACK_VERSION)
    if line.control[LAST_CALL_NS]:
        record(line.stats.interval_ns, now - line.control[LAST_CALL_NS])
    line.control[LAST_CALL_NS] = now
    count(line.stats.counters, CALLBACKS, 1)
    _note_flags(line, int(flags), int(block_size))
    code = advance(line, input_address, output_address, int(block_size))
    record(line.stats.callback_ns, now_ns(line.calls) - now)
    end_counting(line.stats.counters, CALLBACK_VERSION)
    leave(userdata)
    return code


def stream_callback(body: Callable[[int, int, int, int, int, int], int]) -> Any:
    """A `PaStreamCallback` compiled as `realtime` functions are; `.address` is what PortAudio wants."""
    with kept_by_sources(body):
        return cfunc(_SIGNATURE, cache=True, error_model="numpy", _nrt=False)(body)  # type: ignore[call-arg]  # as `realtime`


@cache
def _compiled_callback() -> Any:
    return stream_callback(_body)


def callback_address() -> int:
    """Address of the compiled callback; compiles it (or reads it from the cache) the first time."""
    return int(_compiled_callback().address)


@realtime
def _note_flags(line: Line, flags: int, block_size: int) -> None:
    """Where the device made up the input of this block, or lost some before it, the output will fade around that."""
    written, is_priming = line.history.marks[WRITTEN], line.control[PRIMING] == 1 and flags & _INPUT_UNDERFLOW != 0
    count_xruns(line.stats.counters, flags, is_priming)
    if is_priming:
        add_hole(line.holes, written + block_size, written + block_size)  # what is captured then fades in
        return
    line.control[PRIMING] = 0
    if flags & _INPUT_UNDERFLOW:
        add_hole(line.holes, written, written + block_size)
    elif flags & _INPUT_OVERFLOW:
        add_hole(line.holes, written, written)


@realtime
def advance(line: Line, input_address: int, output_address: int, n_samples: int) -> int:
    """Move the stream on by any number of samples; returns `CONTINUE`, or `COMPLETE` when all is played."""
    done = 0
    while done < n_samples:
        n_chunk = min(CHUNK, n_samples - done)
        block, dry, output = line.scratch[0, :n_chunk], line.scratch[1, :n_chunk], line.scratch[2, :n_chunk]
        _receive(line, input_address, done, n_samples, block)
        append(line.history, block)
        _mix(line, dry, output)
        _deliver(line, output_address, done, n_samples, output)
        count(line.stats.counters, SAMPLES, n_chunk)
        done += n_chunk
    ended_at = line.control[SOURCE_ENDED_AT]
    if ended_at != UNKNOWN and line.history.marks[WRITTEN] >= ended_at + line.control[DELAY]:
        atomic_store(line.control, FINISHED, 1)
        return COMPLETE
    return CONTINUE


@realtime
def _receive(line: Line, address: int, done: int, n_samples: int, block: NDArray[np.float32]) -> None:
    """The door: the next samples from the device or the source, always two channels, always finite."""
    channels = line.control[INPUT_CHANNELS]
    if channels == 0:
        _receive_from_source(line, block)
    else:
        read_block(address, n_samples, channels, done, block)
    _replace_faults(line, block)
    meter(line.stats.gauges, INPUT_METER, block, line.control[SAMPLE_RATE])


@realtime
def _replace_faults(line: Line, block: NDArray[np.float32]) -> None:
    """Values that are no audio become silence, which the output fades around."""
    n_faults, first, end = replace_faults(block)
    if n_faults > 0:
        count(line.stats.counters, FAULTY_SAMPLES, n_faults)
        position = line.history.marks[WRITTEN]
        add_hole(line.holes, position + first, position + end)


@realtime
def _receive_from_source(line: Line, block: NDArray[np.float32]) -> None:
    """Samples from the file; behind its end, or where it isn't decoded yet, silence."""
    n_taken = take(line.source, block)
    block[n_taken:, :] = np.float32(0.0)
    position = line.history.marks[WRITTEN]
    at_end = end_of(line.source) != UNKNOWN and n_queued(line.source) == 0
    if at_end and line.control[SOURCE_ENDED_AT] == UNKNOWN:
        line.control[SOURCE_ENDED_AT] = position + n_taken
    if n_taken < block.shape[0] and not at_end:
        count(line.stats.counters, SOURCE_UNDERRUNS, 1)
        add_hole(line.holes, position + n_taken, position + block.shape[0])


@realtime
def _mix(line: Line, dry: NDArray[np.float32], output: NDArray[np.float32]) -> None:
    """What is heard: input of D samples ago, restored where that is there in time."""
    end = line.history.marks[WRITTEN] - line.control[DELAY]
    begin = end - output.shape[0]
    copy_out(line.history, begin, dry)
    _judge_hops(line, end + FADE_LENGTH)
    hop_length = line.wet.samples.shape[1]
    read_mixer_targets(line.mixer, line.parameters)
    position, wet_end, n_covered = begin, begin, 0
    while position < end:
        if position >= wet_end:
            wet_end = run_end(line.wet, position, end + FADE_LENGTH)
        hop = position // hop_length
        stop = min(end, (hop + 1) * hop_length)
        wet = line.wet.samples[hop % line.wet.tags.shape[0], position - hop * hop_length : stop - hop * hop_length]
        part = slice(position - begin, stop - begin)
        n_covered += crossfade(dry[part], wet, wet_end - position, line.mixer, output[part])
        position = stop
    finish(line.mixer, output, line.control[SAMPLE_RATE])
    count(line.stats.counters, COVERED_SAMPLES, n_covered)
    if atomic_load(line.control, MUTE) == 1:
        line.control[MUTE] = 2
        add_hole(line.holes, begin + FADE_LENGTH, FOR_EVER)
    count(line.stats.counters, SILENCED_SAMPLES, fade_around_holes(line.holes, begin, output))


@realtime
def _judge_hops(line: Line, needed_end: int) -> None:
    """Count each hop that isn't there when its first sample, or the reserve before a fade, is needed."""
    hop = line.control[NEXT_JUDGED_HOP]
    hop_length = line.wet.samples.shape[1]
    while hop * hop_length < needed_end:
        if not has_hop(line.wet, hop):
            count(line.stats.counters, DEADLINE_MISSES, 1)
        hop += 1
    line.control[NEXT_JUDGED_HOP] = hop


@realtime
def _deliver(line: Line, address: int, done: int, n_samples: int, output: NDArray[np.float32]) -> None:
    """The guard, and the way out to the device or the sink."""
    count(line.stats.counters, FAULTY_SAMPLES, replace_faults(output)[0])
    count(line.stats.counters, CLIPPED_SAMPLES, clip(output))
    meter(line.stats.gauges, OUTPUT_METER, output, line.control[SAMPLE_RATE])
    copy_in(line.output, line.history.marks[WRITTEN] - output.shape[0], output)
    channels = line.control[OUTPUT_CHANNELS]
    if channels == 0:
        if put(line.sink, output) < output.shape[0]:
            count(line.stats.counters, SINK_OVERRUNS, 1)
        return
    write_block(address, n_samples, channels, done, output)


@realtime
def is_ready(userdata: int, n_samples: int, with_worker: bool) -> bool:
    """Whether the next block can be moved without an under- or overrun at a file, and if asked, without a missed hop.

    For a device whose clock can wait.
    """
    line = line_at(userdata)
    control = line.control
    if control[INPUT_CHANNELS] == 0 and end_of(line.source) == UNKNOWN and n_queued(line.source) < n_samples:
        return False
    if control[OUTPUT_CHANNELS] == 0 and n_free(line.sink) < n_samples:
        return False
    if not with_worker:
        return True
    hop_length = line.wet.samples.shape[1]
    written = line.history.marks[WRITTEN]
    n_hops = -(-(written + n_samples + FADE_LENGTH - control[DELAY]) // hop_length)
    needed = min(n_hops * hop_length + control[HOP_DELAY], written // hop_length * hop_length)
    return bool(atomic_load(control, CONSUMED) >= needed)
