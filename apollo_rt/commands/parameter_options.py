"""`--mix`, `--strength` and their kin: one option for each row of the table of parameters."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from apollo_rt.control.parameter_row import Parameter
from apollo_rt.control.parameter_table import PARAMETERS

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class _Value(click.ParamType[float]):
    """A value of one row: a number within its bounds, or what its minimum means."""

    name = "value"

    def __init__(self, row: Parameter) -> None:
        self._row = row

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """From a text, or from a default."""
        try:
            return self._row.parse(value) if isinstance(value, str) else self._row.check(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def parameter_options(command: Decorated) -> Decorated:
    """Add the options to a command; `take_parameters` takes them out of what it is given."""
    for row in reversed(PARAMETERS):
        command = _option(row)(command)
    return command


def take_parameters(options: dict[str, Any]) -> dict[str, float]:
    """Take the values out of a command's arguments, by name; their options have checked them."""
    return {row.name: float(options.pop(row.name)) for row in PARAMETERS}


def _option(row: Parameter) -> Callable[[Decorated], Decorated]:
    flag = "--" + row.name.replace("_", "-")
    if row.is_switch:
        return click.option(flag, row.name, is_flag=True, default=bool(row.default), help=row.description)
    text = f"{row.description} {row.bounds_text}; {row.text(row.default)} if not given."
    return click.option(
        flag, row.name, type=_Value(row), default=row.default, metavar=row.unit.upper() or "X", help=text
    )
