"""Nothing that exists is replaced without being asked, whichever command writes it."""

import os
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

from apollo_rt.commands.cli import apollo_rt
from apollo_rt.errors import ExistingFileError
from apollo_rt.existing import is_there, refuse_existing
from tests.doubles.sound_files import tone, write

MINE = "what was here before"


def inference() -> click.Command:
    from training.inference.command import command

    return command


def export() -> click.Command:
    from export.__main__ import main

    return main


def to_tensorrt() -> click.Command:
    from export.to_tensorrt import main

    return main


def evaluate() -> click.Command:
    from training.evaluation.evaluate import command

    return command


COMMANDS: dict[str, tuple[Callable[[], click.Command], list[str]]] = {
    "restore": (lambda: apollo_rt, ["restore", "{song}", "-o", "{target}"]),
    "restore's report": (lambda: apollo_rt, ["restore", "{song}", "-o", "{new}", "--report", "{target}"]),
    "live": (lambda: apollo_rt, ["live", "-i", "{song}", "-o", "{target}", "--no-pace"]),
    "live's figures": (
        lambda: apollo_rt,
        ["live", "-i", "{song}", "-o", "{new}", "--no-pace", "--stats-json", "{target}"],
    ),
    "inference": (inference, ["--checkpoint", "{song}", "--in_wav", "{song}", "--out_wav", "{target}"]),
    "export": (export, ["--checkpoint", "{song}", "--out", "{target}"]),
    "export.to_tensorrt": (to_tensorrt, ["--out", "{target}"]),
    "evaluate": (evaluate, ["--data", "{song}", "--json", "{target}"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_refuses_a_file_that_is_there_before_any_work(tmp_path, name) -> None:
    target = tmp_path / "target.wav"
    target.write_text(MINE)
    named = {
        "song": write(tmp_path / "song.wav", tone(1000)),
        "new": tmp_path / "new.wav",
        "target": target,
    }
    load, arguments = COMMANDS[name]
    before = set(tmp_path.iterdir())
    done = CliRunner().invoke(load(), [argument.format(**named) for argument in arguments])
    assert done.exit_code == 1
    said = f"{done.output}{done.exception}"
    assert f"{target}: is there already; --overwrite replaces it" in said
    assert target.read_text() == MINE
    assert set(tmp_path.iterdir()) == before


def test_a_link_is_what_it_leads_to(tmp_path) -> None:
    try:
        (tmp_path / "link").symlink_to(tmp_path / "file")
    except OSError:
        pytest.skip("this user may not make links")
    refuse_existing(tmp_path / "link")
    (tmp_path / "file").write_text(MINE)
    with pytest.raises(ExistingFileError, match="link: is there already"):
        refuse_existing(tmp_path / "link")
    refuse_existing(tmp_path / "link", overwrite=True)


def test_what_is_no_regular_file_is_not_in_the_way(tmp_path) -> None:
    assert not is_there(tmp_path)
    assert not is_there(os.devnull)
    assert not is_there(tmp_path / "n" / "o" / "where")
    assert not is_there("a" * 5000)
    assert not is_there("nul\0byte")


@pytest.mark.parametrize("which", ["song.wav", "new.wav", "link.wav"])
@pytest.mark.parametrize("command", ["restore", "live"])
def test_what_is_told_of_a_run_never_replaces_what_it_reads_or_writes(tmp_path, command, which) -> None:
    song = write(tmp_path / "song.wav", tone(1000))
    (tmp_path / "link.wav").hardlink_to(song)
    content = song.read_bytes()
    files = [str(song), "-o", str(tmp_path / "new.wav"), "--overwrite"]
    option = ["--report"] if command == "restore" else ["--stats-json"]
    arguments = [*(files if command == "restore" else ["-i", *files]), *option, str(tmp_path / which)]
    done = CliRunner().invoke(apollo_rt, [command, *arguments])
    assert done.exit_code == 1
    assert "it is a file that this run reads or writes" in str(done.exception)
    assert song.read_bytes() == content
    assert not (tmp_path / "new.wav").exists()
