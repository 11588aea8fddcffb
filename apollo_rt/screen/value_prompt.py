"""Typing a parameter's value."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Key
from textual.widgets import Input, Static

from apollo_rt.control.parameter_row import Parameter
from apollo_rt.screen.dialog import Dialog


class ValuePrompt(Dialog[float]):
    """Answers with a value that the parameter's row accepts; says what is wrong with any other.

    Args:
        row: whose value.
        value: the present one.
        text: what has been typed already.
    """

    def __init__(self, row: Parameter, value: float, text: str) -> None:
        super().__init__()
        self._row, self._value, self._text = row, value, text

    def compose(self) -> ComposeResult:
        """A line to type in, between what is asked for and what is wrong with it."""
        row = self._row
        hint = Static(f"{row.description} {row.bounds_text}.", classes="hint", markup=False)
        entry = Input(self._text, placeholder=row.text(self._value), select_on_focus=False)
        box = Vertical(hint, entry, Static("", classes="trouble", markup=False), classes="box")
        box.border_title, box.border_subtitle = row.name, "Enter sets, Esc leaves it"
        yield box

    def on_mount(self) -> None:
        """Go on behind what has been typed."""
        self.query_one(Input).cursor_position = len(self._text)

    def add(self, text: str) -> None:
        """Go on with what was typed before this box was there to take it."""
        if self.is_mounted:
            self.query_one(Input).insert_text_at_cursor(text)
        else:
            self._text += text

    def on_key(self, event: Key) -> None:
        """Lose no key of a quick typist, in the moment before the line has the focus."""
        if event.character and event.is_printable and not self.query_one(Input).has_focus:
            self.add(event.character)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the value, or say why not."""
        try:
            self.dismiss(self._row.parse(event.value) if event.value.strip() else None)
        except ValueError as error:
            self.query_one(".trouble", Static).update(str(error))
