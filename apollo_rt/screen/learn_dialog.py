"""MIDI learn: a knob is moved, and from then on it moves a parameter."""

from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from apollo_rt.control.parameter_row import Parameter
from apollo_rt.screen.dialog import Dialog

_POLL_S = 0.2


class LearnDialog(Dialog[bool]):
    """Waits until a controller has been bound; answers whether one was.

    Args:
        row: what it is to move.
        midi: tells what is bound to what: the reply of the command `midi`.
        take_moved: binds the controller that moved last.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "take", "take the one that moved last")]

    def __init__(self, row: Parameter, midi: Callable[[], dict[str, Any]], take_moved: Callable[[], Any]) -> None:
        super().__init__()
        self._row, self._midi, self._take_moved = row, midi, take_moved
        self._moved = str(midi().get("moved", ""))

    def compose(self) -> ComposeResult:
        """Text that says what to do."""
        box = Vertical(
            Static(f"Move the knob, fader or button that shall move {self._row.name}.", markup=False),
            Static(f"{self._row.description} {self._row.bounds_text}.", classes="hint", markup=False),
            Static(f"Enter takes the one that moved last: {self._moved}." if self._moved else "", markup=False),
            classes="box",
        )
        box.border_title, box.border_subtitle = "MIDI learn", "Esc gives up"
        yield box

    def on_mount(self) -> None:
        """Poll whether somebody has moved one."""
        self._polling = self.set_interval(_POLL_S, self._poll)

    def action_take(self) -> None:
        """Bind the one that moved before this box was opened."""
        if self._moved:
            self._take_moved()

    def _poll(self) -> None:
        if self._midi().get("learning") is None:
            self._polling.stop()  # a slow screen may be asked to look once more while it closes
            self.dismiss(True)
