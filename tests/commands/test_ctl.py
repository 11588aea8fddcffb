"""`apollo-rt ctl`, as a shortcut of the desktop calls it, against a run that plays."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from apollo_rt.commands import cli
from apollo_rt.control.commands import COMMANDS
from apollo_rt.control.socket import announced_runs as runs
from apollo_rt.control.socket.announced_runs import AnnouncedRun, announced
from apollo_rt.control.socket.server import ControlServer
from apollo_rt.session.running_session import LiveSession
from tests.doubles.still_engine import StillEngine, session_of

TOKEN = "a-token-for-the-tests"


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveSession]:
    """A session with a control socket that was announced."""
    monkeypatch.setattr(runs, "own_folder", lambda _: tmp_path)
    monkeypatch.setattr("apollo_rt.control.presets.preset_folder", lambda: tmp_path / "presets")
    session = session_of(StillEngine())
    server = ControlServer(session.commands, TOKEN, 0, session.messages.append)
    server.start()
    with announced(AnnouncedRun(server.port, TOKEN)):
        yield session
    server.stop()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["ctl", *arguments])
    return (int(ended.value.code or 0), *capsys.readouterr())


def test_a_switch_a_value_and_a_step_are_set_and_the_answer_is_printed(session, capsys) -> None:
    code, out, _ = run(capsys, "toggle", "bypass")
    assert (code, yaml.safe_load(out)["value"], session.controls.get("bypass")) == (0, 1, 1)
    assert run(capsys, "set", "bypass", "off")[0] == 0
    assert session.controls.get("bypass") == 0
    code, out, _ = run(capsys, "set", "mix", "0.8", "--json")
    assert (json.loads(out)["value"], session.controls.get("mix")) == (0.8, 0.8)
    assert run(capsys, "change", "mix", "-1")[0] == 0
    assert session.controls.get("mix") == pytest.approx(0.75)
    assert run(capsys, "swap-settings", "B")[0] == 0
    assert run(capsys, "quit")[0] == 0
    assert session.is_over


def test_status_is_what_stats_json_has(session, capsys) -> None:
    code, out, _ = run(capsys, "status", "--json")
    told = json.loads(out)
    assert (code, told["device_state"], told["parameters"]["mix"]) == (0, "playing", 1.0)
    assert yaml.safe_load(run(capsys, "status")[1])["tier"] == "full"


def test_what_is_wrong_is_one_line_and_a_code(session, capsys) -> None:
    code, _, err = run(capsys, "set", "mix", "2")
    assert (code, err) == (1, "error: mix must be from 0 to 1, got 2.0\n")
    code, _, err = run(capsys, "set", "mix", "much")
    assert code == 2
    assert "must be a number, on or off, got 'much'" in err
    assert run(capsys, "subscribe")[0] == 2
    code, _, err = run(capsys, "--port", "1", "status")
    assert (code, err.count("\n")) == (1, 1)
    assert "no live run at port 1 can be controlled" in err


def test_a_token_file_leads_to_a_run_that_was_not_announced(session, capsys, tmp_path) -> None:
    (announced_run,) = runs.announced_runs()
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    assert run(capsys, "--port", str(announced_run.port), "--token-file", str(token), "toggle", "delta")[0] == 0
    assert session.controls.get("delta") == 1
    assert "needs --port" in run(capsys, "--token-file", str(token), "toggle", "delta")[2]


def test_every_command_of_the_table_that_needs_no_connection_is_one_here() -> None:
    context = cli.ctl.make_context("ctl", ["help"])
    names = set(cli.ctl.list_commands(context))
    assert names == {row.name.replace("_", "-") for row in COMMANDS if row.handler} | {"status"}
