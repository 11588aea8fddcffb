"""The ladder: to a lighter tier when the worker can't keep up, and back when there is room.

    full <----.      down: misses, or steps that come too near to the limit, for a second
     |        |      up:   a while without trouble, then the better tier runs unheard for two seconds and shows room;
    light     |            if it doesn't, or doesn't hold above, the next try comes twice as late
     |        |
    (light without plugins, where there are some)
     |        |
    dry  -----'      only when most hops are missed: a sound that flickers is worse than the input

Plain arithmetic over what was counted in each poll: no threads, no clock.
"""

from dataclasses import dataclass

HIGH, ROOM = 0.9, 0.6
"""Shares of the step's budget: beyond the first a step is too slow, below the second a tier has room. Between them lies
the hysteresis."""

WINDOW_S = 0.5
_FEW_MISSES, _SLOW_SHARE = 2, 0.1
_HOPELESS_SHARE = 0.5
_TROUBLED_WINDOWS, _HOPELESS_WINDOWS = 2, 4
_PROBE_WINDOWS = 4
_FIRST_HOLD_S, _LONGEST_HOLD_S = 10.0, 320.0
_PROOF_S = 60.0
"""A step up that holds for so long was right: the next hold is a short one again."""


@dataclass(frozen=True)
class Window:
    """Counts of half a second.

    Attributes:
        n_hops: that fell due.
        n_missed: of them.
        n_slow: steps beyond `HIGH` of the budget.
        n_shadow: steps of the shadow.
        n_shadow_slow: of them beyond `ROOM` of the budget.
    """

    n_hops: int
    n_missed: int
    n_slow: int
    n_shadow: int = 0
    n_shadow_slow: int = 0


class Ladder:
    """Decides on which rung a run stands.

    Args:
        names: the rungs from best to worst, dry at the end.

    Attributes:
        rung: where it stands.
        probed: the rung that is tried unheard, or None.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.rung = 0
        self.probed: int | None = None
        self._n_troubled = self._n_hopeless = self._n_probed = 0
        self._calm_s = self._since_move_s = 0.0
        self._hold_s = _FIRST_HOLD_S
        self._has_climbed = False

    def poll(self, window: Window) -> str:
        """Judge half a second; returns what was decided, in words, or nothing."""
        self._judge(window)
        if self._has_to_step_down:
            return self._step_down()
        if self.probed is not None:
            return self._judge_probe(window)
        if self.rung > 0 and self._calm_s >= self._hold_s:
            self.probed, self._n_probed = self.rung - 1, 0
        return ""

    def _judge(self, window: Window) -> None:
        n_hops = max(window.n_hops, 1)
        is_troubled = window.n_missed >= _FEW_MISSES or window.n_slow > _SLOW_SHARE * n_hops
        self._n_troubled = self._n_troubled + 1 if is_troubled else 0
        self._n_hopeless = self._n_hopeless + 1 if window.n_missed > _HOPELESS_SHARE * n_hops else 0
        self._calm_s = 0.0 if is_troubled else self._calm_s + WINDOW_S
        self._since_move_s += WINDOW_S
        if self._since_move_s >= _PROOF_S and self._has_climbed:
            self._hold_s = _FIRST_HOLD_S

    @property
    def _has_to_step_down(self) -> bool:
        if self.rung >= len(self.names) - 2:
            return self.rung == len(self.names) - 2 and self._n_hopeless >= _HOPELESS_WINDOWS
        return self._n_troubled >= _TROUBLED_WINDOWS

    def _step_down(self) -> str:
        if self._has_climbed and self._since_move_s < _PROOF_S:
            self._wait_longer()
        before = self.names[self.rung]
        self._move(self.rung + 1)
        return f"can't keep up with the tier {before!r}: going down to {self.names[self.rung]!r}"

    def _judge_probe(self, window: Window) -> str:
        assert self.probed is not None
        has_room = window.n_shadow_slow <= _SLOW_SHARE * window.n_shadow / 2
        if window.n_missed or not has_room:
            self.probed = None
            self._calm_s = 0.0
            self._wait_longer()
            return ""
        self._n_probed += window.n_shadow > 0
        if self._n_probed < _PROBE_WINDOWS:
            return ""
        self._move(self.probed)
        return f"there is room again: going up to the tier {self.names[self.rung]!r}"

    def _move(self, rung: int) -> None:
        self._has_climbed = rung < self.rung
        self.rung, self.probed = rung, None
        self._n_troubled = self._n_hopeless = 0
        self._calm_s = self._since_move_s = 0.0

    def _wait_longer(self) -> None:
        self._hold_s = min(2 * self._hold_s, _LONGEST_HOLD_S)
