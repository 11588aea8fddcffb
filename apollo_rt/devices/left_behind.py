"""Streams that hang in a device that died: given up, made harmless, and remembered.

Where a stream can't be closed its thread stays for as long as the program runs. It mostly sleeps; seen with PulseAudio
16 and PortAudio 19.6, it may also spin and print an error each time, and it was given real-time priority.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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
    before = _thread_ids()
    try:
        yield
    finally:
        ours = {thread.native_id for thread in threading.enumerate()}
        thread_ids |= _thread_ids() - before - ours


def _thread_ids() -> set[int]:
    """Of this process; none where the system doesn't tell."""
    with suppress(OSError):
        return {int(folder.name) for folder in Path("/proc/self/task").iterdir()}
    return set()
