"""Reads the shared counters: whole copies of them, and what came in the last ten seconds as a difference of two."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import atomic_load, realtime
from apollo_rt.compiled.records import copy_fields, load
from apollo_rt.live.monitoring.durations import Durations
from apollo_rt.live.monitoring.snapshot import Meter, Recent
from apollo_rt.live.realtime.counters import COUNTERS, Stats, make_stats

_ATTEMPTS = 1000
RECENT_S = 10.0
_PERIOD_S = 0.5


@realtime
def _copy(source: NDArray[Any], target: NDArray[Any]) -> None:
    for index in range(len(source)):
        target[index] = atomic_load(source, index)


@entry
@realtime
def _copy_all(source: Stats, target: Stats) -> bool:
    """Copy everything; says whether neither callback nor worker has been counting meanwhile."""
    callback, worker = load(source.callback_version, "number"), load(source.worker_version, "number")
    copy_fields(source.counters, target.counters)
    copy_fields(source.load, target.load)
    _copy(source.step_ns, target.step_ns)
    _copy(source.interval_ns, target.interval_ns)
    _copy(source.callback_ns, target.callback_ns)
    _copy(source.input_meter.peaks, target.input_meter.peaks)
    _copy(source.input_meter.mean_squares, target.input_meter.mean_squares)
    _copy(source.output_meter.peaks, target.output_meter.peaks)
    _copy(source.output_meter.mean_squares, target.output_meter.mean_squares)
    is_same = callback == load(source.callback_version, "number")
    is_same &= worker == load(source.worker_version, "number")
    return bool(is_same and (callback | worker) & 1 == 0)


def whole_copy(source: Stats) -> Stats:
    """A copy of the shared arrays that shows no callback and no hop by halves.

    The writers never wait, so the reader tries again, a few times in a thousand. Where it never finds them at rest
    (nobody counts that long: a writer has died, or calls come without a pause, from file to file), each value is whole
    all the same, but two may be a block apart.
    """
    target = make_stats()
    for _ in range(_ATTEMPTS):
        if _copy_all(source, target):
            break
        time.sleep(0)
    return target


def read_stats(stats: Stats, before: Stats | None = None, duration_s: float = 0.0) -> dict[str, Any]:
    """The part of a `Snapshot` that the shared arrays hold, by field name.

    Args:
        stats: shared, or a copy.
        before: a copy from the beginning of what counts as recent; None: the start.
        duration_s: seconds since then.
    """
    now = whole_copy(stats)
    return {
        "load_percent": 100.0 * float(now.load.share),
        "step_ms": Durations.of(now.step_ns),
        "callback_interval_ms": Durations.of(now.interval_ns),
        "callback_ms": Durations.of(now.callback_ns),
        "input": Meter.of(now.input_meter),
        "output": Meter.of(now.output_meter),
        "recent": Recent.between(before or make_stats(), now, duration_s),
        **{name: int(getattr(now.counters, name)) for name in COUNTERS},
    }


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
