"""Checkpoints of a processor: its state, kept now and then, from which a run is taken up again bit for bit."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_store, compiled
from apollo_rt.stream.processor import ProcessorState

NOWHERE = -1
"""Position of a checkpoint that isn't one, or not any more."""


class Checkpoints(NamedTuple):
    """A ring of states; written by the worker alone.

    Attributes:
        positions: int64, where in the stream each was taken, stored last; `NOWHERE` while it is written.
        n_taken: int64 (1,).
        past: of the analysis.
        tail: of the synthesis.
        states: the model's, of the parity that the next step reads; room for those of the tier that has most.
        frames: the dry frames.
        counters: frame number and faults.
        values: of the shaping.
        powers: of the shaping.
    """

    positions: NDArray[np.int64]
    n_taken: NDArray[np.int64]
    past: NDArray[np.float32]
    tail: NDArray[np.float32]
    states: NDArray[np.float32]
    frames: NDArray[np.complex64]
    counters: NDArray[np.int64]
    values: NDArray[np.float64]
    powers: NDArray[np.float32]


KEPT = Checkpoints._fields[2:]
"""What a checkpoint holds, by name."""


def make_checkpoints(state: ProcessorState, n_slots: int) -> Checkpoints:
    """Room for so many, none of them taken yet."""

    def room(array: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.full((n_slots, *array.shape), 0, array.dtype)

    return Checkpoints(
        np.full(n_slots, NOWHERE, np.int64),
        np.zeros(1, np.int64),
        room(state.analysis.past),  # type: ignore[arg-type]  # as the array it is made after; so below
        room(state.synthesis.tail),  # type: ignore[arg-type]
        room(state.buffers.states[0]),  # type: ignore[arg-type]
        room(state.frames),  # type: ignore[arg-type]
        room(state.counters),  # type: ignore[arg-type]
        room(state.shaping.values),  # type: ignore[arg-type]
        room(state.shaping.powers),  # type: ignore[arg-type]
    )


@compiled
def take_checkpoint(checkpoints: Checkpoints, state: ProcessorState, position: int) -> None:
    """Keep the state in place of the oldest one.

    Args:
        checkpoints: the ring.
        state: between two hops.
        position: in the stream, of the first sample that has not been processed yet.
    """
    n_values = state.buffers.states.shape[1]
    if n_values > checkpoints.states.shape[1]:
        return
    slot = checkpoints.n_taken[0] % checkpoints.positions.shape[0]
    atomic_store(checkpoints.positions, slot, NOWHERE)
    checkpoints.past[slot] = state.analysis.past
    checkpoints.tail[slot] = state.synthesis.tail
    checkpoints.states[slot, :n_values] = state.buffers.states[state.counters[0] & 1]
    checkpoints.frames[slot] = state.frames
    checkpoints.counters[slot] = state.counters
    checkpoints.values[slot] = state.shaping.values
    checkpoints.powers[slot] = state.shaping.powers
    atomic_store(checkpoints.positions, slot, position)
    atomic_store(checkpoints.n_taken, 0, checkpoints.n_taken[0] + 1)


def restore_checkpoint(checkpoints: Checkpoints, slot: int, state: ProcessorState) -> None:
    """Put a kept state into a processor of the same model."""
    state.analysis.past[:] = checkpoints.past[slot]
    state.synthesis.tail[:] = checkpoints.tail[slot]
    state.frames[:] = checkpoints.frames[slot]
    state.counters[:] = checkpoints.counters[slot]
    state.shaping.values[:] = checkpoints.values[slot]
    state.shaping.powers[:] = checkpoints.powers[slot]
    n_values = state.buffers.states.shape[1]
    state.buffers.states[state.counters[0] & 1] = checkpoints.states[slot, :n_values]
