"""What asks a program to end: Ctrl-C, `kill`, a closed terminal."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def ending_calls(action: Callable[[], None]) -> Iterator[None]:
    """Let the signals that ask a program to end call `action` instead; only in the main thread."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda *_: action()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupt() -> None:
    """End as Ctrl-C does: everything on the way out is closed, and no file is left half written.

    Raises:
        KeyboardInterrupt: always.
    """
    raise KeyboardInterrupt
