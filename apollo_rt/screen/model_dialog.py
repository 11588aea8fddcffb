"""The model picker: which net restores, while it plays."""

from collections.abc import Mapping, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.markup import escape
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from apollo_rt.printable import printable
from apollo_rt.screen.dialog import Dialog


class ModelDialog(Dialog[str]):
    """Answers with the name of the model to go to.

    Args:
        models: what the command `models` lists.
    """

    def __init__(self, models: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self._models = list(models)

    def compose(self) -> ComposeResult:
        """The list."""
        box = Vertical(OptionList(*map(_option, self._models)), classes="box")
        box.border_title = "models that fit this run"
        box.border_subtitle = "Enter goes there, Esc closes"
        yield box

    def on_mount(self) -> None:
        """Begin at the one that plays now."""
        choices = self.query_one(OptionList)
        choices.highlighted = next((index for index, model in enumerate(self._models) if model["is_used"]), 0)
        choices.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go to a model."""
        self.dismiss(self._models[event.option_index]["name"])


def _option(model: Mapping[str, Any]) -> Option:
    title = "" if model["title"] == model["name"] else f", {model['title']}"
    return Option(f"{'▸' if model['is_used'] else ' '} {escape(printable(model['name'] + title))}")
