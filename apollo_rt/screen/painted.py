"""A widget that is drawn line by line, of which only the lines that changed are drawn again."""

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from apollo_rt.printable import printable
from apollo_rt.screen.palette import INKS

Line = list[tuple[str, str]]
"""Runs of text, each with its ink: a name of `palette.INKS`, or two as `before on added`."""

EIGHTHS = np.array(list(" ▁▂▃▄▅▆▇█"))
"""Characters that fill a cell from below."""
_FULL_CELLS = re.compile("█+|[^█]+")


class Painted(Widget):
    """A widget shows what `paint` returns, in the palette's inks; `repaint` asks whether that has changed."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"ink--{ink}" for ink in INKS}
    DEFAULT_CSS = "\n".join(f"Painted > .ink--{ink} {{ color: $ink-{ink}; }}" for ink in INKS)

    def __init__(self, widget_id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=widget_id, classes=classes)
        self._lines: list[Line] = []

    def paint(self, width: int, height: int) -> list[Line]:
        """The lines as they should be now; what is too wide or too much is cut.

        Args:
            width: cells.
            height: lines.
        """
        raise NotImplementedError

    def repaint(self) -> None:
        """Draw the lines that are others than those on the screen: drawing is what costs."""
        width, height = self.size
        if not width or not height:
            return
        lines = self.paint(width, height)[:height]
        lines += [[] for _ in range(height - len(lines))]
        changed = [y for y, line in enumerate(lines) if y >= len(self._lines) or line != self._lines[y]]
        self._lines = lines
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        """One line, for Textual."""
        runs = self._lines[y] if y < len(self._lines) else []
        strip = Strip([segment for text, name in runs if text for segment in self._segments(text, name)])
        return strip.adjust_cell_length(self.size.width, self.rich_style)

    def _segments(self, text: str, name: str) -> Iterator[Segment]:
        """A run as Textual takes it. Full cells are background: a font's block may leave a gap to the next line."""
        style = self.ink(name)
        text = printable(text)  # names, and what is said of them
        if "█" not in text:
            yield Segment(text, style)
            return
        full = style + Style(bgcolor=style.color)
        for part in _FULL_CELLS.findall(text):
            yield Segment(" " * len(part), full) if part[0] == "█" else Segment(part, style)

    def ink(self, name: str) -> Style:
        """The style of an ink, or of one on another."""
        front, _, behind = name.partition(" on ")
        style = self.get_component_rich_style(f"ink--{front}")
        return style + Style(bgcolor=self.get_component_rich_style(f"ink--{behind}").color) if behind else style

    def on_resize(self, _: Resize) -> None:
        """Draw everything for the new size."""
        self._lines = []
        self.repaint()


def columns(shares: Sequence[float] | NDArray[np.float64]) -> str:
    """One column per share, one line high; what is above 0 is seen at least.

    Shape:
        (columns,), 0 to 1
    """
    heights = np.clip(np.ceil(8.0 * np.asarray(shares, np.float64)), 0, 8).astype(int)
    return "".join(EIGHTHS[heights].tolist())


def cut(text: str, width: int) -> str:
    """A text of exactly so many cells; what is cut off ends in dots."""
    return text[: width - 1] + "…" if len(text) > width else text.ljust(width)
