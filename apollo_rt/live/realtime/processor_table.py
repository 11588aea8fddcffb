"""Processors by number, for compiled code: a table of the addresses and lengths of all that each carries.

A worker that got them as values would hand hundreds of numbers from function to function, and take minutes to compile.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import array_from_address, realtime
from apollo_rt.inference.model import Buffers
from apollo_rt.stream.processor import Processor, ProcessorState
from apollo_rt.stream.shaping import Shaping
from apollo_rt.stream.stft import Analysis, Synthesis

_N_ARRAYS = 19
ProcessorTable = NDArray[np.int64]
"""(slots, 2 * arrays): of each array its address and the length of its last axis."""


def processor_table(processors: Sequence[Processor]) -> ProcessorTable:
    """The table of some processors, which must outlive it."""
    return np.array([_row(processor.compiled) for processor in processors], np.int64)


def _row(state: ProcessorState) -> list[int]:
    own = (state.frames, state.quiet_energy, state.counters, state.addresses)
    arrays: tuple[NDArray[Any], ...] = (*state.analysis, *state.synthesis, *state.buffers, *state.shaping, *own)
    assert len(arrays) == _N_ARRAYS
    assert all(array.flags.c_contiguous for array in arrays)
    # Of the dry frames the first axis is what varies, beside the bins, which the spectrum tells.
    lengths = [len(array) if array is state.frames else array.shape[-1] for array in arrays]
    return [value for array, length in zip(arrays, lengths, strict=True) for value in (array.ctypes.data, length)]


@realtime
def processor_at(table: ProcessorTable, slot: int) -> ProcessorState:
    """The processor of a slot."""
    row = table[slot]
    n_samples, n_tail, n_bins, n_carrier, n_states = row[1], row[11], row[17], row[19], row[23]
    return ProcessorState(
        Analysis(
            array_from_address(row[0], n_samples, np.float32),
            array_from_address(row[2], (2, n_samples), np.float32),
            array_from_address(row[4], (2, n_samples), np.float32),
            array_from_address(row[6], row[7], np.int64),
        ),
        Synthesis(
            array_from_address(row[8], row[9], np.float32),
            array_from_address(row[10], (2, n_tail), np.float32),
            array_from_address(row[12], (2, n_samples), np.float32),
            array_from_address(row[14], row[15], np.int64),
        ),
        Buffers(
            array_from_address(row[16], (2, n_bins), np.complex64),
            array_from_address(row[18], (2, n_carrier), np.complex64),
            array_from_address(row[20], (2, n_bins), np.complex64),
            array_from_address(row[22], (2, n_states), np.float32),
            array_from_address(row[24], (2, row[25]), np.float32),
        ),
        Shaping(
            array_from_address(row[26], row[27], np.float64),
            array_from_address(row[28], (2, n_bins), np.float32),
        ),
        array_from_address(row[30], (row[31], 2, n_bins), np.complex64),
        array_from_address(row[32], row[33], np.float32),
        array_from_address(row[34], row[35], np.int64),
        array_from_address(row[36], row[37], np.int64),
    )
