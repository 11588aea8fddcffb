"""The top line: from where to where, with which model, and what is heard just now."""

from apollo_rt.screen.painted import Line, Painted, cut


class Headline(Painted):
    """One line; where it is too short, the names of the endpoints are cut, never what is heard."""

    def __init__(self) -> None:
        super().__init__()
        self._what: tuple[tuple[str, str], str, str, str, str] = (("", ""), "", "", "", "text")

    def show(self, endpoints: tuple[str, str], model: str, slot: str, state: tuple[str, str]) -> None:
        """Change what it says.

        Args:
            endpoints: input and output.
            model: its name and tier.
            slot: A or B.
            state: what is heard, and its ink.
        """
        self._what = (endpoints, model, slot, *state)
        self.repaint()

    def paint(self, width: int, height: int) -> list[Line]:
        """Names on the left, state on the right."""
        endpoints, model, slot, state, ink = self._what
        title = " Apollo RT "
        right = f" {state} "
        letters = [(f" {letter} ", "ground on accent" if letter == slot else "faint") for letter in "AB"]
        room = width - len(title) - len(right) - 8
        for_endpoints = room - len(model) - len("  →  · ")
        source, target = _fitted(endpoints, max(for_endpoints, 2))
        text = f" {source} → {target} · {model}"
        return [[(title, "ground on accent"), (cut(text, max(room, 1)), "text"), *letters, ("  ", "text"),
                 (right, f"ground on {ink}")]]  # fmt: skip


def _fitted(endpoints: tuple[str, str], width: int) -> tuple[str, str]:
    """Both names in so many cells: of files only the last part if need be, then what fits of the longer one."""
    if sum(map(len, endpoints)) > width:
        endpoints = (endpoints[0].rsplit("/", 1)[-1], endpoints[1].rsplit("/", 1)[-1])
    room = (max(width - len(endpoints[1]), width // 2), max(width - len(endpoints[0]), width - width // 2))
    source, target = (cut(name, most) if len(name) > most else name for name, most in zip(endpoints, room, strict=True))
    return source, target
