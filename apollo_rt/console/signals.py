"""Signals end a program: Ctrl-C, `kill`, a closed terminal. The first asks, the second ends it."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event
from types import TracebackType

_ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Windows has no SIGHUP."""

_PATIENCE_S = 0.5
"""What comes sooner after the first is no second wish: shells and wrappers pass on what their child has got, too."""


@contextmanager
def ending_calls(action: Callable[[], None]) -> Iterator[None]:
    """Let the signals that ask a program to end call `action` instead, once; only in the main thread.

    The second ends the process at once, wherever it hangs: with 128 and the signal's number, as shells say it.
    """
    is_asked = Event()

    def ask(*_: object) -> None:
        if not is_asked.is_set():
            is_asked.set()
            action()

    with _last_resort():
        before = {number: signal.signal(number, ask) for number in _ENDING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _last_resort() -> Iterator[None]:
    """Have a thread end the process at a second signal.

    A handler in Python runs only when the main thread comes back to the interpreter, which one that hangs in a library
    never does; what C does at once is write the signal's number to a descriptor (`signal.set_wakeup_fd`).
    """
    told, tells = socket.socketpair()
    tells.setblocking(False)
    before = signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(told,), name="last resort", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        tells.close()
        watcher.join(_PATIENCE_S)
        told.close()


def _watch(told: socket.socket) -> None:
    """End the process when the second of our signals has come."""
    first_s: float | None = None
    with suppress(OSError):
        while numbers := told.recv(64):
            for number in (number for number in numbers if number in _ENDING):
                now_s = time.monotonic()
                if first_s is not None and now_s - first_s >= _PATIENCE_S:
                    os._exit(128 + number)
                first_s = now_s if first_s is None else first_s


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
    before, before_with_traceback = sys.unraisablehook, sys.excepthook

    def hook(dropped: "sys.UnraisableHookArgs") -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            before(dropped)

    def hook_with_traceback(kind: type[BaseException], error: BaseException, place: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            before_with_traceback(kind, error, place)

    # Cython's code, PyAV that reads a file of ours, prints what it drops by the other hook first.
    sys.unraisablehook, sys.excepthook = hook, hook_with_traceback
    try:
        yield
    finally:
        sys.unraisablehook, sys.excepthook = before, before_with_traceback
