"""Tables as Markdown, and values as people read them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NOTHING = "-"


def text(value: Any) -> str:
    """A value in a cell."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    return str(value).replace("|", "/")


def _number(value: float) -> str:
    """Three digits that count, never an exponent."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.01 or not size else 5
    shown = f"{value:.{digits}f}"
    return "0" if not float(shown) else shown


def markdown(rows: Sequence[Mapping[str, Any]], columns: Iterable[str] | None = None) -> str:
    """A table; columns that are empty in all rows are left out."""
    names = list(columns) if columns else list(dict.fromkeys(name for row in rows for name in row))
    kept = [name for name in names if any(row.get(name) not in (None, "") for row in rows)]
    head = f"| {' | '.join(kept)} |\n|{'|'.join(['---'] * len(kept))}|"
    lines = (f"| {' | '.join(text(row.get(name)) for name in kept)} |" for row in rows)
    return "\n".join([head, *lines])
