"""The worker: one thread that turns hops of the history into hops of the wet ring.

It runs in one compiled loop without the interpreter and sleeps in short timed waits. Being late, it works off what has
piled up, for the model's state wants every hop; beyond `MAX_HOPS_BEHIND` it jumps to the newest hop and starts afresh.
"""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_load, atomic_store, compiled, flush_to_zero, now_ns, realtime, sleep_ns
from apollo_rt.live.realtime.counters import (
    FRAME_FAULTS,
    JUMPS,
    MODEL_ERRORS,
    SKIPPED_HOPS,
    WORKER_VERSION,
    begin_counting,
    count,
    end_counting,
    record_step,
)
from apollo_rt.live.realtime.processor_table import ProcessorTable, processor_table
from apollo_rt.live.realtime.ring import WRITTEN, fetch, publish_hop
from apollo_rt.live.realtime.shared_state import CONSUMED, DELAY, HOP_DELAY, SAMPLE_RATE, STOP, UNFIT_HOPS, Line
from apollo_rt.live.realtime.tier_switch import (
    GENERATION,
    NEVER,
    RELIEVED,
    STANDING_BY,
    Tiers,
    forget,
    pass_after,
    pass_before,
    process_heard,
    process_shadow,
    take_over,
    time_plugins,
)
from apollo_rt.plugins.plugin_chains import reset_plugins
from apollo_rt.stream.processor import (
    FRAME_OK,
    FRAME_REPLACED,
    STEP_FAILED,
    Processor,
)
from apollo_rt.stream.shaping import read_targets

MAX_HOPS_BEHIND = 8
"""Late hops worth working off: at a load of 50 % it takes as long again, 46 ms at 256 samples and 44.1 kHz."""

_BREATH_NS = 1_000
_RELIEF_NS = 50_000

IDLE, READY, RESTART = range(3)
"""What `next_hop` says."""


def run_worker(line: Line, processors: Sequence[Processor], tiers: Tiers, wait_ns: int, generation: int) -> None:
    """Work until `STOP` is set or another worker's turn has come, without the interpreter where the back end allows it.

    Args:
        line: shared with the callback.
        processors: one for each slot of `tiers`, some of them the same; used by nobody else meanwhile.
        tiers: shared with the supervisor.
        wait_ns: how long to sleep when there is nothing to do.
        generation: its own number; it begins when the one before it has left.
    """
    for processor in processors:
        processor.warm_up()
    if processors[0].model.backend == "c_api":
        run(line, processor_table(processors), tiers, wait_ns, generation)
    else:
        run_in_python(line, processors, tiers, wait_ns, generation)


@compiled
def run(line: Line, table: ProcessorTable, tiers: Tiers, wait_ns: int, generation: int) -> None:
    """The loop of `run_worker` for the C library."""
    flushed_before = flush_to_zero(True)
    if stand_by(line, tiers, generation):
        while is_on_duty(line, tiers, generation):
            is_idle = work(line, table, tiers, generation) == IDLE
            # Where it never catches up it still sleeps: a thread of real-time priority must leave its core at times.
            sleep_ns(line.calls, wait_ns if is_idle else _BREATH_NS)
        atomic_store(tiers.control, RELIEVED, generation)
    flush_to_zero(flushed_before)


@compiled
def stand_by(line: Line, tiers: Tiers, generation: int) -> bool:
    """Wait until the worker before has left; False if there is nothing to be done any more."""
    atomic_store(tiers.control, STANDING_BY, generation)
    while atomic_load(tiers.control, RELIEVED) < generation - 1:
        if atomic_load(line.control, STOP) != 0:
            return False
        sleep_ns(line.calls, _RELIEF_NS)
    take_over(tiers)
    return True


@realtime
def is_on_duty(line: Line, tiers: Tiers, generation: int) -> bool:
    """Whether this worker is still the one that is wanted."""
    return bool(atomic_load(line.control, STOP) == 0 and atomic_load(tiers.control, GENERATION) <= generation)


@compiled
def work(line: Line, table: ProcessorTable, tiers: Tiers, generation: int) -> int:
    """Do the next thing there is to do; returns what that was."""
    task = next_hop(line, tiers.buffers[0])
    if task == RESTART:
        forget(table, tiers)
    elif task == READY:
        begin_ns = now_ns(line.calls)
        pass_before(tiers)
        code = process_heard(line, table, tiers)
        if atomic_load(tiers.control, GENERATION) == NEVER:
            return READY  # it hung, and another has been working meanwhile
        pass_after(tiers)
        step_ns = now_ns(line.calls) - begin_ns
        finish_hop(line, tiers.buffers[1], code, step_ns)
        process_shadow(line, table, tiers)
        time_plugins(line, tiers, step_ns)
    return task


def run_in_python(line: Line, processors: Sequence[Processor], tiers: Tiers, wait_ns: int, generation: int) -> None:
    """The loop of `run_worker` without the C library: the first tier alone, and the interpreter may make it late."""
    processor, hop, out = processors[0], tiers.buffers[0], tiers.buffers[1]
    if not stand_by(line, tiers, generation):
        return
    while is_on_duty(line, tiers, generation):
        task = next_hop(line, hop)
        if task == IDLE:
            time.sleep(wait_ns / 1e9)
        elif task == RESTART:
            processor.reset()
            reset_plugins(tiers.chains)
        else:
            n_faults, begin_ns = processor.frame_faults, now_ns(line.calls)
            read_targets(processor.compiled.shaping, line.parameters)
            pass_before(tiers)
            processor.process(hop, out)
            pass_after(tiers)
            fault = STEP_FAILED if processor.error else FRAME_REPLACED
            code = fault if processor.frame_faults > n_faults else FRAME_OK
            step_ns = now_ns(line.calls) - begin_ns
            finish_hop(line, out, code, step_ns)
            time_plugins(line, tiers, step_ns)
    tiers.control[RELIEVED] = generation


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
    begin_counting(line.stats.counters, WORKER_VERSION)
    count(line.stats.counters, JUMPS, 1)
    count(line.stats.counters, SKIPPED_HOPS, (newest - position) // hop_length)
    end_counting(line.stats.counters, WORKER_VERSION)
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
    begin_counting(line.stats.counters, WORKER_VERSION)
    record_step(line.stats, step_ns, hop_length * 1e9 / control[SAMPLE_RATE])
    count(line.stats.counters, FRAME_FAULTS, code == FRAME_REPLACED)
    count(line.stats.counters, MODEL_ERRORS, code == STEP_FAILED)
    end_counting(line.stats.counters, WORKER_VERSION)
    if control[UNFIT_HOPS] > 0:
        control[UNFIT_HOPS] -= 1
    else:
        publish_hop(line.wet, (position - control[HOP_DELAY]) // hop_length, out)
    atomic_store(control, CONSUMED, position + hop_length)
