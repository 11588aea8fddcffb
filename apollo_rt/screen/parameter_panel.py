"""The parameters as sliders and switches, moved by key and by mouse; made from the one table of parameters."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click, Key, MouseDown, MouseMove, MouseScrollDown, MouseScrollUp, MouseUp
from textual.message import Message

from apollo_rt.control.parameter_row import Parameter
from apollo_rt.screen.painted import Line, Painted, cut

_NAME_WIDTH, _VALUE_WIDTH, _HINT_HEIGHT = 13, 9, 2
_FAST = 5
"""Steps that a key moves with Shift."""
_UNIT_SUFFIXES = ("_db", "_hz", "_ms", "_s", "_percent")


@dataclass
class Wish(Message):
    """The user wants a command run, see `control.commands`.

    Attributes:
        command: its name.
        arguments: by name.
    """

    command: str
    arguments: Mapping[str, Any]


@dataclass
class AskForValue(Message):
    """The user wants to type a value.

    Attributes:
        row: whose.
        text: what has been typed already.
    """

    row: Parameter
    text: str


class ParameterTable(Painted, can_focus=True):
    """Shows what `get` tells, and posts a `Wish` for each change.

    Args:
        rows: the parameters there are; there may be others later.
        get: tells a parameter's value.
        widget_id: for styles.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "choose(-1)", "previous parameter", show=False),
        Binding("down,j", "choose(1)", "next parameter", show=False),
        Binding("left,minus", "change(-1)", "a step down", show=False, key_display="←"),
        Binding("right,plus", "change(1)", "a step up", show=False, key_display="→"),
        Binding("shift+left,pagedown", f"change({-_FAST})", f"{_FAST} steps down", show=False),
        Binding("shift+right,pageup", f"change({_FAST})", f"{_FAST} steps up", show=False),
        Binding("home", "turn(0.0)", "lowest value", show=False),
        Binding("end", "turn(1.0)", "highest value", show=False),
        Binding("space", "press", "switch on or off, or type a value", show=False),
        Binding("enter", "press", "switch on or off, or type a value", show=False),
        Binding("backspace,delete", "reset", "back to the default", show=False),
        Binding("R", "reset_all", "all back to their defaults", show=False),
    ]

    def __init__(
        self, rows: Callable[[], Sequence[Parameter]], get: Callable[[str], float], widget_id: str | None = None
    ) -> None:
        super().__init__(widget_id)
        self._rows, self._get = rows, get
        self._cursor = self._first = 0
        self._dragged: Parameter | None = None

    @property
    def chosen(self) -> Parameter:
        """The row that keys move."""
        rows = self._rows()
        return rows[min(self._cursor, len(rows) - 1)]

    def paint(self, width: int, height: int) -> list[Line]:
        """A row for each parameter, and below them what the chosen one does."""
        rows, n_shown = self._rows(), self._n_shown(height)
        self._cursor = min(self._cursor, len(rows) - 1)
        self._first = min(max(self._first, self._cursor - n_shown + 1), self._cursor)
        lines = [self._row(rows[index], index, width) for index in range(self._first, len(rows))][:n_shown]
        lines += [[] for _ in range(n_shown - len(lines))]
        if height < n_shown + _HINT_HEIGHT:
            return lines
        row = self.chosen
        hint = textwrap.wrap(f"{row.description} {row.bounds_text}, {row.text(row.default)} at first.", width)
        if len(hint) > _HINT_HEIGHT:
            hint = textwrap.wrap(row.description, width, max_lines=_HINT_HEIGHT, placeholder="…")
        return [*lines, *([(text, "faint")] for text in hint[:_HINT_HEIGHT])]

    def _n_shown(self, height: int) -> int:
        """Rows of parameters on the screen; there is a hint where that leaves room for most of them."""
        return height - _HINT_HEIGHT if height >= _HINT_HEIGHT + 4 else height

    def _row(self, row: Parameter, index: int, width: int) -> Line:
        value = self._get(row.name)
        is_chosen = index == self._cursor and self.has_focus
        slider = _switch(row, value) if row.is_switch else _slider(row, value, self._slider_width(width))
        return [
            ("▸ " if is_chosen else "  ", "cursor"),
            (fitting_name(row, self._name_width(width)), "strong" if is_chosen else "text"),
            *slider,
            ("" if row.is_switch else f"{cut_left(row.text(value), _VALUE_WIDTH)} ", "text"),
        ]

    def _name_width(self, width: int) -> int:
        """The usual one; more for plugins' longer names, where there is room."""
        longest = max(len(shown_name(row)) for row in self._rows()) + 1
        return max(min(longest, width // 2 - 4), _NAME_WIDTH)

    def _slider_width(self, width: int) -> int:
        return max(width - 2 - self._name_width(width) - _VALUE_WIDTH - 1, 1)

    # --- keys --------------------------------------------------------------------------------------------------------

    def action_choose(self, n_rows: int) -> None:
        """Go to another row."""
        self._cursor = min(max(self._cursor + n_rows, 0), len(self._rows()) - 1)
        self.repaint()

    def action_change(self, n_steps: int) -> None:
        """Move the chosen parameter by its step."""
        self._wish("change", steps=n_steps)

    def action_turn(self, position: float) -> None:
        """Move the chosen parameter to a position of its knob."""
        self._wish("turn", position=position)

    def action_press(self) -> None:
        """Switch, or ask for a value."""
        if self.chosen.is_switch:
            self._wish("toggle")
        else:
            self.post_message(AskForValue(self.chosen, ""))

    def action_reset(self) -> None:
        """Bring the chosen parameter back to its default."""
        self._wish("reset")

    def action_reset_all(self) -> None:
        """Bring every parameter back to its default."""
        self.post_message(Wish("reset", {}))

    def on_key(self, event: Key) -> None:
        """A digit begins a value."""
        if event.character and event.character in "0123456789." and not self.chosen.is_switch:
            event.stop()
            self.post_message(AskForValue(self.chosen, event.character))

    def on_focus(self) -> None:
        """Show which row keys move."""
        self.repaint()

    def on_blur(self) -> None:
        """Keys move no row."""
        self.repaint()

    def _wish(self, command: str, **arguments: Any) -> None:
        self.post_message(Wish(command, {"name": self.chosen.name, **arguments}))

    # --- mouse -------------------------------------------------------------------------------------------------------

    def on_mouse_down(self, event: MouseDown) -> None:
        """Choose a row; on a slider, take its knob."""
        place = event.get_content_offset(self)
        row = self._row_at(place.y) if place else None
        if row is None or event.button != 1:
            return
        self._cursor = self._rows().index(row)
        self.repaint()
        if not row.is_switch and self._is_slider(place.x if place else 0):
            self._dragged = row
            self.capture_mouse()
            self._drag(place.x if place else 0)

    def on_mouse_move(self, event: MouseMove) -> None:
        """Move the knob that is held; it may have been let go of elsewhere, before the mouse was ours."""
        if self._dragged and event.button == 0:
            self._let_go()
        elif self._dragged:
            self._drag(event.x - self.gutter.left)

    def on_mouse_up(self, _: MouseUp) -> None:
        """Let go of the knob."""
        if self._dragged:
            self._let_go()

    def _let_go(self) -> None:
        self._dragged = None
        self.release_mouse()

    def on_click(self, event: Click) -> None:
        """Switch, ask for the value that is clicked on, or at the second click on a name go back to the default."""
        place = event.get_content_offset(self)
        row = self._row_at(place.y) if place else None
        if row is None or place is None:
            return
        first = 2 + self._name_width(self.size.width)
        if row.is_switch and place.x >= first:
            self._wish("toggle")
        elif place.x < first:
            if event.chain == 2:
                self._wish("reset")
        elif not self._is_slider(place.x):
            self.post_message(AskForValue(row, ""))

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """The wheel moves the parameter under the pointer up."""
        self._scroll(event, 1)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """The wheel moves the parameter under the pointer down."""
        self._scroll(event, -1)

    def _scroll(self, event: MouseScrollUp | MouseScrollDown, n_steps: int) -> None:
        place = event.get_content_offset(self)
        row = self._row_at(place.y) if place else None
        if row and not row.is_switch:
            event.stop()
            self._cursor = self._rows().index(row)
            self._wish("change", steps=n_steps)

    def _row_at(self, y: int) -> Parameter | None:
        rows, index = self._rows(), self._first + y
        return rows[index] if y < self._n_shown(self.size.height) and index < len(rows) else None

    def _is_slider(self, x: int) -> bool:
        first = 2 + self._name_width(self.size.width)
        return first <= x < first + self._slider_width(self.size.width)

    def _drag(self, x: int) -> None:
        assert self._dragged is not None
        position = (x - 2 - self._name_width(self.size.width)) / max(self._slider_width(self.size.width) - 1, 1)
        self.post_message(Wish("turn", {"name": self._dragged.name, "position": min(max(position, 0.0), 1.0)}))


def shown_name(row: Parameter) -> str:
    """A row's name as people write it: `air` of `air_db`, as its unit stands beside the value."""
    name = row.name
    for suffix in _UNIT_SUFFIXES:
        name = name.removesuffix(suffix)
    return name.replace("_", " ")


def fitting_name(row: Parameter, width: int) -> str:
    """A row's name in so many cells; of a plugin's, the plugin is cut before the parameter."""
    plugin, point, parameter = shown_name(row).partition(".")
    room = max(width - len(parameter) - 2, 4)
    if point and len(plugin) > room:
        plugin = f"{plugin[: room - 1]}…"
    return cut(f"{plugin}{point}{parameter}", width)


def cut_left(text: str, width: int) -> str:
    """A text at the right of so many cells."""
    return f"{cut(text, width) if len(text) > width else text:>{width}}"


def _slider(row: Parameter, value: float, width: int) -> Line:
    """A line with a knob on it; where it stands at first, a mark."""
    knob = round(row.position_of(value) * (width - 1))
    usual = round(row.position_of(row.default) * (width - 1))
    rest = "".join("┼" if x == usual else "─" for x in range(knob + 1, width))
    way = "".join("┿" if x == usual else "━" for x in range(knob))
    return [(way, "accent"), ("●", "strong"), (rest, "faint")]


def _switch(row: Parameter, value: float) -> Line:
    return [(f"●━ {row.text(value)}", "restored")] if value else [(f"━○ {row.text(value)}", "faint")]
