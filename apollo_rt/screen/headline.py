"""The top line: from where to where, with which model, and what is heard just now."""

from apollo_rt.screen.painted import Line, Painted, cut


class Headline(Painted):
    """One line; where it is too short, the names of the ends are cut, never what is heard."""

    def __init__(self) -> None:
        super().__init__()
        self._what: tuple[str, str, str, str, str] = ("", "", "", "", "text")

    def show(self, ends: tuple[str, str], model: str, slot: str, state: tuple[str, str]) -> None:
        """Change what it says.

        Args:
            ends: input and output.
            model: its name and tier.
            slot: A or B.
            state: what is heard, and its ink.
        """
        self._what = (f"{ends[0]} → {ends[1]}", model, slot, *state)
        self.repaint()

    def paint(self, width: int, height: int) -> list[Line]:
        """Names on the left, state on the right."""
        ends, model, slot, state, ink = self._what
        title = " Apollo RT "
        right = f" {state} "
        letters = [(f" {letter} ", "ground on accent" if letter == slot else "faint") for letter in "AB"]
        room = width - len(title) - len(right) - 8
        text = f" {ends} · {model}"
        if len(text) > room:
            text = f" {cut(ends, max(room - len(model) - 5, 1)).rstrip()} · {model}"
        return [[(title, "ground on accent"), (cut(text, max(room, 1)), "text"), *letters, ("  ", "text"),
                 (right, f"ground on {ink}")]]  # fmt: skip
