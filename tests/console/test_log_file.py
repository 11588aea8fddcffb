"""A log file gets what is said, with times, beside what the terminal shows."""

import re
from pathlib import Path

import pytest

from apollo_rt.console import log_file as module
from apollo_rt.console.log_file import log_file
from apollo_rt.console.say import say
from apollo_rt.errors import ApolloError


def test_every_line_is_kept_with_its_time_behind_what_was_there(tmp_path: Path, capsys) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    with log_file(path) as write:
        say("one\x1b[2J", "two")
        say("warning: three", err=True)
        write("for the file alone")
    say("after")
    lines = path.read_text().splitlines()
    assert lines[0] == "before"
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", line) for line in lines[1:])
    assert [line.split(" ", 2)[2] for line in lines[1:]] == [
        "one\\x1b[2J",
        "two",
        "warning: three",
        "for the file alone",
    ]
    assert capsys.readouterr().out == "one\\x1b[2J\ntwo\nafter\n"


def test_it_is_turned_over_before_it_fills_a_disk(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_BYTES", 1000)
    with log_file(tmp_path / "log") as write:
        for number in range(100):
            write(f"line {number}")
    kept = (tmp_path / "log.1").read_text() + (tmp_path / "log").read_text()
    assert len(kept) <= 2000
    assert kept.splitlines()[-1].endswith("line 99")


def test_one_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ApolloError, match="can't be written"), log_file(tmp_path / "missing" / "log"):
        raise AssertionError
