"""A thread that never gives the interpreter back: whatever goes on meanwhile needs none."""

import sys
import time
from collections.abc import Callable


def goes_on(count: Callable[[], int], n_wanted: int, patience_s: float = 60.0) -> int:
    """Keep the interpreter until something was counted so often more, or the patience ends.

    Returns:
        How often it was while no other thread could run Python.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)  # from here this thread keeps the interpreter until it sleeps or waits
    try:
        begin, end_s = count(), time.monotonic() + patience_s
        while (n_counted := count() - begin) < n_wanted and time.monotonic() < end_s:
            pass
    finally:
        sys.setswitchinterval(interval)
    return n_counted
