"""Streams that hang in a device that died: given up, made harmless, and remembered.

Where a stream can't be closed its thread stays for as long as the program runs. It mostly sleeps; seen with PulseAudio
16 and PortAudio 19.6, it may also spin and print an error each time, and it was given real-time priority.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from apollo_rt.system import threads

_names: list[str] = []
_since_renewal: list[str] = []


def leave_behind(name: str, thread_ids: set[int]) -> None:
    """Give up a stream.

    Args:
        name: of its devices.
        thread_ids: the system's numbers of its threads; they only get what nobody else needs from now on.
    """
    _names.append(name)
    _since_renewal.append(name)
    for thread_id in thread_ids:
        with suppress(OSError):  # it has ended after all
            os.sched_setscheduler(thread_id, os.SCHED_IDLE, os.sched_param(0))


def is_any_left() -> bool:
    """Whether any stream hangs, since the program began."""
    return bool(_names)


def take_hung() -> bool:
    """Whether any stream has been left behind since this was asked last."""
    is_stuck = bool(_since_renewal)
    _since_renewal.clear()
    return is_stuck


@contextmanager
def threads_begun(thread_ids: set[int]) -> Iterator[None]:
    """Add the system's numbers of the threads that begin inside; Python's own are left out, where there are any."""
    before = threads.thread_ids()
    try:
        yield
    finally:
        thread_ids |= threads.begun_since(before)
