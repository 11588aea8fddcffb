"""Tier switch of the worker: plays one tier, runs another unheard beside it, and fades to it within one hop.

    active    full ---------------------------.
                                               fade of one hop, both run
    shadow            light: fresh, warms up --'----------- active

The hop that is heard is published first and the shadow's step comes after it, so that a shadow costs time but delays
nothing before the next hop. Without a model there is still a tier: `DRY`, the input as it is, in time.

Digital silence is not computed: where hops of nothing but zeros come in, nothing is heard (below -120 dB) and the
model's states don't move any more, zeros go out, and the processor rests where it is.
"""

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import compiled, now_ns, realtime
from apollo_rt.compiled.records import Record, add, load, new_record, store
from apollo_rt.live.realtime.counters import N_BINS, record
from apollo_rt.live.realtime.processor_table import ProcessorTable, processor_at
from apollo_rt.live.realtime.ring import copy_out
from apollo_rt.live.realtime.shared_state import SharedState
from apollo_rt.plugins.plugin_chains import (
    AFTER,
    BEFORE,
    Chains,
    are_timed,
    latency_after,
    make_chains,
    pass_plugins,
    pass_unheard,
    reset_plugins,
)
from apollo_rt.stream.processor import FRAME_OK, has_settled, process_hop, reset_processor, rest_processor
from apollo_rt.stream.processor_state import ProcessorState
from apollo_rt.stream.shaping import read_targets

N_SLOTS = 4
"""Processors that a worker holds: the tiers of a model, and in the last slot what was heard before a swap."""
DRY = N_SLOTS
NONE = -1
NEVER = 2**62
"""Generation that no worker is of: one that hung finds it when it comes back, and leaves what it made."""

WARM_HOPS = 16
"""Hops that a fresh processor runs unheard before it is faded in, 93 ms: its spectrum is then that of the music."""

_SILENT = np.float32(1e-6)  # -120 dB of full scale


class TierControl(Record):
    """Holds the numbers by which the supervisor and the worker agree on tiers.

    Attributes:
        active: slot of the processor that is heard, or `DRY`; the worker's.
        wanted: slot that shall be heard; the supervisor's.
        probed: slot that shall run beside it only to be timed, or `NONE`; the supervisor's.
        shadow: slot that runs beside it, or `NONE`; the worker's.
        n_warm: hops that the shadow has run.
        n_settled: hops of silence, one after the other, that have changed nothing.
        generation: number of the worker that shall work.
        standing_by: number of the worker that is ready to.
        takeover: slot in which the next worker finds what is heard, or `NONE` if it stays where it was.
        relieved: number of the last worker that has left.
    """

    active: int
    wanted: int
    probed: int
    shadow: int
    n_warm: int
    n_settled: int
    generation: int
    standing_by: int
    takeover: int
    relieved: int


class Tiers(NamedTuple):
    """Holds what the supervisor and the worker share.

    Attributes:
        control: numbers by which they agree.
        shadow_ns: int64, histogram of the times of the shadow's steps, as `counters.record` fills it.
        buffers: (3, hop_length, 2) float32, the worker's own: a hop in, a hop out, the shadow's hop.
        chains: the plugins before and after the model; DRY passes those after it, too.
    """

    control: TierControl
    shadow_ns: Annotated[NDArray[np.int64], N_BINS + 1]
    buffers: Annotated[NDArray[np.float32], 3, "hop_length", 2]
    chains: Chains


def make_tiers(hop_length: int, chains: Chains | None = None) -> Tiers:
    """Allocate the state of a start: the first tier is heard, nothing runs beside it.

    Args:
        hop_length: samples.
        chains: None: there are no plugins.
    """
    control = new_record(TierControl)
    control.probed = control.shadow = control.takeover = NONE
    return Tiers(
        control,
        np.zeros(N_BINS + 1, np.int64),
        np.zeros((3, hop_length, 2), np.float32),
        chains or make_chains(hop_length),
    )


@compiled
def process_active(shared: SharedState, table: ProcessorTable, tiers: Tiers) -> int:
    """Make the hop that is heard of the hop in `buffers[0]`, in `buffers[1]`; returns what `process_hop` does."""
    control, buffers = tiers.control, tiers.buffers
    code = _process(shared, table, tiers, control.active, 1)
    shadow = control.shadow
    if shadow != NONE and shadow == load(control, "wanted") and control.n_warm >= WARM_HOPS:
        _process(shared, table, tiers, shadow, 2)
        _blend(buffers[1], buffers[2])
        control.shadow, control.n_settled = NONE, 0
        store(control, "active", shadow)
        add(shared.stats.counters, "tier_changes", 1)
    return code


@compiled
def process_shadow(shared: SharedState, table: ProcessorTable, tiers: Tiers) -> None:
    """Run the shadow, if there is to be one, on the hop in `buffers[0]`."""
    control = tiers.control
    active, wanted, probed = control.active, load(control, "wanted"), load(control, "probed")
    shadow = wanted if wanted != active else probed if probed != active else NONE
    if shadow != control.shadow:
        control.shadow, control.n_warm = shadow, 0
        if shadow != NONE and shadow != DRY:
            reset_processor(processor_at(table, shadow))
    if shadow == NONE:
        return
    begin_ns = now_ns(shared.calls)
    _process(shared, table, tiers, shadow, 2)
    record(tiers.shadow_ns, now_ns(shared.calls) - begin_ns)
    control.n_warm += 1


@realtime
def pass_before(tiers: Tiers) -> None:
    """Send the hop in `buffers[0]` through the plugins before the model."""
    pass_plugins(tiers.chains, BEFORE, tiers.buffers[0])


@realtime
def pass_after(tiers: Tiers) -> None:
    """Send the hop in `buffers[1]` through the plugins after the model."""
    pass_plugins(tiers.chains, AFTER, tiers.buffers[1])


@compiled
def time_plugins(shared: SharedState, tiers: Tiers, step_ns: int) -> None:
    """Run the plugins unheard, where the supervisor wants to know what a hop with them would take.

    Args:
        shared: state of callback and worker.
        tiers: `shadow_ns` takes the time.
        step_ns: of the hop without them.
    """
    if are_timed(tiers.chains):
        begin_ns = now_ns(shared.calls)
        pass_unheard(tiers.chains, tiers.buffers[1])
        record(tiers.shadow_ns, step_ns + now_ns(shared.calls) - begin_ns)


@realtime
def take_over(tiers: Tiers) -> None:
    """Find what is heard in its new place, and aim for the first tier; the worker before has left."""
    control = tiers.control
    if control.takeover != NONE:
        control.active, control.wanted, control.shadow = control.takeover, 0, NONE
        control.takeover, control.n_settled = NONE, 0


@compiled
def forget(table: ProcessorTable, tiers: Tiers) -> None:
    """Start afresh, after a jump."""
    control = tiers.control
    if control.active != DRY:
        reset_processor(processor_at(table, control.active))
    control.shadow, control.n_settled = NONE, 0
    reset_plugins(tiers.chains)


@compiled
def _process(shared: SharedState, table: ProcessorTable, tiers: Tiers, slot: int, target: int) -> int:
    buffers, control = tiers.buffers, tiers.control
    if slot == DRY:
        delay = shared.control.hop_delay - latency_after(tiers.chains)
        copy_out(shared.history, shared.control.consumed - delay, buffers[target])
        return FRAME_OK
    state = processor_at(table, slot)
    read_targets(state.shaping, shared.parameters)
    is_alone = target == 1 and control.shadow == NONE
    if not (is_alone and _peak(buffers[0]) == 0.0):
        control.n_settled = 0
        return process_hop(state, buffers[0], buffers[target])
    if control.n_settled > _n_hops_inside(state):
        buffers[target, :, :] = np.float32(0.0)
        rest_processor(state)
        add(shared.stats.counters, "silent_hops", 1)
        return FRAME_OK
    code = process_hop(state, buffers[0], buffers[target])
    is_settled = _peak(buffers[target]) <= _SILENT and has_settled(state)
    control.n_settled = control.n_settled + 1 if is_settled else 0
    return code


@realtime
def _n_hops_inside(state: ProcessorState) -> int:
    """Count the hops from which a processor's next one is made, the model's own memory apart."""
    return int(state.analysis.past.shape[1] // state.synthesis.tail.shape[1] + state.frames.shape[0] + 1)


@realtime
def _peak(hop: NDArray[np.float32]) -> float:
    """Find the loudest sample, or the first above the limit of silence: sound is told from silence at once."""
    peak = np.float32(0.0)
    for index in range(hop.shape[0]):
        for channel in range(2):
            peak = max(peak, abs(hop[index, channel]))
        if peak > _SILENT:
            break
    return float(peak)


@realtime
def _blend(before: NDArray[np.float32], after: NDArray[np.float32]) -> None:
    """Fade from one hop to the other, in place of the first."""
    step = np.float32(1.0 / before.shape[0])
    for index in range(before.shape[0]):
        gain = step * np.float32(index + 1)
        for channel in range(2):
            before[index, channel] += gain * (after[index, channel] - before[index, channel])
