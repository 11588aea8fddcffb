"""Two live spectra, one over the other: what came in, what the model added to it, and the band that it restored.

added     ........          above what came in, where the codec left something
restored          ######    where the codec had left nothing: in a colour of its own
before    ::::::::          what came in, in front
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from apollo_rt.live.monitoring.spectra import Spectra
from apollo_rt.screen.painted import EIGHTHS, Line, Painted

_TOP_DB, _BOTTOM_DB = 0.0, -90.0
_FALL_DB_PER_S = 40.0
"""Levels rise at once and fall slowly, as a meter's do, so that an eye can follow them."""
_RESTORED_S = 0.4
"""How long a band has to be restored, about, until it is marked."""
_MARKS_HZ = (1000, 100, 10_000, 20_000, 200, 500, 2000, 5000, 50)
"""Where there isn't room for all, the first ones have it."""
_GRID_DB = (-30.0, -60.0)
_SCALE_WIDTH = 4

_BLANK, _GRID, _BEFORE, _ADDED, _RESTORED, _LOWERED = range(6)
_INKS = ("text", "line", "before", "added", "restored", "lowered")


class SpectrumPlot(Painted):
    """Draws the newest `Spectra`; the bands are as wide as the ear hears them."""

    def __init__(self) -> None:
        super().__init__()
        signs = {"before": "before", "added": "after: added", "restored": "after: restored band"}
        legend = "  ".join(f"[$ink-{ink}]█[/] {words}" for ink, words in signs.items())
        self.border_title = f"spectrum  {legend}"
        self._spectra: Spectra | None = None
        self._levels = np.full((2, 1), _BOTTOM_DB)
        self._restored = np.zeros(1)

    def show(self, spectra: Spectra, elapsed_s: float) -> None:
        """Move on to newer spectra.

        Args:
            spectra: of this moment.
            elapsed_s: since the last ones.
        """
        newest = np.stack([spectra.before_db, spectra.after_db])
        if self._levels.shape != newest.shape:
            self._levels, self._restored = newest, spectra.restored.astype(np.float64)
        self._levels = np.maximum(newest, self._levels - _FALL_DB_PER_S * elapsed_s)
        self._restored += (1.0 - np.exp(-elapsed_s / _RESTORED_S)) * (spectra.restored - self._restored)
        self._spectra = spectra
        self.repaint()

    def paint(self, width: int, height: int) -> list[Line]:
        """The plot, a scale in decibels at its left and one of frequencies below."""
        plot_width, plot_height = width - _SCALE_WIDTH, height - 1
        if plot_width < 8 or plot_height < 2 or self._spectra is None:
            return []
        glyphs, inks = self._cells(plot_width, plot_height)
        scale = _decibel_scale(plot_height)
        rows = [[(scale[y], "faint"), *_runs(glyphs[y], inks[y])] for y in range(plot_height)]
        return [*rows, [(" " * _SCALE_WIDTH + _frequency_scale(self._spectra.edges_hz, plot_width), "faint")]]

    def _cells(self, width: int, height: int) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
        """Characters and inks of the plot, `(height, width)`, top row first; `_INKS` by 8 behind `_INKS`."""
        n_bands = self._levels.shape[1]
        places = (np.arange(width) + 0.5) / width * n_bands - 0.5
        bands = np.clip(np.round(places).astype(int), 0, n_bands - 1)
        before, after = (
            _eighths(np.interp(places, np.arange(n_bands), levels_db), height) for levels_db in self._levels
        )
        upper = np.where(after > before, np.where(self._restored[bands] > 0.5, _RESTORED, _ADDED), _LOWERED)
        bottoms = 8 * np.arange(height - 1, -1, -1)[:, None]
        low = np.clip(np.minimum(before, after) - bottoms, 0, 8)
        high = np.clip(np.maximum(before, after) - bottoms, 0, 8)
        # A cell has two colours: where three meet, the space above wins, or else what is the thicker of the two.
        is_two = (low > 0) & (low < 8) & (high == 8)
        is_upper = (low < 8) & ~is_two & (high - low >= low)
        front = np.where(is_upper, upper[None, :], _BEFORE)
        behind = np.where(is_two, upper[None, :], _BLANK)
        heights = np.where(is_two, low, high)
        is_blank = heights == 0
        inks = np.where(is_blank, _GRID, front) + 8 * np.where(is_blank, _BLANK, behind)
        glyphs = EIGHTHS[heights]
        for level_db in _GRID_DB:
            row = _row_of(level_db, height)
            glyphs[row] = np.where(is_blank[row], "┈", glyphs[row])
        return glyphs, inks


def _eighths(levels_db: NDArray[np.float64], height: int) -> NDArray[np.int64]:
    """Heights of columns in eighths of a cell."""
    shares = (levels_db - _BOTTOM_DB) / (_TOP_DB - _BOTTOM_DB)
    return np.round(np.clip(shares, 0.0, 1.0) * 8 * height).astype(np.int64)


def _runs(glyphs: NDArray[np.str_], inks: NDArray[np.int64]) -> Line:
    """Stretches of one ink as text."""
    text = "".join(glyphs.tolist())
    cuts = [0, *(np.flatnonzero(np.diff(inks)) + 1).tolist(), len(text)]
    return [
        (text[begin:end], _name(int(inks[begin]))) for begin, end in pairwise(cuts)
    ]  # fmt: skip


def _name(ink: int) -> str:
    behind, front = divmod(ink, 8)
    return f"{_INKS[front]} on {_INKS[behind]}" if behind else _INKS[front]


def _row_of(level_db: float, height: int) -> int:
    """The row, from the top, in which a level lies."""
    return min(int((_TOP_DB - level_db) / (_TOP_DB - _BOTTOM_DB) * height), height - 1)


def _decibel_scale(height: int) -> list[str]:
    marks = {_row_of(level_db, height): f"{level_db:.0f}" for level_db in (_BOTTOM_DB, *_GRID_DB[::-1], _TOP_DB)}
    return [f"{marks.get(y, ''):>{_SCALE_WIDTH - 1}} " for y in range(height)]


def _frequency_scale(edges_hz: NDArray[np.float64], width: int) -> str:
    cells = [" "] * width
    for mark_hz in _MARKS_HZ:
        place = float(np.interp(mark_hz, edges_hz, np.linspace(0.0, width, len(edges_hz))))
        text = f"{mark_hz // 1000}k" if mark_hz >= 1000 else str(mark_hz)
        begin = min(max(round(place) - len(text) // 2, 0), width - len(text))
        if all(cell == " " for cell in cells[max(begin - 1, 0) : begin + len(text) + 1]):
            cells[begin : begin + len(text)] = text
    return "".join(cells)
