"""What came in the last ten seconds: copies of the counters, taken now and then, to subtract from the present ones."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from apollo_rt.live.monitoring.snapshot import read_stats, whole_copy
from apollo_rt.live.realtime.counters import Stats, make_stats

RECENT_S = 10.0
_PERIOD_S = 0.5


class StatsReader:
    """Reads shared counters, and remembers what they were up to ten seconds ago. Any thread may ask.

    The supervisor asks once a second, so there is always something to remember.

    Args:
        stats: shared with the audio path.
        clock_s: monotonic seconds.
    """

    def __init__(self, stats: Stats, clock_s: Callable[[], float] = time.monotonic) -> None:
        """The first ten seconds begin now."""
        self._stats = stats
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._past: deque[tuple[float, Stats]] = deque([(clock_s(), make_stats())])

    def read(self) -> dict[str, Any]:
        """The part of a `Snapshot` that the shared arrays hold, by field name."""
        now_s = self._clock_s()
        with self._lock:
            if now_s - self._past[-1][0] >= _PERIOD_S:
                self._past.append((now_s, whole_copy(self._stats)))
            while len(self._past) > 1 and now_s - self._past[1][0] >= RECENT_S:
                self._past.popleft()
            begin_s, before = self._past[0]
        return read_stats(self._stats, before, now_s - begin_s)
