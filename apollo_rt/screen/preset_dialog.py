"""Presets: load one, keep the present values as one, remove one."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.markup import escape
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from apollo_rt.printable import printable
from apollo_rt.screen.dialog import Dialog

Request = tuple[str, str]
"""A command's name and a preset's."""


class PresetDialog(Dialog[Request]):
    """Answers with what to do: `load_preset`, `save_preset` or `delete_preset`, and with which.

    Args:
        names: the presets there are.
        current: the one that was loaded or saved last.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("delete", "delete", "remove"),
        Binding("s", "save", "save"),
    ]

    def __init__(self, names: Sequence[str], current: str | None) -> None:
        super().__init__()
        self._names, self._current = list(names), current

    def compose(self) -> ComposeResult:
        """The list, and a line for a new name."""
        options = [Option(f"{'▸' if name == self._current else ' '} {escape(printable(name))}") for name in self._names]
        empty = "" if options else "No presets yet. Type a name below to keep the present settings as one."
        box = Vertical(
            Static(empty, classes="hint"),
            OptionList(*options),
            Input(self._current or "", placeholder="name, to save the present settings under", select_on_focus=False),
            classes="box",
        )
        box.border_title = "presets"
        box.border_subtitle = "Enter loads, Del removes, s or Tab to save, Esc closes"
        yield box

    def on_mount(self) -> None:
        """Begin where there is something to choose."""
        choices, entry = self.query_one(OptionList), self.query_one(Input)
        if not self._names:
            choices.display = False
            entry.focus()
            return
        choices.highlighted = self._names.index(self._current) if self._current in self._names else 0
        choices.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Load."""
        self.dismiss(("load_preset", self._names[event.option_index]))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Save."""
        if event.value.strip():
            self.dismiss(("save_preset", event.value.strip()))

    def action_save(self) -> None:
        """Go where the name is typed."""
        self.query_one(Input).focus()

    def action_delete(self) -> None:
        """Remove the preset under the cursor."""
        index = self.query_one(OptionList).highlighted
        if self.query_one(OptionList).has_focus and index is not None:
            self.dismiss(("delete_preset", self._names[index]))
