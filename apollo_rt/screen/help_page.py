"""All keys, what the mouse does, and every parameter, from the tables that the screen itself is made of."""

from collections.abc import Iterable, Iterator, Sequence

from textual.binding import Binding, BindingType
from textual.keys import format_key

from apollo_rt.control.parameter_row import Parameter

_MOUSE = (
    ("click or drag a slider", "set the parameter"),
    ("click a switch", "turn it on or off"),
    ("click a value", "type another"),
    ("double click a name", "back to the default"),
    ("wheel over a slider", "a step up or down"),
    ("click in the bottom line", "the same as its key"),
)
_WIDTH = 26


def help_text(screen: Iterable[BindingType], table: Iterable[BindingType], rows: Sequence[Parameter]) -> str:
    """The page in Textual's markup.

    Args:
        screen: bindings that hold everywhere.
        table: bindings of the table of parameters.
        rows: the parameters.
    """
    return "\n".join(
        [
            *_section("everywhere", _keys(screen)),
            *_section("parameters", [*_keys(table), ("0 to 9", "type a value")]),
            *_section("mouse", _MOUSE),
            *_section("what they do", ((row.name, f"{row.description} {row.bounds_text}.") for row in rows)),
        ]
    )


def _keys(bindings: Iterable[BindingType]) -> Iterator[tuple[str, str]]:
    for binding in bindings:
        assert isinstance(binding, Binding)
        keys = binding.key_display or " ".join(format_key(key) for key in binding.key.split(","))
        yield keys, binding.tooltip or binding.description


def _section(title: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"[bold $ink-accent]{title}[/]"
    for name, text in rows:
        yield f"  [$ink-strong]{escape(f'{name:<{_WIDTH}}')}[/]{escape(text)}"
    yield ""


def escape(text: str) -> str:
    """Keep every bracket: Textual's own `escape` leaves one that stands alone, which joins with the tag behind it."""
    return text.replace("[", "\\[")
