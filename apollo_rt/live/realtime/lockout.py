"""Lockout of devices: keeps one that hangs from the shared state for good, whatever it does when it wakes up.

Each connection has an address table of its own, and in it a lockout. The callback says that it is inside before it asks
whether it may be; who locks it out lets the device stop first, which takes longer than any store needs to be seen, and
then waits until nobody is inside.
"""

import time
from typing import NamedTuple

import numpy as np

from apollo_rt.compiled.address_table import AddressTable
from apollo_rt.compiled.native import array_from_address, realtime
from apollo_rt.compiled.records import Record, load, new_record, store
from apollo_rt.live.realtime.gaps import add_gap, clear_gaps
from apollo_rt.live.realtime.shared_state import SharedState

_POLL_S = 0.001
_LONGEST_CALL_S = 10.0
"""Ten thousand times what a callback takes: whoever is inside for longer does not come out again."""


class Lockout(Record):
    """Says whether a device may touch the shared state, and whether it is at it.

    Attributes:
        admits: 1: the callback may come in.
        in_call: 1: a callback is inside.
        output_channels: of the device, to play silence where it may not come in.
    """

    admits: int
    in_call: int
    output_channels: int


class Attachment(NamedTuple):
    """Holds what a device's callback gets, by its address.

    Attributes:
        lockout: this device's own.
        shared: that of all devices, one after the other.
    """

    lockout: Lockout
    shared: SharedState


def attach(shared: SharedState, input_channels: int, output_channels: int) -> AddressTable[Attachment]:
    """Make the shared state ready for a device, the first or the next; no callback may run.

    What was on its way when the last device was lost is not heard any more, and captured sound is faded in.

    Args:
        shared: goes on where it was.
        input_channels: 0 to 2, see `driver.Driver`.
        output_channels: the same.

    Returns:
        The table whose address is the device's `userdata`; it must be kept as long as that may call back.
    """
    control, written = shared.control, int(shared.history.marks.written)
    control.input_channels, control.output_channels = input_channels, output_channels
    control.last_call_ns = control.mute = 0
    control.priming = 1
    clear_gaps(shared.gaps)
    if written > 0:
        add_gap(shared.gaps, written - int(control.delay), written)
    elif input_channels:
        add_gap(shared.gaps, 0, 0)
    return attachment(shared)


def attachment(shared: SharedState) -> AddressTable[Attachment]:
    """Make the table of a device that may come in, with the channels that the shared state has."""
    lockout = new_record(Lockout)
    lockout.admits, lockout.output_channels = 1, shared.control.output_channels
    return AddressTable(Attachment(lockout, shared))


def lock_out(lockout: Lockout) -> None:
    """Lock a device out: a callback that begins from now on plays silence and ends its stream."""
    store(lockout, "admits", 0)


def wait_until_outside(lockout: Lockout) -> None:
    """Wait for a callback that was inside when it was locked out; one that stays inside has died with its thread."""
    give_up_s = time.monotonic() + _LONGEST_CALL_S
    while load(lockout, "in_call") and time.monotonic() < give_up_s:
        time.sleep(_POLL_S)


@realtime
def enter(lockout: Lockout) -> bool:
    """Let the callback in, or not: True means that it is inside, and must `leave`."""
    store(lockout, "in_call", 1)
    if load(lockout, "admits") == 1:
        return True
    store(lockout, "in_call", 0)
    return False


@realtime
def leave(lockout: Lockout) -> None:
    """Say that the callback is through."""
    store(lockout, "in_call", 0)


@realtime
def play_silence(lockout: Lockout, output_address: int, n_samples: int) -> None:
    """Fill the output with silence: all that a callback does that may not come in."""
    if output_address != 0 and lockout.output_channels > 0:
        output = array_from_address(output_address, n_samples * lockout.output_channels, np.float32)
        for index in range(output.shape[0]):
            output[index] = np.float32(0.0)
