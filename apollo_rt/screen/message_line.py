"""Message lines show what the engine says, newest last: a few on the screen, all of them in a log of their own."""

import time
from dataclasses import dataclass

from apollo_rt.screen.painted import Line, Painted, cut

MOST_KEPT = 500


@dataclass(frozen=True)
class Said:
    """One message, and when it came, as the clock on the wall has it."""

    text: str
    clock: str


class MessageLine(Painted):
    """The newest messages that there is room for.

    Attributes:
        said: all that are kept.
        quiet: what stands there while nothing was said.
    """

    def __init__(self) -> None:
        super().__init__()
        self.quiet = ""
        self.border_title = "messages"
        self.said: list[Said] = []

    def add(self, texts: list[str]) -> None:
        """Say something more."""
        clock = time.strftime("%H:%M:%S")
        self.said = [*self.said, *(Said(text, clock) for text in texts)][-MOST_KEPT:]
        self.repaint()

    def paint(self, width: int, height: int) -> list[Line]:
        """Time and text; the last line tells how many more there are."""
        shown = self.said[-height:]
        lines: list[Line] = [
            [(f" {said.clock} ", "faint"), (cut(said.text, max(width - 11, 1)).rstrip(), "warm")] for said in shown
        ]
        n_more = len(self.said) - len(shown)
        if n_more and lines:
            more = f"  (m: {n_more} more) "
            (clock, text) = lines[-1]
            lines[-1] = [clock, (cut(text[0], max(width - 11 - len(more), 1)), "warm"), (more, "faint")]
        return lines or [[(f" {self.quiet}", "faint")]]
