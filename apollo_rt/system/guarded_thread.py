"""A thread that keeps the exception it died of, for somebody to raise it where it is seen."""

import threading
from collections.abc import Callable
from typing import Any


class GuardedThread:
    """A daemon thread.

    Args:
        name: of the thread.
        target: what it runs.
        arguments: what the target gets.

    Attributes:
        error: the exception that ended it, if one did.
    """

    def __init__(self, name: str, target: Callable[..., object], *arguments: Any) -> None:
        """It runs from `start` on."""
        self.error: Exception | None = None
        self._target = target
        self._arguments = arguments
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_alive(self) -> bool:
        """It has started and not ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start it; once."""
        self._thread.start()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for its end, at most so many seconds; returns at once where it never started."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._target(*self._arguments)
        except Exception as error:  # whatever it is: see `error`
            self.error = error
