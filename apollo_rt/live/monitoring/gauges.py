"""Gauges show what goes up and down in a run, with its bounds: the fill of rings, the correction of clocks.

The supervisor polls ten times a second; what a value does between two polls is not seen.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_POLLS_KEPT = 100
"""Ten seconds."""


@dataclass(frozen=True)
class Gauge:
    """One value.

    Attributes:
        now: at the last poll.
        least: since the start; so `most`.
        recent_least: over the last 10 s; so `recent_most`.
    """

    now: float
    least: float
    most: float
    recent_least: float
    recent_most: float


class _History:
    """Past values of one gauge."""

    def __init__(self, value: float) -> None:
        self.least = self.most = value
        self.recent: deque[float] = deque(maxlen=_POLLS_KEPT)

    def add(self, value: float) -> None:
        self.least, self.most = min(self.least, value), max(self.most, value)
        self.recent.append(value)

    def gauge(self) -> Gauge:
        return Gauge(self.recent[-1], self.least, self.most, min(self.recent), max(self.recent))


class Gauges:
    """Watches some values. Any thread may ask.

    Args:
        values: the present ones, by name.
    """

    def __init__(self, values: Callable[[], dict[str, float]]) -> None:
        self._values = values
        self._lock = threading.Lock()
        self._histories: dict[str, _History] = {}

    def poll(self) -> None:
        """Take notice of the present values; ten times a second."""
        values = self._values()
        with self._lock:
            for name, value in values.items():
                self._histories.setdefault(name, _History(float(value))).add(float(value))

    def read(self) -> dict[str, Gauge]:
        """Gauges by name: what the values are and have been."""
        with self._lock:
            return {name: history.gauge() for name, history in self._histories.items()}
