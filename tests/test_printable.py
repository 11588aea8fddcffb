"""Text of strangers is shown, never obeyed: names, tags and cards, on every way to a terminal."""

import io
import sys
from pathlib import Path

import pytest

from apollo_rt.commands.cli import main
from apollo_rt.console import progress
from apollo_rt.console.say import say
from apollo_rt.printable import printable
from tests import ROOT


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Beyoncé, Наушники 日本 🎧", "Beyoncé, Наушники 日本 🎧"),
        ("a\u00a0b", "a\u00a0b"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("one\ntwo\r\tthree", r"one\ntwo\r\tthree"),
        ("\x7f\x9b31m", r"\x7f\x9b31m"),
        ("gpj.\u202egnp", r"gpj.\u202egnp"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("caf\udce9.mp3", r"caf\udce9.mp3"),
        (Path("a\x1bb"), r"a\x1bb"),
    ],
)
def test_what_could_steer_a_terminal_is_shown_as_python_writes_it(text, shown) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_lines_pass_one_door(capfd) -> None:
    say("first\x1b[1m", "second\nline")
    say("third\x07", err=True)
    captured = capfd.readouterr()
    assert captured.out.splitlines() == [r"first\x1b[1m", r"second\nline"]
    assert captured.err == "third\\x07\n"


def test_wrong_usage_shows_names_that_a_shell_found_and_does_not_obey_them(tmp_path, capfd) -> None:
    hostile = tmp_path / "\x1b[2Jsong.mp3"
    hostile.touch()
    with pytest.raises(SystemExit) as ended:
        main(["restore", "a.mp3", str(hostile)])
    assert ended.value.code == 2
    shown = capfd.readouterr().err
    assert "\x1b" not in shown
    assert r"\x1b[2Jsong.mp3 is a file that is there" in shown


@pytest.mark.parametrize("path", sorted((ROOT / "apollo_rt").rglob("*.py")), ids=lambda path: path.stem)
def test_nobody_writes_past_the_door(path) -> None:
    text = path.read_text()
    writes = [what for what in ("click.echo(", "print(", "sys.stdout.write(") if f" {what}" in text]
    assert writes == [] or path.stem in ("say", "plugin_host", "host")


def test_a_name_is_no_markup_for_the_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = io.StringIO()
    seen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", seen)
    with progress.progress_bar() as report:
        report("[red]loud[bold] \x1b[2Jsong.mp3 (1 of 1)", 30, 100)
    assert "[red]loud[bold] \\x1b[2Jsong.mp3" in seen.getvalue()


class Closed(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("err", [False, True])
def test_a_reader_that_has_gone_ends_nothing_and_is_asked_no_more(monkeypatch: pytest.MonkeyPatch, err: bool) -> None:
    name = "stderr" if err else "stdout"
    monkeypatch.setattr(sys, name, Closed())
    say("one", "two", err=err)
    say("three", err=err)
    assert not isinstance(getattr(sys, name), Closed)
