"""Options say what pipes hold: `--raw` and `--raw-output`."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from apollo_rt.files.raw_format import RawFormat

_Command = TypeVar("_Command", bound=Callable[..., Any])
_WAV = "wav"


class _Raw(click.ParamType[Any]):
    """`s16le,44100,2`."""

    name = "raw"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it; what was read before stays."""
        if not isinstance(value, str) or (value == _WAV and param and param.name == "raw_output"):
            return value
        try:
            return RawFormat.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def pipe_options(command: _Command) -> _Command:
    """Add the options to a command; `take_pipes` makes two formats of them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_pipes(options: dict[str, Any]) -> tuple[RawFormat | None, RawFormat | None]:
    """Take them out of a command's options: the forms of what is read and of what is written, None for a container."""
    raw, output = options.pop("raw"), options.pop("raw_output")
    return raw, None if output == _WAV else output or raw


_OPTIONS = (
    click.option(
        "--raw", type=_Raw(), metavar="FORMAT,RATE,CHANNELS",
        help="Samples without a header, as s16le,44100,2: of INPUT, unless its name is that of a music file, and of "
        "OUTPUT where it is a pipe.",
    ),
    click.option(
        "--raw-output", type=_Raw(), metavar="FORMAT,RATE,CHANNELS|wav",
        help="The same of OUTPUT alone. Pipes get a wav if neither is given.",
    ),
)  # fmt: skip
