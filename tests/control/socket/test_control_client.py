"""The control client against a real server: it finds the run, shows its token to nobody else, and says what fails."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from apollo_rt.control.socket import announced_runs as runs
from apollo_rt.control.socket.announced_runs import AnnouncedRun, announced, announced_runs
from apollo_rt.control.socket.control_client import ControlClient
from apollo_rt.control.socket.server import ControlServer
from apollo_rt.errors import ControlError
from apollo_rt.session.running_session import LiveSession
from tests.doubles.still_engine import StillEngine, session_of

TOKEN = "a-token-for-the-tests"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(runs, "own_folder", lambda _: tmp_path)
    monkeypatch.setattr("apollo_rt.control.presets.preset_folder", lambda: tmp_path / "presets")
    return tmp_path / "runs"


@pytest.fixture
def session() -> LiveSession:
    return session_of(StillEngine())


@pytest.fixture
def server(session: LiveSession) -> Iterator[ControlServer]:
    server = ControlServer(session.commands, TOKEN, 0, session.messages.append)
    server.start()
    yield server
    server.stop()


def test_it_finds_the_run_that_was_announced_and_runs_commands_in_it(server: ControlServer, session: LiveSession):
    with announced(AnnouncedRun(server.port, TOKEN)):
        with ControlClient.of_newest_run() as run:
            assert run.run("toggle", name="bypass")["value"] == 1
            assert run.run("set", name="mix", value=0.5)["text"] == "0.50"
            with pytest.raises(ControlError, match="mix must be from 0 to 1, got 7"):
                run.run("set", name="mix", value=7)
            assert run.run("get", name="mix")["value"] == 0.5
        assert session.controls.get("bypass") == 1
        with pytest.raises(ControlError, match="no live run at port 1 can be controlled"):
            ControlClient.of_newest_run(port=1)
    with pytest.raises(ControlError, match=r"no live run can be controlled; start one with `apollo-rt live --control`"):
        ControlClient.of_newest_run()


@pytest.mark.skipif(os.name != "posix", reason="mode bits say something on POSIX alone")
def test_what_is_announced_is_for_its_user_alone(folder: Path) -> None:
    with announced(AnnouncedRun(5, TOKEN)):
        (file,) = folder.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0
    assert list(folder.iterdir()) == []


def test_of_several_the_newest_is_the_first_and_what_a_killed_run_left_goes(folder: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(60)
    with announced(AnnouncedRun(5, "older-token-of-a-run")), announced(AnnouncedRun(6, TOKEN)):
        os.utime(next(folder.glob("*-5.json")), (1, 1))
        (folder / f"{gone.pid}-7.json").write_text('{"port": 7, "token": "left"}')
        (folder / f"{os.getpid()}-8.json").write_text("no JSON")
        assert [run.port for run in announced_runs()] == [6, 5]
        assert not list(folder.glob("*-7.json"))


def test_another_program_at_the_port_is_not_shown_the_token() -> None:
    seen: list[str] = []

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"{self.path} {self.headers}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"0" * 64)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        try:
            with pytest.raises(ControlError, match="doesn't know the token"):
                ControlClient(other.server_port, TOKEN)
        finally:
            other.shutdown()
    assert len(seen) == 1
    assert TOKEN not in seen[0]


def test_nobody_at_the_port_and_a_run_that_ends_are_said(server: ControlServer) -> None:
    with ControlClient(server.port, TOKEN) as run:
        server.stop()
        with pytest.raises(ControlError, match="the run has ended"):
            run.run("stats")
    with pytest.raises(ControlError, match="nobody answers"):
        ControlClient(server.port, TOKEN)
