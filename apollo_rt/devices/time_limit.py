"""A time limit for calls of PortAudio: where a sound server has died at the wrong moment some of them wait for ever.

Read in PortAudio 19.6 and 19.7 (pa_jack.c): opening, starting, stopping and closing a stream wait up to ten minutes for
JACK's thread, which a dead server ends; and `Pa_Terminate` waits for whoever waits there.
"""

import atexit
import sys
import threading
from collections.abc import Callable
from typing import Any

from apollo_rt.system.guarded_thread import GuardedThread

_HAS_SERVERS = sys.platform == "linux"
"""Elsewhere nothing that a stream depends on dies, and on Windows what PortAudio makes belongs to the thread that it is
made in."""

_ENDING_S = 3.0
"""As long as a device may take to close."""


def in_time(name: str, limit_s: float, call: Callable[[], Any]) -> Any:
    """Call something in a thread where a sound server may die meanwhile; elsewhere just call it.

    Args:
        name: of the thread.
        limit_s: seconds that it may take.
        call: what it raises, we raise.

    Returns:
        What it returns.

    Raises:
        TimeoutError: it took longer, and may never come back.
    """
    if not _HAS_SERVERS:
        return call()
    found: list[Any] = []
    thread = GuardedThread(name, lambda: found.append(call()))
    thread.start()
    thread.join(limit_s)
    if thread.error:
        raise thread.error
    if not found:
        raise TimeoutError(f"{name}: not done after {limit_s:g} s")
    return found[0]


class LibraryEnd:
    """Ends the library at the program's end, if that takes no longer than a moment.

    Its thread starts now and sleeps: from Python 3.12 on none can be started at the program's end.

    Args:
        end: what the library has registered with `atexit`.
    """

    def __init__(self, end: Callable[[], object]) -> None:
        """From now on it is our business."""
        self._end, self._asked = end, threading.Event()
        self._thread = GuardedThread("end of PortAudio", self._wait_and_end)
        if _HAS_SERVERS:
            atexit.unregister(end)
            atexit.register(self.ask)
            self._thread.start()

    def ask(self) -> None:
        """End the library now, or leave it as it is after a moment."""
        self._asked.set()
        self._thread.join(_ENDING_S)

    def drop(self) -> None:
        """Leave the library as it is at the program's end: something hangs in it."""
        atexit.unregister(self.ask if _HAS_SERVERS else self._end)

    def _wait_and_end(self) -> None:
        self._asked.wait()
        self._end()
