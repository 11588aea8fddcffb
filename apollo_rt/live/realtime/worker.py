"""Worker thread: turns hops of the history into hops of the wet ring.

It runs in one compiled loop without the interpreter and sleeps in short timed waits. Being late, it works off what has
piled up, for the model's state wants every hop; beyond `MAX_HOPS_BEHIND` it jumps to the newest hop and starts afresh.
"""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import compiled, flush_to_zero, now_ns, realtime, sleep_ns
from apollo_rt.compiled.records import add, load, store
from apollo_rt.live.realtime.counters import begin_counting, end_counting, record_step
from apollo_rt.live.realtime.processor_table import ProcessorTable, processor_table
from apollo_rt.live.realtime.ring import fetch, publish_hop
from apollo_rt.live.realtime.shared_state import SharedState
from apollo_rt.live.realtime.tier_switch import (
    NEVER,
    Tiers,
    forget,
    pass_after,
    pass_before,
    process_active,
    process_shadow,
    take_over,
    time_plugins,
)
from apollo_rt.plugins.plugin_chains import reset_plugins
from apollo_rt.stream.loudness import measure
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
"""What `next_hop` returns."""


def run_worker(
    shared: SharedState, processors: Sequence[Processor], tiers: Tiers, wait_ns: int, generation: int
) -> None:
    """Work until `control.stop` is set or another worker's turn has come; the C library needs no interpreter for it.

    Args:
        shared: state of callback and worker.
        processors: one for each slot of `tiers`, some of them the same; used by nobody else meanwhile.
        tiers: shared with the supervisor.
        wait_ns: how long to sleep when there is nothing to do.
        generation: its own number; it begins when the one before it has left.
    """
    for processor in processors:
        processor.warm_up()
    if processors[0].model.backend == "c_api":
        run(shared, processor_table(processors), tiers, wait_ns, generation)
    else:
        run_in_python(shared, processors, tiers, wait_ns, generation)


@entry
@compiled
def run(shared: SharedState, table: ProcessorTable, tiers: Tiers, wait_ns: int, generation: int) -> None:
    """Run the loop of `run_worker` for the C library, without the interpreter."""
    flushed_before = flush_to_zero(True)
    if stand_by(shared, tiers, generation):
        while is_on_duty(shared, tiers, generation):
            is_idle = work(shared, table, tiers, generation) == IDLE
            # Where it never catches up it still sleeps: a thread of real-time priority must leave its core at times.
            sleep_ns(shared.calls, wait_ns if is_idle else _BREATH_NS)
        store(tiers.control, "relieved", generation)
    flush_to_zero(flushed_before)


@compiled
def stand_by(shared: SharedState, tiers: Tiers, generation: int) -> bool:
    """Wait until the worker before has left; False if there is nothing to be done any more."""
    store(tiers.control, "standing_by", generation)
    while load(tiers.control, "relieved") < generation - 1:
        if load(shared.control, "stop") != 0:
            return False
        sleep_ns(shared.calls, _RELIEF_NS)
    take_over(tiers)
    return True


@realtime
def is_on_duty(shared: SharedState, tiers: Tiers, generation: int) -> bool:
    """Tell whether this worker is still the one that is wanted."""
    return bool(load(shared.control, "stop") == 0 and load(tiers.control, "generation") <= generation)


@compiled
def work(shared: SharedState, table: ProcessorTable, tiers: Tiers, generation: int) -> int:
    """Do the next task, as `next_hop` names it; return it."""
    task = next_hop(shared, tiers.buffers[0])
    if task == RESTART:
        forget(table, tiers)
    elif task == READY:
        begin_ns = now_ns(shared.calls)
        pass_before(tiers)
        code = process_active(shared, table, tiers)
        if load(tiers.control, "generation") == NEVER:
            return READY  # it hung, and another has been working meanwhile
        pass_after(tiers)
        step_ns = now_ns(shared.calls) - begin_ns
        finish_hop(shared, tiers.buffers[1], code, step_ns)
        process_shadow(shared, table, tiers)
        time_plugins(shared, tiers, step_ns)
    return task


def run_in_python(
    shared: SharedState, processors: Sequence[Processor], tiers: Tiers, wait_ns: int, generation: int
) -> None:
    """Run the loop of `run_worker` without the C library: the first tier alone; the interpreter may make it late."""
    processor, hop, out = processors[0], tiers.buffers[0], tiers.buffers[1]
    if not stand_by(shared, tiers, generation):
        return
    while is_on_duty(shared, tiers, generation):
        task = next_hop(shared, hop)
        if task == IDLE:
            time.sleep(wait_ns / 1e9)
        elif task == RESTART:
            processor.reset()
            reset_plugins(tiers.chains)
        else:
            n_faults, begin_ns = processor.frame_faults, now_ns(shared.calls)
            read_targets(processor.compiled.shaping, shared.parameters)
            pass_before(tiers)
            processor.process(hop, out)
            pass_after(tiers)
            fault = STEP_FAILED if processor.error else FRAME_REPLACED
            code = fault if processor.frame_faults > n_faults else FRAME_OK
            step_ns = now_ns(shared.calls) - begin_ns
            finish_hop(shared, out, code, step_ns)
            time_plugins(shared, tiers, step_ns)
    store(tiers.control, "relieved", generation)


@realtime
def next_hop(shared: SharedState, hop: NDArray[np.float32]) -> int:
    """Fetch the next hop of input.

    Returns:
        `READY`; `IDLE` if it isn't complete yet; `RESTART` after a jump: the processor must be reset before the next.

    Shape:
        (hop_length, 2)
    """
    control, hop_length = shared.control, hop.shape[0]
    position, written = control.consumed, load(shared.history.marks, "written")
    if written - position < hop_length:
        return IDLE
    n_played = written - control.delay - (position - control.hop_delay)
    if n_played <= MAX_HOPS_BEHIND * hop_length and fetch(shared.history, position, hop):
        return READY
    newest = written // hop_length * hop_length - hop_length
    begin_counting(shared.stats.worker_version)
    add(shared.stats.counters, "jumps", 1)
    add(shared.stats.counters, "skipped_hops", (newest - position) // hop_length)
    end_counting(shared.stats.worker_version)
    control.unfit_hops = control.hop_delay // hop_length
    store(control, "consumed", newest)
    return RESTART


@realtime
def finish_hop(shared: SharedState, out: NDArray[np.float32], code: int, step_ns: int) -> None:
    """Publish and count the hop that `next_hop` fetched; where the model failed, the processor made it of dry frames.

    The first hops after a reset belong to the time before it: they are left to what the ring holds, or to dry.

    Args:
        shared: state of callback and worker.
        out: the processor's output.
        code: what `process_hop` returned.
        step_ns: how long it took.

    Shape:
        (hop_length, 2)
    """
    control, hop_length = shared.control, out.shape[0]
    position = control.consumed
    begin_counting(shared.stats.worker_version)
    record_step(shared.stats, step_ns, hop_length * 1e9 / control.sample_rate)
    add(shared.stats.counters, "frame_faults", code == FRAME_REPLACED)
    add(shared.stats.counters, "model_errors", code == STEP_FAILED)
    end_counting(shared.stats.worker_version)
    if control.unfit_hops > 0:
        control.unfit_hops -= 1
    else:
        publish_hop(shared.wet, (position - control.hop_delay) // hop_length, out)
        _measure_loudness(shared, position - control.hop_delay, out)
    store(control, "consumed", position + hop_length)


@realtime
def _measure_loudness(shared: SharedState, position: int, wet: NDArray[np.float32]) -> None:
    """Measure a finished hop beside the input that it is made of, where anybody wants to know."""
    dry = shared.loudness.scratch[0]
    if load(shared.loudness.progress, "is_wanted") != 0 and fetch(shared.history, position, dry):
        measure(shared.loudness, dry, wet, shared.parameters)
