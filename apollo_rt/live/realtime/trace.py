"""What callback and worker note while they run, so that an incident can be told and run again.

Rings that keep the last 20 seconds: the output, the finished hops, each look of the callback for them, the holes it
faded around, each step of the worker, and now and then the processor's state.
Noting is a few stores; rings of no length note nothing. The output is always kept, a short piece of it at least: see
`heard`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_store, compiled, realtime
from apollo_rt.stream.checkpoint import Checkpoints, make_checkpoints, take_checkpoint
from apollo_rt.stream.mixer import N_MIXER
from apollo_rt.stream.processor import ProcessorState
from apollo_rt.stream.shaping import N_TARGETS, Shaping

KEPT_SAMPLES = 1 << 20
"""Of input and output: 23.8 s at 44.1 kHz."""
_N_LOOKS = 1 << 16
_N_STEPS = 1 << 15
_N_HOLES = 1 << 13
_N_CHECKPOINTS = 24

LOOK_POSITION, LOOK_WET_END, LOOK_CALL_NS, LOOK_END, LOOK_MIXER = range(5)
"""Columns of a look: first sample asked for and where the finished ones from there end, both counted in the input; when
the callback began; where the callback's stretch ends; from there on the mixer, what it was told and where it stood."""
STEP_POSITION, STEP_CODE, STEP_BEGIN_NS, STEP_NS, STEP_PUBLISHED, STEP_SLOT, STEP_NEXT_SLOT = range(7)
"""Columns of a step: first sample of its hop; what `process_hop` returned, or `RESET`; when it began and how long it
took; whether the hop was published; which tier it was made with, and which is heard from its end on."""
HOLE_OUTPUT, HOLE_BEGIN, HOLE_END = range(3)
"""Columns of a hole: the stretch of the output that was faded around it, by its beginning, and the hole's own ends."""

RESET, RESTED = 100, 101
"""Codes of what was no step: the worker jumped to this position, with a fresh processor; silence was not computed."""
N_LOOKS, N_HOLES = range(2)
"""Places in `Trace.counts`: how many there have ever been."""


class Trace(NamedTuple):
    """What the callback notes.

    Attributes:
        output: (samples, 2) float32: what was handed out, by the same absolute index as the history.
        wet: (samples, 2) float32: hops that were published, by the index of the input that they are made of.
        looks: float64 (entries, LOOK_MIXER + N_MIXER); whole numbers below 2^53 are exact.
        holes: int64 (entries, 3).
        counts: int64 (2,).
    """

    output: NDArray[np.float32]
    wet: NDArray[np.float32]
    looks: NDArray[np.float64]
    holes: NDArray[np.int64]
    counts: NDArray[np.int64]


class WorkerTrace(NamedTuple):
    """What the worker notes.

    Attributes:
        steps: int64 (entries, 7).
        targets: float64 (entries, 3): of the shaping that each was made with.
        n_steps: int64 (1,): how many there have ever been.
        checkpoints: of the processor that is heard.
        spacing: int64 (1,): samples between two checkpoints.
    """

    steps: NDArray[np.int64]
    targets: NDArray[np.float64]
    n_steps: NDArray[np.int64]
    checkpoints: Checkpoints
    spacing: NDArray[np.int64]


def make_trace(is_kept: bool, output_length: int) -> Trace:
    """Empty rings; touched, so that the audio path meets no page for the first time.

    Args:
        is_kept: for an incident.
        output_length: samples of output that are kept in any case, a power of two.
    """
    n_samples, n_looks, n_holes = (KEPT_SAMPLES, _N_LOOKS, _N_HOLES) if is_kept else (0, 0, 0)
    return Trace(
        np.full((max(n_samples, output_length), 2), 0, np.float32),
        np.full((n_samples, 2), 0, np.float32),
        np.full((n_looks, LOOK_MIXER + N_MIXER), 0, np.float64),
        np.full((n_holes, HOLE_END + 1), 0, np.int64),
        np.zeros(N_HOLES + 1, np.int64),
    )


def make_worker_trace(state: ProcessorState, sample_rate: int, is_kept: bool) -> WorkerTrace:
    """Empty rings for a worker with that processor."""
    return WorkerTrace(
        np.full((_N_STEPS if is_kept else 0, STEP_NEXT_SLOT + 1), 0, np.int64),
        np.full((_N_STEPS if is_kept else 0, N_TARGETS), 0, np.float64),
        np.zeros(1, np.int64),
        make_checkpoints(state, _N_CHECKPOINTS if is_kept else 0),
        np.array([sample_rate], np.int64),
    )


@realtime
def note_output(trace: Trace, position: int, block: NDArray[np.float32]) -> None:
    """Keep what is handed out, from an absolute position on."""
    _keep(trace.output, position, block)


@realtime
def note_hop(trace: Trace, position: int, hop: NDArray[np.float32]) -> None:
    """Keep what the worker published, from an absolute position of the input on."""
    _keep(trace.wet, position, hop)


@realtime
def _keep(samples: NDArray[np.float32], position: int, block: NDArray[np.float32]) -> None:
    mask = samples.shape[0] - 1
    for index in range(block.shape[0] if mask > 0 else 0):
        samples[(position + index) & mask, 0] = block[index, 0]
        samples[(position + index) & mask, 1] = block[index, 1]


@realtime
def note_look(
    trace: Trace, position: int, wet_end: int, mixer: NDArray[np.float64], call_ns: int, stretch_end: int
) -> None:
    """Keep what the callback saw of the finished hops, and its mixer as it was then."""
    if trace.looks.shape[0] == 0:
        return
    entry = trace.looks[trace.counts[N_LOOKS] & (trace.looks.shape[0] - 1)]
    entry[LOOK_POSITION], entry[LOOK_WET_END] = position, wet_end
    entry[LOOK_CALL_NS], entry[LOOK_END] = call_ns, stretch_end
    for index in range(N_MIXER):
        entry[LOOK_MIXER + index] = mixer[index]
    atomic_store(trace.counts, N_LOOKS, trace.counts[N_LOOKS] + 1)


@realtime
def note_hole(trace: Trace, output_begin: int, hole_begin: int, hole_end: int) -> None:
    """Keep that a stretch of the output is faded around a hole of the input."""
    if trace.holes.shape[0] == 0:
        return
    entry = trace.holes[trace.counts[N_HOLES] & (trace.holes.shape[0] - 1)]
    entry[HOLE_OUTPUT], entry[HOLE_BEGIN], entry[HOLE_END] = output_begin, hole_begin, hole_end
    atomic_store(trace.counts, N_HOLES, trace.counts[N_HOLES] + 1)


@compiled
def note_begin(trace: WorkerTrace, state: ProcessorState, position: int) -> None:
    """Take a checkpoint where one is due; before the hop at `position` is processed."""
    checkpoints = trace.checkpoints
    if checkpoints.positions.shape[0] == 0:
        return
    newest = (checkpoints.n_taken[0] - 1) % checkpoints.positions.shape[0]
    if checkpoints.n_taken[0] == 0 or position - checkpoints.positions[newest] >= trace.spacing[0]:
        take_checkpoint(checkpoints, state, position)


@realtime
def note_step(
    trace: WorkerTrace,
    position: int,
    code: int,
    begin_ns: int,
    step_ns: int,
    is_published: bool,
    slot: int,
    next_slot: int,
    shaping: Shaping,
) -> None:
    """Keep what became of a hop, and what its processor's shaping was told."""
    if trace.steps.shape[0] == 0:
        return
    entry = trace.steps[trace.n_steps[0] & (trace.steps.shape[0] - 1)]
    entry[STEP_POSITION], entry[STEP_CODE] = position, code
    entry[STEP_BEGIN_NS], entry[STEP_NS] = begin_ns, step_ns
    entry[STEP_PUBLISHED], entry[STEP_SLOT], entry[STEP_NEXT_SLOT] = is_published, slot, next_slot
    for index in range(N_TARGETS):
        trace.targets[trace.n_steps[0] & (trace.steps.shape[0] - 1), index] = shaping.values[index]
    atomic_store(trace.n_steps, 0, trace.n_steps[0] + 1)
