"""Distributions of durations, as the histograms of the audio path hold them."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from apollo_rt.live.realtime.counters import BINS_PER_OCTAVE, FIRST_EDGE_NS, MAX_NS, N_BINS

DURATIONS = ("step_ms", "callback_interval_ms", "callback_ms")
"""Names of the distributions, as attributes of `Snapshot`, which explains them."""


class HoldsDurations(Protocol):
    """A holder of distributions, one under each of these names."""

    @property
    def step_ms(self) -> "Durations":
        """Of the worker's steps."""

    @property
    def callback_interval_ms(self) -> "Durations":
        """Between two callbacks."""

    @property
    def callback_ms(self) -> "Durations":
        """Of the callbacks."""


@dataclass(frozen=True)
class Durations:
    """A distribution of durations in milliseconds.

    Percentiles are interpolated inside a bin; bins grow by 2^(1/16), so they are off by 4.4 % at most. `max` is exact
    since the start; of a part of the time it is known to its bin.

    Attributes:
        histogram: the bins that hold anything: upper edge in milliseconds (the last bin's is infinite), and how many.
    """

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    max: float
    histogram: tuple[tuple[float, int], ...] = ()

    @classmethod
    def of(cls, histogram: NDArray[np.int64], before: NDArray[np.int64] | None = None) -> "Durations":
        """Read a histogram that `record` fills.

        Args:
            histogram: a copy, `(N_BINS + 1,)`.
            before: a copy from before, where only what came since then is wanted.
        """
        bins, longest_ms = histogram[:N_BINS], float(histogram[MAX_NS]) / 1e6
        if before is not None:
            bins = bins - before[:N_BINS]
            held = np.flatnonzero(bins)
            longest_ms = min(longest_ms, _upper_edge_ms(int(held[-1]))) if len(held) else 0.0
        p50, p90, p99, p999 = (min(_percentile_ms(bins, share), longest_ms) for share in (0.5, 0.9, 0.99, 0.999))
        edges = tuple((_upper_edge_ms(int(index)), int(bins[index])) for index in np.flatnonzero(bins))
        return cls(int(bins.sum()), p50, p90, p99, p999, longest_ms, edges)


NO_DURATIONS = Durations(0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Where nothing was measured."""


def _upper_edge_ms(index: int) -> float:
    return math.inf if index == N_BINS - 1 else FIRST_EDGE_NS * 2.0 ** (index / BINS_PER_OCTAVE) / 1e6


def _percentile_ms(bins: NDArray[np.int64], share: float) -> float:
    reached = np.cumsum(bins)
    if reached[-1] == 0:
        return 0.0
    rank = share * float(reached[-1])
    index = int(np.searchsorted(reached, rank))
    inside = 1.0 - (float(reached[index]) - rank) / float(bins[index])
    return float(FIRST_EDGE_NS * 2.0 ** ((index - 1 + inside) / BINS_PER_OCTAVE) / 1e6)


def plain_durations(holder: "HoldsDurations") -> dict[str, Any]:
    """Its distributions as plain values; JSON has no infinity: the last bin's edge becomes None."""
    plain = {name: asdict(getattr(holder, name)) for name in DURATIONS}
    for durations in plain.values():
        durations["histogram"] = [[edge if math.isfinite(edge) else None, n] for edge, n in durations["histogram"]]
    return plain
