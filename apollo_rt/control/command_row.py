"""One row of the table of commands."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apollo_rt.control.arguments import Argument, shown
from apollo_rt.control.controllable import Controllable, Reply
from apollo_rt.control.parameter_row import Parameter


@dataclass(frozen=True)
class Command:
    """One row of the table.

    Attributes:
        name: of the command.
        description: one sentence for help texts.
        arguments: what it takes.
        handler: does it; None: it is about the connection that it came by, which answers itself.
        is_whole: it changes several values, or one by what it was: no other change may come between.
    """

    name: str
    description: str
    arguments: tuple[Argument, ...]
    handler: Callable[[Controllable, dict[str, Any]], Reply] | None
    is_whole: bool = False

    def schema(self) -> dict[str, Any]:
        """The arguments in the words of JSON Schema."""
        return {
            "type": "object",
            "description": self.description,
            "properties": {argument.name: argument.schema() for argument in self.arguments},
            "required": [argument.name for argument in self.arguments if argument.is_required],
            "additionalProperties": False,
        }


def row_of(target: Controllable, name: str) -> Parameter:
    """The parameter called `name`.

    Raises:
        ValueError: there is none.
    """
    for row in target.rows():
        if row.name == name:
            return row
    raise ValueError(f"parameter must be one of {', '.join(row.name for row in target.rows())}, got {shown(name)}")
