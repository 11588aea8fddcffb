"""Rest: devices that nobody plays to are let go after a while, and opened again when somebody does."""

import time


class Rest:
    """Tells when devices may be closed, and when they are wanted again.

    Args:
        idle_s: so long nothing must have played.

    Attributes:
        is_wanted: something plays, as far as is known; true until it is said otherwise.
    """

    def __init__(self, idle_s: float) -> None:
        self.is_wanted = True
        self._idle_s, self._last_s = idle_s, time.monotonic()

    def note(self, is_wanted: bool) -> None:
        """Say whether something plays; whoever asks a sound server does that in a thread of its own."""
        if is_wanted or self.is_wanted:
            self._last_s = time.monotonic()
        self.is_wanted = is_wanted

    @property
    def is_due(self) -> bool:
        """Nothing has played for long enough."""
        return not self.is_wanted and time.monotonic() - self._last_s >= self._idle_s
