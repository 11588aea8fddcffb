"""The options by which a live run is controlled from beside its screen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from apollo_rt.control.parameter_table import PARAMETERS

_PORT = 8765

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass(frozen=True)
class ControlOptions:
    """Wishes of the user for what controls a run.

    Attributes:
        preset: name or file to begin with.
        overrides: parameters that were given beside it, by name: they win.
        midi: a port's name or a part of it, or `virtual`.
        midi_map: file of bindings; None: the user's own.
        control_port: of the control socket, 0: any; None: there is none.
        control_token_file: holds what its clients have to show, or will; None: a new token is made.
        record: folder for what comes in and what is heard.
        split_titles: a radio's titles get files of their own there.
    """

    preset: str | None = None
    overrides: Mapping[str, float] = field(default_factory=dict)
    midi: str | None = None
    midi_map: Path | None = None
    control_port: int | None = None
    control_token_file: Path | None = None
    record: Path | None = None
    split_titles: bool = False


def control_options(command: Decorated) -> Decorated:
    """Add the options to a command; `take_control_options` takes them out of what it is given."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_control_options(options: dict[str, Any], context: click.Context) -> ControlOptions:
    """Take the options out of a command's arguments.

    Args:
        options: by name; those of parameters stay in it.
        context: tells which were given.
    """
    names = {row.name for row in PARAMETERS} & options.keys()
    given = {name for name in names if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    own = {entry.name for entry in fields(ControlOptions)} & options.keys()
    return ControlOptions(
        overrides={name: float(options[name]) for name in given}, **{name: options.pop(name) for name in own}
    )


def _refuse_token(context: click.Context, option: click.Parameter, token: str | None) -> None:
    """`--control-token TEXT` is gone, from the environment too.

    Raises:
        UsageError: it was given.
    """
    if token is not None:
        raise click.UsageError(
            "--control-token is gone, since every list of processes shows it: "
            "write the token into a file that only you can read, and give --control-token-file FILE",
            context,
        )


_OPTIONS = (
    click.option("--preset", metavar="NAME|FILE", help="Begin with a preset's values; other options win over it."),
    click.option("--midi", metavar="PORT", help="Be controlled by a MIDI port (its name or part of it), or virtual."),
    click.option(
        "--midi-map", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
        help="What is bound to what; learnt bindings are written there.",
    ),
    click.option(
        "--control", "control_port", is_flag=False, flag_value=_PORT, type=click.IntRange(0, 65_535), metavar="[PORT]",
        help=f"Serve a page and a socket for control on this machine, at port {_PORT} if none is given; 0: any.",
    ),
    click.option("--control-token", hidden=True, expose_value=False, callback=_refuse_token),
    click.option(
        "--control-token-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
        help="A file with what clients have to show, readable by you alone; made if it is missing.",
    ),
    click.option(
        "--record", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
        help="Record what comes in and what is heard there, as two FLAC files in step.",
    ),
    click.option("--split-titles", is_flag=True, help="With --record: each title of a stream gets tagged files."),
)  # fmt: skip
