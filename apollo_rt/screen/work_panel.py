"""The work panel shows load over the last minute, tails of the model's step, misses and xruns."""

from collections import deque

from apollo_rt.live.monitoring.durations import Durations
from apollo_rt.live.monitoring.snapshot import Snapshot
from apollo_rt.screen.painted import Line, Painted, columns

_SECONDS = 60
_HIGH_LOAD_PERCENT = 80.0


class WorkPanel(Painted):
    """The most important lines first, and as many as there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self.border_title = "work of the last minute"
        self._snapshot: Snapshot | None = None
        self._loads: deque[tuple[float, bool]] = deque(maxlen=_SECONDS)
        self._next_s, self._n_missed = 0.0, 0

    def show(self, snapshot: Snapshot) -> None:
        """Move on."""
        self._snapshot = snapshot
        if snapshot.elapsed_s >= self._next_s:
            n_missed = snapshot.deadline_misses + snapshot.xruns
            self._loads.append((snapshot.load_percent, n_missed > self._n_missed))
            self._next_s, self._n_missed = snapshot.elapsed_s + 1.0, n_missed
        self.repaint()

    def paint(self, width: int, height: int) -> list[Line]:
        """Load, tails, misses; then what helps to find out why."""
        snapshot = self._snapshot
        if snapshot is None:
            return []
        return [
            self._load(snapshot, width),
            [("step, ms    p50    p99  p99.9    max", "faint")],
            _tails("all", snapshot.step_ms),
            _tails("10 s", snapshot.recent.step_ms),
            _misses(snapshot),
            *_further(snapshot),
        ]

    def _load(self, snapshot: Snapshot, width: int) -> Line:
        load = snapshot.load_percent
        ink = "hot" if load >= _HIGH_LOAD_PERCENT else "text"
        line: Line = [("load ", "faint"), (f"{load:>3.0f} % ", ink)]
        room = max(width - 11, 1)
        for percent, has_missed in list(self._loads)[-room:]:
            line.append((columns([percent / 100.0]), "hot" if has_missed else "accent"))
        return line


def _tails(name: str, step: Durations) -> Line:
    values = "".join(f"{value:>7.2f}" for value in (step.p50, step.p99, step.p999, step.max))
    return [(f"{name:<8}", "faint"), (values, "text")]


def _misses(snapshot: Snapshot) -> Line:
    recent = snapshot.recent
    n_missed, n_xruns = recent.counts["deadline_misses"], recent.xruns
    return [
        ("misses ", "faint"), (f"{snapshot.deadline_misses} ({n_missed})", "hot" if n_missed else "text"),
        ("  xruns ", "faint"), (f"{snapshot.xruns} ({n_xruns})", "hot" if n_xruns else "text"),
        ("  in 10 s", "faint"),
    ]  # fmt: skip


def _further(snapshot: Snapshot) -> list[Line]:
    interval = snapshot.callback_interval_ms
    rows = {
        "callbacks": f"every {interval.p50:.1f} ms, 99.9 % within {interval.p999:.1f} ms",
        "threads": snapshot.scheduling,
        "covered": f"{1e3 * snapshot.covered_samples / snapshot.latency.sample_rate:.0f} ms heard dry",
        "silenced": f"{1e3 * snapshot.silenced_samples / snapshot.latency.sample_rate:.0f} ms, nothing captured",
        "clipped": f"{snapshot.clipped_samples} samples",
        "returned": f"{snapshot.reconnections} devices, {snapshot.worker_restarts} workers",
        "running": _clock_text(snapshot.elapsed_s),
    }
    return [[(f"{name:<10}", "faint"), (text, "text")] for name, text in rows.items()]


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
