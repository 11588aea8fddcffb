"""What asks a program to end: Ctrl-C, `kill`, a closed terminal."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event


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


class _Interrupted(KeyboardInterrupt):
    """One of our own: a plain one that passes through `exec` makes Python end by SIGINT, whoever catches it later."""


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Let those signals end a program as Ctrl-C does: all is closed on the way out, no file is left half written.

    Python drops an exception that a signal raises while an object is being finalised, and the program would go on. It
    prints what it drops, with a traceback; not these, since a signal is no fault.

    Yields:
        To be called now and then by what takes long: raises what was dropped.

    Raises:
        KeyboardInterrupt: a signal came.
    """
    asked = Event()

    def interrupt() -> None:
        asked.set()
        raise _Interrupted

    def check() -> None:
        if asked.is_set():
            raise _Interrupted

    with ending_calls(interrupt), _dropped_interrupts_unprinted():
        try:
            yield check
        except Exception:
            check()  # what was dropped may have broken what was under way: numba's compiler fails so
            raise
        check()


@contextmanager
def _dropped_interrupts_unprinted() -> Iterator[None]:
    before = sys.unraisablehook

    def hook(dropped: "sys.UnraisableHookArgs") -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            before(dropped)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
