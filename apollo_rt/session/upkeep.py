"""What is seen to beside a live run, four times a second: files that changed, MIDI devices that came back."""

import threading
from collections.abc import Callable, Sequence

Look = Callable[[], list[str]]
"""Sees to something, and returns what a user should know, one line each."""

_PERIOD_S = 0.25
_ENDING_S = 2.0
"""How long the end waits for a look that waits itself, for a disk or a sound server."""


class Upkeep:
    """A thread of its own: unlike the supervisor's work on the sound, this may wait for a disk or a sound server.

    Args:
        looks: called in turn.
        say: tells a user something.
    """

    def __init__(self, looks: Sequence[Look], say: Callable[[str], None]) -> None:
        """Nothing is seen to before `start`."""
        self._looks, self._say = looks, say
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a look that hangs is left behind."""
        self._stopping.set()
        self._thread.join(_ENDING_S)

    def _run(self) -> None:
        while not self._stopping.wait(_PERIOD_S):
            for look in self._looks:
                for line in self._lines_of(look):
                    self._say(line)

    @staticmethod
    def _lines_of(look: Look) -> list[str]:
        try:
            return look()
        except Exception as error:  # whatever it is: one that fails must not end the others
            return [f"upkeep met {type(error).__name__}: {error}"]
