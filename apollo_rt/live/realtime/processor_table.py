"""Processor table: gives compiled code a processor by its number, from an address table of all that it carries.

A worker that got them as values would hand hundreds of numbers from function to function, and take minutes to compile.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.address_table import AddressTable, from_address
from apollo_rt.compiled.native import realtime
from apollo_rt.stream.processor import Processor
from apollo_rt.stream.processor_state import ProcessorState

ProcessorTable = Annotated[NDArray[np.int64], "slots", "words"]
"""(slots, words): of each processor the words of its address table."""


def processor_table(processors: Sequence[Processor]) -> ProcessorTable:
    """Make the table of some processors, which must outlive it."""
    return np.stack([AddressTable(processor.compiled).words for processor in processors])


@realtime
def processor_at(table: ProcessorTable, slot: int) -> ProcessorState:
    """Make the state of a slot's processor again."""
    return from_address(table[slot].ctypes.data, ProcessorState)
