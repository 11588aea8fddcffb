"""Load shedding: what the worker's counters say, handed to the ladder twice a second, and its word to the worker."""

import numpy as np
from numpy.typing import NDArray

from apollo_rt.live.monitoring.stats_reader import whole_copy
from apollo_rt.live.realtime.counters import BINS_PER_OCTAVE, FIRST_EDGE_NS, N_BINS, Stats
from apollo_rt.live.realtime.tier_switch import DRY, NONE
from apollo_rt.live.supervision.ladder import HIGH, ROOM, WINDOW_S, Ladder, Window
from apollo_rt.live.supervision.supervisor import POLL_S
from apollo_rt.live.supervision.worker_keeper import WorkerKeeper
from apollo_rt.plugins.plugin_chains import OFF, ON, TIMED, Chains, want

_POLLS = round(WINDOW_S / POLL_S)


class LoadShedding:
    """Watches one worker.

    Args:
        workers: told which tier to play.
        stats: of its stream.
        budget_ns: time that every step may take, `latency.step_budget`.
        chains: the plugins, which are given up before the last tier is; None or empty: there are none.
    """

    def __init__(self, workers: WorkerKeeper, stats: Stats, budget_ns: float, chains: Chains | None = None) -> None:
        self._workers, self._stats, self._chains = workers, stats, chains
        self._high, self._room = (_first_bin_beyond(share * budget_ns) for share in (HIGH, ROOM))
        self._polls_left = _POLLS
        self.start_afresh()

    def start_afresh(self) -> None:
        """Stand on the first rung; after a swap."""
        names = self._workers.names
        without = () if self._chains is None else (f"{names[-1]} without plugins",)
        self.ladder = Ladder((*names, *without, "dry"))
        self._take(self.ladder.rung)
        self._before = self._read()

    def poll(self) -> list[str]:
        """Decide on the rung; returns one line for each decision."""
        self._polls_left -= 1
        if self._polls_left > 0:
            return []
        self._polls_left = _POLLS
        now, before = self._read(), self._before
        self._before = now
        steps = now[1] - before[1]
        shadow = self._workers.tiers.shadow_ns[:N_BINS].copy()
        window = Window(int(steps.sum()), int(now[0] - before[0]), int(steps[self._high :].sum()),
                        int(shadow.sum()), int(shadow[self._room :].sum()))  # fmt: skip
        probed = self.ladder.probed
        line = self.ladder.poll(window)
        if line:
            self._take(self.ladder.rung)
        if self.ladder.probed != probed or probed is not None:
            self._probe(self.ladder.probed)
        return [line] if line else []

    def _take(self, rung: int) -> None:
        self._workers.want(self._slot(rung))
        if self._chains is not None:
            want(self._chains, ON if rung < len(self._workers.names) else OFF)

    def _probe(self, rung: int | None) -> None:
        """Have a rung run unheard: a tier beside the one that is heard, or the plugins around it."""
        is_plugins = self._chains is not None and rung == len(self._workers.names) - 1
        self._workers.probe(NONE if rung is None or is_plugins else self._slot(rung))
        if self._chains is not None and self.ladder.rung >= len(self._workers.names):
            want(self._chains, TIMED if is_plugins else OFF)

    def _slot(self, rung: int) -> int:
        if rung == len(self.ladder.names) - 1:
            return DRY
        return min(rung, len(self._workers.names) - 1)

    def _read(self) -> tuple[int, NDArray[np.int64]]:
        stats = whole_copy(self._stats)
        return int(stats.counters.deadline_misses), stats.step_ns[:N_BINS]


def _first_bin_beyond(duration_ns: float) -> int:
    """The first bin of a histogram that holds nothing shorter."""
    return min(max(int(np.ceil(np.log2(duration_ns / FIRST_EDGE_NS) * BINS_PER_OCTAVE)), 0) + 1, N_BINS - 1)
