"""The worker: one thread that turns hops of the history into hops of the wet ring.

It runs in one compiled loop without the interpreter and sleeps in short timed waits. Being late, it works off what has
piled up, for the model's state wants every hop; beyond `MAX_HOPS_BEHIND` it jumps to the newest hop and starts afresh.
"""

import time

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_load, atomic_store, compiled, flush_to_zero, now_ns, realtime, sleep_ns
from apollo_rt.live.line import CONSUMED, DELAY, HOP_DELAY, SAMPLE_RATE, STOP, UNFIT_HOPS, Line
from apollo_rt.live.ring import WRITTEN, fetch, publish_hop
from apollo_rt.live.stats import FRAME_FAULTS, JUMPS, MODEL_ERRORS, SKIPPED_HOPS, count, record_step
from apollo_rt.stream.processor import (
    FRAME_OK,
    FRAME_REPLACED,
    STEP_FAILED,
    Processor,
    ProcessorState,
    process_hop,
    reset_processor,
)

MAX_HOPS_BEHIND = 8
"""Late hops worth working off: at a load of 50 % it takes as long again, 46 ms at 256 samples and 44.1 kHz."""

IDLE, READY, RESTART = range(3)
"""What `next_hop` says."""


def run_worker(line: Line, processor: Processor, wait_ns: int) -> None:
    """Work until `STOP` is set, without the interpreter where the model's back end allows it.

    Args:
        line: shared with the callback.
        processor: fresh; used by nobody else meanwhile.
        wait_ns: how long to sleep when there is nothing to do.
    """
    if processor.model.backend == "c_api":
        buffers = np.zeros((2, processor.framing.hop_length, 2), np.float32)
        run(line, processor.compiled, buffers, wait_ns)
    else:
        run_in_python(line, processor, wait_ns)


@compiled
def run(line: Line, state: ProcessorState, buffers: NDArray[np.float32], wait_ns: int) -> None:
    """The loop of `run_worker` for the C library; `buffers` (2, hop_length, 2) are for a hop in and a hop out."""
    flushed_before = flush_to_zero(True)
    while atomic_load(line.control, STOP) == 0:
        if work(line, state, buffers) == IDLE:
            sleep_ns(line.calls, wait_ns)
    flush_to_zero(flushed_before)


@compiled
def work(line: Line, state: ProcessorState, buffers: NDArray[np.float32]) -> int:
    """Do the next thing there is to do; returns what that was."""
    task = next_hop(line, buffers[0])
    if task == RESTART:
        reset_processor(state)
    elif task == READY:
        begin_ns = now_ns(line.calls)
        code = process_hop(state, buffers[0], buffers[1])
        finish_hop(line, buffers[1], code, now_ns(line.calls) - begin_ns)
    return task


def run_in_python(line: Line, processor: Processor, wait_ns: int) -> None:
    """The loop of `run_worker` for a model without the C library; the interpreter may make it late."""
    hop, out = np.zeros((2, processor.framing.hop_length, 2), np.float32)
    while not line.control[STOP]:
        task = next_hop(line, hop)
        if task == IDLE:
            time.sleep(wait_ns / 1e9)
        elif task == RESTART:
            processor.reset()
        else:
            n_faults, begin_ns = processor.frame_faults, time.perf_counter_ns()
            processor.process(hop, out)
            fault = STEP_FAILED if processor.error else FRAME_REPLACED
            code = fault if processor.frame_faults > n_faults else FRAME_OK
            finish_hop(line, out, code, time.perf_counter_ns() - begin_ns)


@realtime
def next_hop(line: Line, hop: NDArray[np.float32]) -> int:
    """Fetch the next hop of input.

    Returns:
        `READY`; `IDLE` if it isn't complete yet; `RESTART` after a jump: the processor must be reset before the next.
    """
    control, hop_length = line.control, hop.shape[0]
    position, written = control[CONSUMED], atomic_load(line.history.marks, WRITTEN)
    if written - position < hop_length:
        return IDLE
    n_played = written - control[DELAY] - (position - control[HOP_DELAY])
    if n_played <= MAX_HOPS_BEHIND * hop_length and fetch(line.history, position, hop):
        return READY
    newest = written // hop_length * hop_length - hop_length
    count(line.stats.counters, JUMPS, 1)
    count(line.stats.counters, SKIPPED_HOPS, (newest - position) // hop_length)
    control[UNFIT_HOPS] = control[HOP_DELAY] // hop_length
    atomic_store(control, CONSUMED, newest)
    return RESTART


@realtime
def finish_hop(line: Line, out: NDArray[np.float32], code: int, step_ns: int) -> None:
    """Publish and count the hop that `next_hop` fetched; where the model failed, the processor made it of dry frames.

    The first hops after a reset belong to the time before it: they are left to what the ring holds, or to dry.

    Args:
        line: shared with the callback.
        out: the processor's output.
        code: what `process_hop` returned.
        step_ns: how long it took.
    """
    control, hop_length = line.control, out.shape[0]
    position = control[CONSUMED]
    record_step(line.stats, step_ns, hop_length * 1e9 / control[SAMPLE_RATE])
    count(line.stats.counters, FRAME_FAULTS, code == FRAME_REPLACED)
    count(line.stats.counters, MODEL_ERRORS, code == STEP_FAILED)
    if control[UNFIT_HOPS] > 0:
        control[UNFIT_HOPS] -= 1
    else:
        publish_hop(line.wet, (position - control[HOP_DELAY]) // hop_length, out)
    atomic_store(control, CONSUMED, position + hop_length)
