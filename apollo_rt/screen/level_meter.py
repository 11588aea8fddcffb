"""Meters of input and output: mean level, peak, and a mark that holds the highest peak for a while."""

from apollo_rt.decibels import SILENCE_DB, level_db
from apollo_rt.live.monitoring.snapshot import Snapshot
from apollo_rt.screen.painted import Line, Painted

_NAMES = ("in  L", "in  R", "out L", "out R")
_HOLD_S, _FALL_DB_PER_S = 1.5, 20.0
_WARM_DB, _HOT_DB = -12.0, -3.0
_CLIP_S = 3.0


class LevelMeter(Painted):
    """Four bars. Thick up to the mean level, thin up to the peak; the mark and the number hold the highest peak."""

    def __init__(self) -> None:
        super().__init__()
        self._title = self.border_title = "level"
        self._peaks_db, self._means_db = [SILENCE_DB] * 4, [SILENCE_DB] * 4
        self._held_db, self._held_s = [SILENCE_DB] * 4, [0.0] * 4
        self._n_clipped: int | None = None
        self._clip_s = 0.0

    def show(self, snapshot: Snapshot, elapsed_s: float) -> None:
        """Move on.

        Args:
            snapshot: of this moment.
            elapsed_s: since the last one.
        """
        self._peaks_db = [level_db(peak) for peak in (*snapshot.input.peak, *snapshot.output.peak)]
        self._means_db = [level_db(mean) for mean in (*snapshot.input.rms, *snapshot.output.rms)]
        for index, peak in enumerate(self._peaks_db):
            self._hold(index, peak, elapsed_s)
        self._clip_s = max(self._clip_s - elapsed_s, 0.0)
        if self._n_clipped is not None and snapshot.clipped_samples > self._n_clipped:
            self._clip_s = _CLIP_S
        self._n_clipped = snapshot.clipped_samples
        title = "level [bold $ink-hot]CLIPPED[/]" if self._clip_s else "level"
        if title != self._title:
            self._title = self.border_title = title
        self.repaint()

    @property
    def held_db(self) -> tuple[float, ...]:
        """The marks: input left and right, output left and right."""
        return tuple(self._held_db)

    def paint(self, width: int, height: int) -> list[Line]:
        """One line for each channel."""
        bar_width = width - 6 - 6
        return [self._line(index, bar_width) for index in range(4)] if bar_width > 3 else []

    def _hold(self, index: int, peak_db: float, elapsed_s: float) -> None:
        self._held_s[index] += elapsed_s
        if peak_db >= self._held_db[index]:
            self._held_db[index], self._held_s[index] = peak_db, 0.0
        elif self._held_s[index] > _HOLD_S:
            self._held_db[index] = max(self._held_db[index] - _FALL_DB_PER_S * elapsed_s, peak_db)

    def _line(self, index: int, width: int) -> Line:
        mean, peak, mark = (
            round(_share(levels[index]) * width) for levels in (self._means_db, self._peaks_db, self._held_db)
        )
        cells = ["▇" if x < mean else "▃" if x < peak else "·" for x in range(width)]
        if mark:
            cells[mark - 1] = "▐"
        ends = [round(_share(level) * width) for level in (_WARM_DB, _HOT_DB)]
        parts = ((0, ends[0], "good"), (ends[0], ends[1], "warm"), (ends[1], width, "hot"))
        line: Line = [(f"{_NAMES[index]} ", "faint")]
        for begin, end, ink in parts:
            lit = min(max(peak, begin), end)
            line += [("".join(cells[begin:lit]), ink)]
            line += [(cell, ink if cell == "▐" else "line") for cell in cells[lit:end]]
        held = self._held_db[index]
        return [*line, ("    -∞" if held <= SILENCE_DB else f" {held:>5.1f}", "hot" if held > -0.1 else "text")]


def _share(level: float) -> float:
    return 1.0 - level / SILENCE_DB
