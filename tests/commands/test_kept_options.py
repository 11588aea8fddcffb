"""The settings of a run are taken up by the next one, where that says nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from apollo_rt.commands.cli import apollo_rt
from apollo_rt.errors import DeviceError
from apollo_rt.session import kept_state, run
from apollo_rt.session.kept_state import StateKeeper
from apollo_rt.session.own_sink import SinkOptions
from apollo_rt.session.run_options import LiveOptions, completed
from tests.doubles.still_engine import StillEngine, session_of


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "state" / "state.yaml"
    monkeypatch.setattr(kept_state, "state_path", lambda: path)
    monkeypatch.delenv("APOLLO_RT_LIVE_FRESH", raising=False)
    return path


@pytest.fixture
def live(state: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LiveOptions]:
    """Begin a run, and leave what it was set to."""

    def begin(*arguments: str, **changes: float) -> LiveOptions:
        began: list[LiveOptions] = []
        monkeypatch.setattr(run, "run_live", began.append)
        done = CliRunner().invoke(apollo_rt, ["live", *arguments])
        assert done.exit_code == 0, done.output
        (options,) = began
        session = session_of(StillEngine())
        for name, value in {**(options.parameters.as_dict() if options.parameters else {}), **changes}.items():
            session.controls.set(name, value)
        if options.keeps_state:
            assert StateKeeper(options, session).keep() == []
        return options

    return begin


def parameters_of(options: LiveOptions) -> Any:
    assert options.parameters is not None
    return options.parameters


def test_devices_values_and_tier_are_taken_up_and_said(live, state) -> None:
    live("--output", "Headphones", "--tier", "light", "--mix", "0.5", low_cut_hz=100.0, bypass=1.0)
    options = live()
    assert (options.source, options.target, options.tier) == ("Loopback", "Headphones", "light")
    assert (parameters_of(options).mix, parameters_of(options).low_cut_hz) == (0.5, 100.0)
    assert parameters_of(options).bypass is False, "how one listens is not kept"
    (note,) = options.notes
    assert "output Headphones" in note
    assert "mix 0.5" in note
    assert "--fresh" in note


def test_what_is_said_now_wins_and_a_preset_takes_all_values(live) -> None:
    live("--output", "Headphones", "--mix", "0.5", strength=0.7)
    options = live("--output", "speakers", "--mix", "0.9")
    assert (options.target, parameters_of(options).mix, parameters_of(options).strength) == ("speakers", 0.9, 0.7)
    assert parameters_of(live("--preset", "radio")).strength == 1.0


def test_fresh_neither_takes_anything_up_nor_leaves_anything(live, state) -> None:
    live("--mix", "0.5")
    before = state.read_text()
    options = live("--fresh", "--strength", "0.2")
    assert (parameters_of(options).mix, options.notes, state.read_text()) == (1.0, (), before)


def test_from_file_to_file_nothing_is_taken_up_and_nothing_is_left(live, state) -> None:
    live("--mix", "0.5")
    before = state.read_text()
    options = live("--input", "a.wav", "--output", "b.wav")
    assert (parameters_of(options).mix, state.read_text()) == (1.0, before)
    assert live("--input", "a.wav", "--output", "speakers").keeps_state


def test_an_own_sink_and_its_players_come_back_unless_another_input_is_named(live) -> None:
    live("--app", "mpv", "--app", "firefox")
    assert live().sink == SinkOptions(apps=("mpv", "firefox"))
    options = live("--input", "Monitor of Player")
    assert (options.source, options.sink.is_wanted) == ("Monitor of Player", False)
    assert live().source == "Monitor of Player"
    assert live("--sink").sink == SinkOptions(name="Apollo RT")


def test_a_bad_state_is_said_and_the_run_begins_without(live, state, monkeypatch) -> None:
    state.parent.mkdir()
    state.write_text("mix: 0.5\nvolume: 3\n")
    monkeypatch.setattr(run, "run_live", lambda _: None)
    done = CliRunner().invoke(apollo_rt, ["live"])
    assert "nothing is taken up from the last run" in done.output
    assert "line 2" in done.output
    assert done.exit_code == 0
    assert parameters_of(live()).mix == 1.0


def test_idle_close_needs_players_that_tell(live) -> None:
    assert live("--all", "--idle-close", "5").idle_close == 5.0
    for options in (
        LiveOptions("a", "b", idle_close=5.0),
        replace(live("--all", "--idle-close", "5"), reconnect=False),
    ):
        with pytest.raises(ValueError, match="--idle-close needs --sink, --app or --all"):
            completed(options)


def test_a_device_that_is_gone_is_said_with_what_was_taken_up(live, monkeypatch) -> None:
    live("--output", "Headphones")

    def refuse(_: LiveOptions) -> None:
        raise DeviceError("there is no output 'Headphones'")

    monkeypatch.setattr(run, "run_live", refuse)
    error = CliRunner().invoke(apollo_rt, ["live"]).exception
    assert str(error).startswith("there is no output 'Headphones'; taken up from the last run: output Headphones")
    assert str(CliRunner().invoke(apollo_rt, ["live", "--fresh"]).exception) == "there is no output 'Headphones'"


def test_it_is_written_when_something_has_changed_and_one_line_says_that_it_cannot_be(tmp_path: Path) -> None:
    session, path = session_of(StillEngine()), tmp_path / "state.yaml"
    keeper = StateKeeper(LiveOptions("Loopback", "speakers"), session, path)
    assert keeper.keep() == []
    path.unlink()
    assert keeper.keep() == []
    assert not path.exists(), "nothing has changed"
    session.controls.set("mix", 0.25)
    assert keeper.keep() == []
    assert "mix: 0.25" in path.read_text()
    blocked = StateKeeper(LiveOptions("Loopback", "speakers"), session, path / "below a file" / "state.yaml")
    (line,) = blocked.poll()
    assert "can't be written" in line
    assert blocked.poll() == []


def test_verbose_tells_the_options_in_force_and_who_said_so(live, monkeypatch) -> None:
    monkeypatch.setenv("APOLLO_RT_LIVE_MIX", "0.5")
    options = live("-v", "--fresh", "--output", "Headphones")
    (note,) = options.notes
    assert "--output Headphones (command line)" in note
    assert "--mix 0.5 (environment)" in note
    assert (options.verbosity, live("-q").verbosity, live("--fresh").verbosity) == (1, -1, 0)
