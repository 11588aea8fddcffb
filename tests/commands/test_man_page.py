"""The manual page: all commands and options of the program, in a form that troff sets without a complaint."""

import shutil
import subprocess

import click
import pytest

from apollo_rt.commands.cli import apollo_rt, main
from apollo_rt.commands.man_page import page

TEXT = "\n".join(page(apollo_rt)) + "\n"


def all_commands(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
    found = []
    for name, command in group.commands.items():
        if not command.hidden:
            found.append((f"{path} {name}", command))
            if isinstance(command, click.Group):
                found += all_commands(command, f"{path} {name}")
    return found


def test_every_command_and_option_that_help_shows_is_there() -> None:
    plain = TEXT.replace("\\-", "-")
    commands = all_commands(apollo_rt, "apollo-rt")
    assert len(commands) > 40
    for path, command in commands:
        section = plain.partition(f'.SS "{path} ')[2].partition(".SS ")[0]
        assert section, path
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert max(option.opts, key=len) in section, (path, option.name)


def test_troff_sets_it_without_a_warning() -> None:
    if not shutil.which("groff"):
        pytest.skip("needs groff")
    command = ["groff", "-man", "-Tutf8", "-ww"]
    done = subprocess.run(command, input=TEXT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert "any more that it writes to" in done.stdout, "its last line"


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["man"])
    assert not ended.value.code
    assert capsys.readouterr().out == TEXT


def test_what_troff_would_take_for_a_request_or_an_escape_is_text() -> None:
    @click.command(help=".SH is no heading\\n here, nor 'this'")
    def odd() -> None:
        pass

    lines = list(page(odd, "odd"))
    assert "\\&.SH is no heading\\en here, nor 'this'" in lines
