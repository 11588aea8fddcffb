"""Durations of many equal events: percentiles, tail, misses, and how they get into a benchmark."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.live.monitoring.durations import Durations

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}
_TAIL_SHARES = np.unique(1 - np.geomspace(1.0, 1e-6, 61))
_TIMELINE_LENGTH = 400


@dataclass(frozen=True)
class Times:
    """Durations that were timed.

    Attributes:
        seconds: each event, in the order in which they came.
        deadline_s: what each may take at most, if there is such a thing.
    """

    seconds: NDArray[np.float64]
    deadline_s: float | None = None

    @classmethod
    def of_histogram(cls, durations: Durations, deadline_s: float | None = None) -> "Times":
        """From the engine's own histogram: each event at the upper edge of its bin, 4.4 % too long at most; sorted."""
        edges, counts = np.array(durations.histogram or ((0.0, 0),)).T
        return cls(np.repeat(np.minimum(edges, durations.max) / 1e3, counts.astype(int)), deadline_s)

    @cached_property
    def percentiles_ms(self) -> dict[str, float | None]:
        """By name, and the maximum; None where there are too few events for it to be less than the maximum."""
        found: dict[str, float | None] = {
            name: _ms(np.quantile(self.seconds, share)) if len(self.seconds) * (1 - share) >= 0.999 else None
            for name, share in SHARES.items()
        }
        return found | {"max": _ms(self.seconds.max())}

    @property
    def misses(self) -> int:
        """Number of those that took longer than they may."""
        return 0 if self.deadline_s is None else int((self.seconds > self.deadline_s).sum())

    @property
    def load_percent(self) -> float | None:
        """The median as a share of what each may take."""
        return None if self.deadline_s is None else round(100 * float(np.median(self.seconds)) / self.deadline_s, 1)

    def tail(self) -> list[list[float]]:
        """Pairs of share and milliseconds, ever denser towards the longest: what a tail curve is drawn from."""
        shares = _TAIL_SHARES[(1 - _TAIL_SHARES) * len(self.seconds) >= 0.999]
        return [[round(float(s), 7), _ms(v)] for s, v in zip(shares, np.quantile(self.seconds, shares), strict=True)]

    def facts(self) -> dict[str, Any]:
        """Facts for `extra_info`."""
        return {
            "events": len(self.seconds),
            "percentiles_ms": self.percentiles_ms,
            "deadline_ms": None if self.deadline_s is None else _ms(self.deadline_s),
            "misses": self.misses if self.deadline_s is not None else None,
            "load_percent": self.load_percent,
            "tail": self.tail(),
        }


def jitter_facts(late_s: NDArray[np.float64]) -> dict[str, Any]:
    """By how much calls came later than they were due: percentiles, and a timeline of the worst in each stretch.

    Shape:
        (calls,), seconds
    """
    stretches = np.array_split(late_s, min(_TIMELINE_LENGTH, len(late_s)))
    return {
        "jitter_ms": Times(late_s).percentiles_ms,
        "jitter_timeline_ms": [_ms(stretch.max()) for stretch in stretches],
    }


class Replay:
    """A timer for pytest-benchmark that shows durations which were measured elsewhere, in compiled code for one.

    `pytest.mark.benchmark(timer=REPLAY)`, then `play`: minimum, median, outliers and the comparison of saved runs are
    then those of the events themselves, not of one call that holds thousands of them.
    """

    def __init__(self) -> None:
        self._moments = iter(())

    def __call__(self) -> float:
        """The next moment."""
        return next(self._moments)

    def play(self, benchmark: Any, times: Times) -> None:
        """Let a benchmark time these events."""
        self._moments = _moments(times.seconds)
        benchmark.pedantic(lambda: None, rounds=len(times.seconds))


REPLAY = Replay()


def _moments(seconds: Iterable[float]) -> Any:
    for duration in seconds:
        yield 0.0
        yield float(duration)


def _ms(seconds: float) -> float:
    return round(1e3 * float(seconds), 5)
