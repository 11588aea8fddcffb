"""Options of the last live run, taken up where this one says nothing; and the options in force, in words."""

from typing import Any

import click
from click.core import ParameterSource

from apollo_rt.commands.config_file import options_by_name, read_options
from apollo_rt.console.say import say
from apollo_rt.control.parameter_table import PARAMETERS
from apollo_rt.errors import ControlError

_INPUTS = {"source", "sink_name", "apps", "takes_all"}
"""Ways to say what is captured: one that is given leaves no room for the others."""

_SOURCES = {
    ParameterSource.COMMANDLINE: "command line",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.DEFAULT_MAP: "--config",
}


def take_up(options: dict[str, Any], context: click.Context) -> tuple[str, ...]:
    """Put what the last run left into a run's options, where nobody says otherwise.

    Args:
        options: of the run, by name; changed.
        context: tells which of them were given.

    Returns:
        What was taken up, in words; nothing where that is what the options say anyway.
    """
    from apollo_rt.session.kept_state import state_path

    path = state_path()
    if not path.exists():
        return ()
    try:
        kept = read_options(path, context)
    except ControlError as error:
        say(f"warning: nothing is taken up from the last run: {error}", err=True)
        return ()
    given = {name for name in options if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    shut = given | (_INPUTS if given & _INPUTS else set())
    shut |= {row.name for row in PARAMETERS} if options["preset"] else set()
    by_name = {option.name: (name, option) for name, option in options_by_name(context.command).items()}
    taken = []
    for name, text in kept.items():
        long, option = by_name[name]
        value = option.type_cast_value(context, text)
        if name not in shut and value != options[name]:
            options[name] = value
            taken.append(f"{long} {', '.join(text) if isinstance(text, list) else text}")
    return (f"taken up from the last run: {'; '.join(taken)} (--fresh begins without)",) if taken else ()


def in_force(options: dict[str, Any], context: click.Context) -> tuple[str, ...]:
    """Options that are not the default, and who said so, in words."""
    lines = []
    for long, option in options_by_name(context.command).items():
        source = context.get_parameter_source(option.name or "")
        if source in _SOURCES:
            lines.append(f"--{long} {options.get(option.name or '')} ({_SOURCES[source]})")
    return (f"options in force: {', '.join(lines)}",) if lines else ()
