"""The gate between a device and the line: a device that hangs is locked out, whatever it does when it wakes up.

Each connection has an address table of its own, and in it a gate. The callback says that it is inside before it asks
whether the gate is open; who closes the gate lets the device stop first, which takes longer than any store needs to be
seen, and then waits until nobody is inside.
"""

import time

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import array_from_address, atomic_load, atomic_store, realtime
from apollo_rt.live.realtime.gaps import add_hole, clear_holes
from apollo_rt.live.realtime.ring import WRITTEN
from apollo_rt.live.realtime.shared_state import (
    DELAY,
    GATE_CHANNELS,
    IN_CALL,
    INPUT_CHANNELS,
    LAST_CALL_NS,
    MUTE,
    N_WORDS,
    OPEN,
    OUTPUT_CHANNELS,
    PRIMING,
    Line,
    address_table,
)

_POLL_S = 0.001


def attach(line: Line, input_channels: int, output_channels: int) -> NDArray[np.int64]:
    """Make a line ready for a device, the first or the next; no callback may run.

    What was on its way when the last device was lost is not heard any more, and captured sound is faded in.

    Args:
        line: goes on where it was.
        input_channels: 0 to 2, see `driver.Driver`.
        output_channels: the same.

    Returns:
        The address table, which is the device's `userdata` and must be kept as long as that may call back.
    """
    control, written = line.control, int(line.history.marks[WRITTEN])
    control[INPUT_CHANNELS], control[OUTPUT_CHANNELS] = input_channels, output_channels
    control[LAST_CALL_NS] = control[MUTE] = 0
    control[PRIMING] = 1
    clear_holes(line.holes)
    if written > 0:
        add_hole(line.holes, written - int(control[DELAY]), written)
    elif input_channels:
        add_hole(line.holes, 0, 0)
    return address_table(line)


def close_gate(table: NDArray[np.int64]) -> None:
    """From now on a callback that begins plays silence and ends its stream."""
    _store(table.reshape(-1), OPEN, 0)


def wait_until_empty(table: NDArray[np.int64]) -> None:
    """Wait for a callback that was inside when the gate closed."""
    while _load(table.reshape(-1), IN_CALL):
        time.sleep(_POLL_S)


@realtime
def enter(userdata: int) -> bool:
    """Whether the callback may come in; if so it must `leave`."""
    words = array_from_address(userdata, N_WORDS, np.int64)
    atomic_store(words, IN_CALL, 1)
    if atomic_load(words, OPEN) == 1:
        return True
    atomic_store(words, IN_CALL, 0)
    return False


@realtime
def leave(userdata: int) -> None:
    """The callback is through."""
    atomic_store(array_from_address(userdata, N_WORDS, np.int64), IN_CALL, 0)


@realtime
def play_silence(userdata: int, output_address: int, n_samples: int) -> None:
    """All that a callback does that may not come in."""
    n_channels = array_from_address(userdata, N_WORDS, np.int64)[GATE_CHANNELS]
    if output_address != 0 and n_channels > 0:
        output = array_from_address(output_address, n_samples * n_channels, np.float32)
        for index in range(n_samples * n_channels):
            output[index] = np.float32(0.0)


@realtime
def _load(words: NDArray[np.int64], place: int) -> int:
    return int(atomic_load(words, place))


@realtime
def _store(words: NDArray[np.int64], place: int, value: int) -> None:
    atomic_store(words, place, value)
