"""`apollo-rt man`: a manual page of the whole program, made of its commands and options."""

import re
from collections.abc import Iterator

import click

from apollo_rt.console.say import say

_EXIT_CODES = (
    ("0", "all went well"),
    ("1", "something that can be mended; one line on stderr says what"),
    ("2", "wrong usage"),
    ("3 to 100", "restore: so many files failed"),
    ("130", "an interrupt (128 and the signal's number)"),
    ("141", "nobody reads the pipe any more that it writes to"),
)


@click.command("man", short_help="Print the manual page.")
@click.pass_context
def man(context: click.Context) -> None:
    """Print the manual page: apollo-rt man > ~/.local/share/man/man1/apollo-rt.1, then `man apollo-rt`."""
    say(*page(context.find_root().command))


def page(program: click.Command, name: str = "apollo-rt") -> Iterator[str]:
    """Lines of a program's manual page, in the macros of man(7).

    Args:
        program: with its commands.
        name: of the program.
    """
    context = click.Context(program, info_name=name)
    summary = (program.help or "").strip().partition("\n")[0].rstrip(".")
    yield f'.TH {name.upper()} 1 "" "" "User Commands"'
    yield from (".SH NAME", f"{_plain(name)} \\- {_plain(summary)}")
    yield from (".SH SYNOPSIS", f".B {_plain(name)}", _plain(" ".join(program.collect_usage_pieces(context))))
    yield ".SH DESCRIPTION"
    yield from _described(program, context)
    yield ".SH COMMANDS"
    for command, below in _commands(program, context):
        yield f'.SS "{_plain(below.command_path)} {_plain(" ".join(command.collect_usage_pieces(below)))}"'
        yield from _described(command, below)
    yield ".SH EXIT STATUS"
    for code, meaning in _EXIT_CODES:
        yield from (".TP", f".B {_plain(code)}", _plain(meaning))


def _commands(group: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Commands below a group, and those below them, each with its context."""
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command and not command.hidden:
            below = click.Context(command, info_name=name, parent=context)
            yield command, below
            yield from _commands(command, below)


def _described(command: click.Command, context: click.Context) -> Iterator[str]:
    """Text of a command's help, and its options."""
    for paragraph in re.split(r"\n\s*\n", (command.help or "").strip()):
        yield from (".PP", _plain(" ".join(paragraph.split())))
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if record and record[1]:
            yield from (".TP", f".B {_plain(record[0])}", _plain(" ".join(record[1].split())))


def _plain(text: str) -> str:
    """Text that troff sets as it stands: no escape, no hyphen of typography, no line that is a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
