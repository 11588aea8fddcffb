"""`apollo-rt ctl`: one command of the control table, run in a live run of this user."""

import json
from pathlib import Path
from typing import Any

import click

from apollo_rt.console.say import say
from apollo_rt.control.arguments import CHOICE, NUMBER, Argument
from apollo_rt.control.command_row import Command
from apollo_rt.control.commands import COMMANDS
from apollo_rt.control.yaml_file import yaml_text
from apollo_rt.errors import ControlError

_WORDS = {"on": 1.0, "off": 0.0}


class _Number(click.ParamType[float]):
    """A number, or `on` and `off` for a switch."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return _WORDS[value] if value in _WORDS else float(value)
        except ValueError:
            self.fail(f"must be a number, on or off, got {value!r}", param, ctx)


@click.group(short_help="Control a live run from a script or a shortcut.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Of the run that is meant; the newest, if not given.")
@click.option(
    "--token-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="The token of a run of another user; needs --port.",
)  # fmt: skip
def ctl(**_: object) -> None:
    """Control a live run that was started with --control, such as: ctl toggle bypass, ctl set mix 0.8, ctl status.

    The commands are those of the control socket (docs/control.md).
    """


def _run(row: Command, context: click.Context, as_json: bool, given: dict[str, Any]) -> None:
    from apollo_rt.control.socket.access import token_from_file
    from apollo_rt.control.socket.control_client import ControlClient

    assert context.parent is not None
    port, token_file = context.parent.params["port"], context.parent.params["token_file"]
    if token_file and port is None:
        raise ControlError("--token-file needs --port: of the run whose token it holds")
    client = (
        ControlClient(port, token_from_file(token_file)) if token_file else ControlClient.of_newest_run(port)
    )  # fmt: skip
    with client as run:
        reply = run.run(row.name, **{name: value for name, value in given.items() if value is not None})
    text = json.dumps(reply, indent=2) if as_json else yaml_text(reply)
    say(*text.rstrip().splitlines())


def _command(row: Command, name: str) -> click.Command:
    """A subcommand whose arguments are those of the row, in their order."""

    @click.pass_context
    def run(context: click.Context, /, as_json: bool, **given: Any) -> None:
        _run(row, context, as_json, given)

    described = "".join(f"\n\n{argument.name.upper()}: {argument.description}" for argument in row.arguments)
    options = [click.Option(["--json", "as_json"], is_flag=True, help="Print the answer as JSON.")]
    return click.Command(
        name, callback=run, params=[*map(_parameter, row.arguments), *options], help=row.description + described,
        short_help=row.description, context_settings={"ignore_unknown_options": True},  # -1 is a number
    )  # fmt: skip


def _parameter(argument: Argument) -> click.Parameter:
    kind: click.ParamType[Any] = click.STRING
    if argument.kind == NUMBER:
        kind = _Number()
    elif argument.kind == CHOICE:
        kind = click.Choice(argument.choices)
    return click.Argument([argument.name], type=kind, required=argument.is_required)


for _row in COMMANDS:
    if _row.handler is not None:  # those without one belong to a connection that stays
        ctl.add_command(_command(_row, _row.name.replace("_", "-")))
        if _row.name == "stats":
            ctl.add_command(_command(_row, "status"))
