"""The service of a user: what systemd is given and asked, and what it is told by a run that it starts."""

import os
import plistlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from apollo_rt.commands.cli import apollo_rt
from apollo_rt.errors import ApolloError
from apollo_rt.session import user_service
from apollo_rt.session.user_service import LaunchdService, SystemdService, UserService, agent, unit_text
from tests import ROOT
from tests.doubles import tiny_models

MANAGER = """#!/bin/sh
echo "$@" >>"$ASKED"
case "$2" in
show) printf 'LoadState=loaded\\nActiveState=failed\\nSubState=failed\\nResult=watchdog\\nNRestarts=3\\n';;
esac
case "$ASKED_CODE" in '') exit 0;; esac
echo 'Failed to connect to bus: No medium found' >&2
exit "$ASKED_CODE"
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that writes down what it is asked."""
    if os.name != "posix":
        pytest.skip("needs a shell")
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(MANAGER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    monkeypatch.setattr(user_service, "own_folder", lambda _: tmp_path / "config" / "apollo-rt")
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path / "asked"


def service(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(apollo_rt, ["service", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit | ApolloError), done.exception
    return done.exit_code, done.output + (str(done.exception) if isinstance(done.exception, ApolloError) else "")


def test_it_is_installed_told_of_and_removed(asked: Path) -> None:
    assert "not installed" in service("status")[1]
    code, out = service("install", "--all", "--control", "--mix", "0.8")
    path = SystemdService().path
    assert code == 0, out
    assert f"ExecStart={sys.executable} -m apollo_rt live --quiet --all --control --mix 0.8\n" in path.read_text()
    assert "failed (failed), started again 3 times" in service("status")[1]
    assert "ended by watchdog" in service("status")[1]
    assert service("remove")[0] == 0
    assert not path.exists()
    assert "nothing to remove" in service("remove")[1]
    changes = [line for line in asked.read_text().splitlines() if " show " not in line]
    assert changes == [
        "--user daemon-reload",
        "--user enable apollo-rt.service",
        "--user restart apollo-rt.service",
        "--user disable --now apollo-rt.service",
        "--user daemon-reload",
    ]


def test_options_that_live_has_not_are_refused_before_anything_is_written(asked: Path) -> None:
    code, out = service("install", "--volume", "3")
    assert (code, "--volume" in out, SystemdService().path.exists(), asked.exists()) == (2, True, False, False)


def test_without_a_session_of_systemd_the_reason_and_a_way_are_said(asked: Path, monkeypatch) -> None:
    monkeypatch.setenv("ASKED_CODE", "1")
    assert "No medium found; log in to a session of your own, or `loginctl enable-linger`" in service("status")[1]
    monkeypatch.setattr(user_service.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError))
    assert "systemctl isn't there" in service("status")[1]


def test_another_system_is_told_its_own_way(monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ApolloError, match="Task Scheduler"):
        UserService.of_this_system()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert isinstance(UserService.of_this_system(), LaunchdService)


def test_an_agent_of_launchd_can_be_read_again() -> None:
    read = plistlib.loads(plistlib.dumps(agent(["--all"], "/usr/bin/python3")))
    assert read["ProgramArguments"] == ["/usr/bin/python3", "-m", "apollo_rt", "live", "--quiet", "--all"]
    assert read["KeepAlive"] == {"SuccessfulExit": False}


def test_systemd_takes_the_unit_whatever_the_words_in_it(tmp_path: Path, monkeypatch) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze")
    words = ["--output", "Büro 50%", "--app", 'a "b" $HOME \\ c', "--sink", ""]
    path = tmp_path / "apollo-rt.service"
    path.write_text(unit_text(words))
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    command = ["systemd-analyze", "verify", "--user", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"Büro 50%%"' in path.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets")
@pytest.mark.realtime
def test_a_run_tells_its_manager_when_it_plays_that_it_lives_and_when_it_ends(tmp_path: Path) -> None:
    model = tiny_models.gain(tmp_path, 0.5)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(300.0)
        command = [sys.executable, "-m", "apollo_rt", "live", "--quiet", "--model", model, "--input", "demo"]
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        options = ["--output", tmp_path / "out.wav", "--duration", "2"]
        with subprocess.Popen([*map(str, [*command, *options])], cwd=ROOT, env=environment) as process:
            try:
                lines = [listener.recv(4096).decode()]
                while lines[-1] != "STOPPING=1":
                    lines.append(listener.recv(4096).decode())
                assert process.wait(60) == 0
            finally:
                process.kill()
    ready = next(index for index, line in enumerate(lines) if line.startswith("READY=1\nSTATUS="))
    assert all(line.startswith("EXTEND_TIMEOUT_USEC=") for line in lines[:ready])
    assert ready >= 3, "of each stage of its start"
    assert set(lines[ready + 1 : -1]) == {"WATCHDOG=1"}
    assert len(lines) - ready > 5
