"""The blind test: hear input, restoration and X, say what X is, ten times."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from apollo_rt.screen.dialog import Dialog

Run = Callable[[str, Mapping[str, Any]], dict[str, Any]]

_NAMES = {"input": "A", "restored": "B", "X": "X"}
_HOW = (
    "X is A, the input, or B, the restoration, both equally loud.",
    "",
    "  [$ink-strong]a[/]  hear A        [$ink-strong]b[/]  hear B        [$ink-strong]x[/]  hear X",
    "  [$ink-strong]1[/]  X is A        [$ink-strong]2[/]  X is B",
)


class BlindDialog(Dialog[None]):
    """Shows a test that has begun, goes on with it, and ends it when it closes.

    Args:
        run: runs commands.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "hear('input')", "hear A"),
        Binding("b", "hear('restored')", "hear B"),
        Binding("x", "hear('X')", "hear X"),
        Binding("1", "answer('input')", "X is A"),
        Binding("2", "answer('restored')", "X is B"),
    ]

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self._status = Static(markup=False)

    def compose(self) -> ComposeResult:
        """Keys to press, and the state of the test."""
        box = Vertical(Static("\n".join(_HOW)), Static(""), self._status, classes="box")
        box.border_title, box.border_subtitle = "blind test", "Esc ends it"
        yield box

    def on_mount(self) -> None:
        """Show the first round."""
        self._show(self._run("blind_test", {}))

    def action_close(self) -> None:
        """End the test, finished or not."""
        self._run("end_blind_test", {})
        super().action_close()

    def action_hear(self, what: str) -> None:
        """Hear one of the three."""
        self._try("hear", what)

    def action_answer(self, what: str) -> None:
        """Say what X is."""
        self._try("answer", what)

    def _try(self, command: str, what: str) -> None:
        """Go on, unless the last round is over, or somebody else has ended the test."""
        state = self._run("blind_test", {})
        self._show(self._run(command, {"what": what}) if state["is_running"] else state)

    def _show(self, state: dict[str, Any]) -> None:
        if state["is_running"]:
            self._status.update(f"round {state['round']} of {state['rounds']}, you hear {_NAMES[state['heard']]}")
        else:
            self._status.update(state.get("text", "the test was ended"))
