"""The tiers of a model in the worker: one is heard, another may run beside it, and one hop fades from one to the other.

    heard     full ---------------------------.
                                               fade of one hop, both run
    shadow            light: fresh, warms up --'----------- heard

The hop that is heard is published first and the shadow's step comes after it, so that a shadow costs time but delays
nothing before the next hop. Without a model there is still a tier: `DRY`, the input as it is, in time.

Digital silence is not computed: where hops of nothing but zeros come in, nothing is heard (below -120 dB) and the
model's states don't move any more, zeros go out, and the processor rests where it is.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_load, atomic_store, compiled, now_ns, realtime
from apollo_rt.live.realtime.counters import N_BINS, SILENT_HOPS, TIER_CHANGES, count, record
from apollo_rt.live.realtime.processor_table import ProcessorTable, processor_at
from apollo_rt.live.realtime.ring import copy_out
from apollo_rt.live.realtime.shared_state import CONSUMED, HOP_DELAY, Line
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
from apollo_rt.stream.processor import (
    FRAME_OK,
    ProcessorState,
    has_settled,
    process_hop,
    reset_processor,
    rest_processor,
)
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

(
    HEARD,  # slot of the processor that is heard, or DRY
    WANTED,  # slot that shall be heard; the supervisor's
    PROBED,  # slot that shall run beside it only to be timed, or NONE; the supervisor's
    SHADOW,  # slot that runs beside it, or NONE
    N_WARM,  # hops that the shadow has run
    N_SETTLED,  # hops of silence, one after the other, that have changed nothing
    GENERATION,  # number of the worker that shall work
    STANDING_BY,  # number of the worker that is ready to
    TAKEOVER,  # slot in which the next worker finds what is heard, or NONE if it stays where it was
    RELIEVED,  # number of the last worker that has left
) = range(10)
"""Places in `Tiers.control`."""


class Tiers(NamedTuple):
    """What the supervisor and the worker share.

    Attributes:
        control: int64, see above.
        shadow_ns: histogram of the times of the shadow's steps, as `stats.record` fills it.
        buffers: (3, hop_length, 2) float32, the worker's own: a hop in, a hop out, the shadow's hop.
        chains: the plugins before and after the model; DRY passes those after it, too.
    """

    control: NDArray[np.int64]
    shadow_ns: NDArray[np.int64]
    buffers: NDArray[np.float32]
    chains: Chains


def make_tiers(hop_length: int, chains: Chains | None = None) -> Tiers:
    """The first tier is heard, nothing runs beside it.

    Args:
        hop_length: samples.
        chains: None: there are no plugins.
    """
    control = np.zeros(RELIEVED + 1, np.int64)
    control[[PROBED, SHADOW, TAKEOVER]] = NONE
    return Tiers(
        control,
        np.zeros(N_BINS + 1, np.int64),
        np.zeros((3, hop_length, 2), np.float32),
        chains or make_chains(hop_length),
    )


@compiled
def process_heard(line: Line, table: ProcessorTable, tiers: Tiers) -> int:
    """Make the hop that is heard of the hop in `buffers[0]`, in `buffers[1]`; returns what `process_hop` does."""
    control, buffers = tiers.control, tiers.buffers
    code = _process(line, table, tiers, control[HEARD], 1)
    shadow = control[SHADOW]
    if shadow != NONE and shadow == atomic_load(control, WANTED) and control[N_WARM] >= WARM_HOPS:
        _process(line, table, tiers, shadow, 2)
        _blend(buffers[1], buffers[2])
        control[SHADOW], control[N_SETTLED] = NONE, 0
        atomic_store(control, HEARD, shadow)
        count(line.stats.counters, TIER_CHANGES, 1)
    return code


@compiled
def process_shadow(line: Line, table: ProcessorTable, tiers: Tiers) -> None:
    """Run the shadow, if there is to be one, on the hop in `buffers[0]`."""
    control = tiers.control
    heard, wanted, probed = control[HEARD], atomic_load(control, WANTED), atomic_load(control, PROBED)
    shadow = wanted if wanted != heard else probed if probed != heard else NONE
    if shadow != control[SHADOW]:
        control[SHADOW], control[N_WARM] = shadow, 0
        if shadow != NONE and shadow != DRY:
            reset_processor(processor_at(table, shadow))
    if shadow == NONE:
        return
    begin_ns = now_ns(line.calls)
    _process(line, table, tiers, shadow, 2)
    record(tiers.shadow_ns, now_ns(line.calls) - begin_ns)
    control[N_WARM] += 1


@realtime
def pass_before(tiers: Tiers) -> None:
    """Send the hop in `buffers[0]` through the plugins before the model."""
    pass_plugins(tiers.chains, BEFORE, tiers.buffers[0])


@realtime
def pass_after(tiers: Tiers) -> None:
    """Send the hop in `buffers[1]` through the plugins after the model."""
    pass_plugins(tiers.chains, AFTER, tiers.buffers[1])


@compiled
def time_plugins(line: Line, tiers: Tiers, step_ns: int) -> None:
    """Run the plugins unheard, where the supervisor wants to know what a hop with them would take.

    Args:
        line: shared with the callback.
        tiers: `shadow_ns` takes the time.
        step_ns: of the hop without them.
    """
    if are_timed(tiers.chains):
        begin_ns = now_ns(line.calls)
        pass_unheard(tiers.chains, tiers.buffers[1])
        record(tiers.shadow_ns, step_ns + now_ns(line.calls) - begin_ns)


@realtime
def take_over(tiers: Tiers) -> None:
    """Find what is heard in its new place, and aim for the first tier; the worker before has left."""
    control = tiers.control
    if control[TAKEOVER] != NONE:
        control[HEARD], control[WANTED], control[SHADOW] = control[TAKEOVER], 0, NONE
        control[TAKEOVER], control[N_SETTLED] = NONE, 0


@compiled
def forget(table: ProcessorTable, tiers: Tiers) -> None:
    """Start afresh, after a jump."""
    control = tiers.control
    if control[HEARD] != DRY:
        reset_processor(processor_at(table, control[HEARD]))
    control[SHADOW], control[N_SETTLED] = NONE, 0
    reset_plugins(tiers.chains)


@compiled
def _process(line: Line, table: ProcessorTable, tiers: Tiers, slot: int, target: int) -> int:
    buffers, control = tiers.buffers, tiers.control
    if slot == DRY:
        delay = line.control[HOP_DELAY] - latency_after(tiers.chains)
        copy_out(line.history, line.control[CONSUMED] - delay, buffers[target])
        return FRAME_OK
    state = processor_at(table, slot)
    read_targets(state.shaping, line.parameters)
    is_alone = target == 1 and control[SHADOW] == NONE
    if not (is_alone and _peak(buffers[0]) == 0.0):
        control[N_SETTLED] = 0
        return process_hop(state, buffers[0], buffers[target])
    if control[N_SETTLED] > _n_hops_inside(state):
        buffers[target, :, :] = np.float32(0.0)
        rest_processor(state)
        count(line.stats.counters, SILENT_HOPS, 1)
        return FRAME_OK
    code = process_hop(state, buffers[0], buffers[target])
    is_settled = _peak(buffers[target]) <= _SILENT and has_settled(state)
    control[N_SETTLED] = control[N_SETTLED] + 1 if is_settled else 0
    return code


@realtime
def _n_hops_inside(state: ProcessorState) -> int:
    """Hops from which a processor's next one is made, the model's own memory apart."""
    return int(state.analysis.past.shape[1] // state.synthesis.tail.shape[1] + state.frames.shape[0] + 1)


@realtime
def _peak(hop: NDArray[np.float32]) -> float:
    """The loudest sample, or the first that is louder than nothing's limit: sound is told from silence at once."""
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
