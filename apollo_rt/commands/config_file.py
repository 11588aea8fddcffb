"""`--config FILE`: options of a command from a YAML file, by their long names; a mistake is told with its line.

    output: Headphones
    app: [firefox, mpv]
    mix: 0.8
    no-reconnect: true

What the command line or the environment says wins.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from apollo_rt.control.arguments import shown
from apollo_rt.control.yaml_file import key_lines, read_mapping
from apollo_rt.errors import ControlError

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_NOT_THERE = ("help", "config", "fresh")


def config_option(command: Decorated) -> Decorated:
    """`--config`: what it holds becomes the defaults of the command."""
    return click.option(
        "--config", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE", is_eager=True,
        expose_value=False, callback=_take, help="Take options from a YAML file, one a line, such as `mix: 0.8`.",
    )(command)  # fmt: skip


def _take(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is not None:
        try:
            values = read_options(path, context)
        except ControlError as error:
            raise click.UsageError(str(error), context) from None
        context.default_map = {**(context.default_map or {}), **values}


def read_options(path: Path, context: click.Context) -> dict[str, Any]:
    """Read the options that a file holds, by the names of the command's parameters.

    Args:
        path: of the file.
        context: of the command.

    Raises:
        ControlError: it can't be read, or an option is unknown, or has a value that is not allowed: file and line.
    """
    content = read_mapping(path)
    lines, options = key_lines(path), options_by_name(context.command)
    values = {}
    for name, value in content.items():
        where = f"{path}, line {lines.get(str(name), 1)}"
        if name not in options:
            raise ControlError(f"{where}: option must be one of {', '.join(sorted(options))}, got {shown(name)}")
        option = options[name]
        try:
            values[option.name or ""] = _checked(option, value, context)
        except (click.BadParameter, TypeError, ValueError) as error:
            reason = error.format_message() if isinstance(error, click.ClickException) else error
            raise ControlError(f"{where}: {name}: {reason}") from None
    return values


def options_by_name(command: click.Command) -> dict[str, click.Option]:
    """Options of a command that a file may hold, by their long names without dashes."""
    named = {}
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            long = next((name for name in option.opts if name.startswith("--")), "")
            named[long.removeprefix("--")] = option
    return {name: option for name, option in named.items() if name not in _NOT_THERE}


def _checked(option: click.Option, value: Any, context: click.Context) -> Any:
    """A value as the option's default; its type has been tried on it."""
    if option.is_flag:
        return _flag(option, value)
    if value is True and isinstance(option.flag_value, str | int):  # a value that need not be given
        return option.flag_value
    if option.multiple:
        wanted: Any = [_text(entry) for entry in (value if isinstance(value, list) else [value])]
    else:
        wanted = _text(value)
    option.type_cast_value(context, wanted)
    return wanted


def _flag(option: click.Option, value: Any) -> Any:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, got {shown(value)}")
    return not value if option.flag_value is False else value


def _text(value: Any) -> str:
    """A value as it would be typed."""
    if isinstance(value, Mapping | list) or value is None:
        raise ValueError(f"must be one value, got {shown(value)}")
    return str(value).lower() if isinstance(value, bool) else str(value)
