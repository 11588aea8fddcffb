"""Upkeep polls beside a live run, four times a second: files that changed, MIDI devices that came back."""

import threading
from collections.abc import Callable, Sequence

Poll = Callable[[], list[str]]
"""Sees to something, and returns what a user should know, one line each."""

_PERIOD_S = 0.25
_ENDING_S = 2.0
"""How long the end waits for a poll that waits itself, for a disk or a sound server."""


class Upkeep:
    """A thread of its own: unlike the supervisor's work on the sound, this may wait for a disk or a sound server.

    Args:
        polls: called in turn.
        say: tells a user something.
    """

    def __init__(self, polls: Sequence[Poll], say: Callable[[str], None]) -> None:
        """Nothing is seen to before `start`."""
        self._polls, self._say = polls, say
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a poll that hangs is left behind."""
        self._stopping.set()
        self._thread.join(_ENDING_S)

    def _run(self) -> None:
        while not self._stopping.wait(_PERIOD_S):
            for poll in self._polls:
                for line in self._lines_of(poll):
                    self._say(line)

    @staticmethod
    def _lines_of(poll: Poll) -> list[str]:
        try:
            return poll()
        except Exception as error:  # whatever it is: one that fails must not end the others
            return [f"upkeep met {type(error).__name__}: {error}"]
