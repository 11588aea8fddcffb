"""The options for a live run's own virtual sink: `--sink`, `--app` and `--all`."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--sink", "sink_name", is_flag=False, flag_value="Apollo RT", metavar="[NAME]",
        help="Linux: make a sink of that name (Apollo RT), and restore what is played to it.",
    ),
    click.option(
        "--app", "apps", multiple=True, metavar="NAME",
        help="Linux: move that application's sound to the sink, now and when it plays again; repeatable.",
    ),
    click.option("--all", "takes_all", is_flag=True, help="Linux: move the sound of all applications to the sink."),
)  # fmt: skip


def sink_options(command: Command) -> Command:
    """Add the options to a command; `take_sink_options` takes them out of what it is given."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_sink_options(options: dict[str, Any], context: click.Context) -> dict[str, Any]:
    """Take the options out of a command's arguments: those of `own_sink.SinkOptions`.

    Raises:
        UsageError: an input was given beside them.
    """
    own = {"name": options.pop("sink_name"), "apps": options.pop("apps"), "takes_all": options.pop("takes_all")}
    given = next((name for name, value in zip(("--sink", "--app", "--all"), own.values(), strict=True) if value), None)
    if given and context.get_parameter_source("source") is not ParameterSource.DEFAULT:
        raise click.UsageError(
            f"{given} makes the input: leave --input {options['source']} out, or {given}", context
        )  # fmt: skip
    return own
