"""A dialog lies over the screen for a while: a box with a title that Escape closes."""

from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer | None]):
    """Base of all boxes; its content stands in a container of the class `box`."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "close")]
    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog .box {
        width: 74; max-width: 100%; height: auto; max-height: 100%; padding: 0 1;
        background: $surface; border: round $ink-accent; border-title-color: $ink-accent;
        border-subtitle-color: $ink-faint;
    }
    Dialog .hint { color: $ink-faint; height: auto; }
    Dialog .trouble { color: $ink-hot; height: auto; }
    Dialog Input { border: tall $ink-line; background: $surface; height: 3; }
    Dialog Input:focus { border: tall $ink-accent; }
    Dialog OptionList { background: $surface; border: none; height: auto; max-height: 12; padding: 0; }
    """

    def action_close(self) -> None:
        """Close without an answer."""
        self.dismiss(None)


class PageDialog(Dialog[None]):
    """Text to read.

    Args:
        title: of the box.
        text: in Textual's markup.
        keys: further keys that close it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,enter,question_mark,m", "close", "close", show=False),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        """Lay it out."""
        box = VerticalScroll(Static(self._text), classes="box")
        box.border_title, box.border_subtitle = self._title, "Esc closes"
        yield box

    def on_mount(self) -> None:
        """Let the arrow keys scroll, and begin with what is newest at the end of a log."""
        self.query_one(".box").focus()
