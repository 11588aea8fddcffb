"""A user's service: a live run that systemd or launchd starts at log-in and starts again when it fails.

What the unit says, and why (systemd 252): Python itself is started, for only the main process may say `READY=1`, and
under a shell or `uv run` it isn't; at a watchdog's end nothing of ours runs, so `ExecStopPost` gives players back.
"""

import os
import plistlib
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from apollo_rt.atomic_file import write_whole
from apollo_rt.errors import ApolloError
from apollo_rt.own_folders import own_folder
from apollo_rt.system.child_process import child_environment

NAME = "apollo-rt"
_LABEL = "apollo-rt.live"
_PATIENCE_S = 330.0
"""For the manager: `systemctl start` waits until the run is ready, which may compile first."""

_UNIT = """\
[Unit]
Description=Apollo RT restores what is played, live
After=pipewire-pulse.service pulseaudio.service
StartLimitIntervalSec=300
StartLimitBurst=20

[Service]
Type=notify
NotifyAccess=main
WorkingDirectory={folder}
ExecStart={start}
ExecStopPost={clean}
Restart=on-failure
RestartSec=5
TimeoutStartSec=60
TimeoutStopSec=20
WatchdogSec=30

[Install]
WantedBy=default.target
"""


class UserService(ABC):
    """Installs, tells of and removes the service of this user."""

    @staticmethod
    def of_this_system() -> "UserService":
        """The service as this system has it.

        Raises:
            ApolloError: it has none that we know.
        """
        if sys.platform == "linux":
            return SystemdService()
        if sys.platform == "darwin":
            return LaunchdService()
        raise ApolloError(
            "service: there is systemd (Linux) and launchd (macOS); here let the Task Scheduler start "
            f'"{sys.executable}" -m apollo_rt live --plain at log-on'
        )

    @property
    @abstractmethod
    def path(self) -> Path:
        """File that describes the service."""

    @abstractmethod
    def install(self, options: Sequence[str]) -> list[str]:
        """Write the file and start the service; lines for the user.

        Raises:
            ApolloError: the file can't be written, or the manager refuses.
        """

    @abstractmethod
    def status(self) -> list[str]:
        """State of the service, for the user.

        Raises:
            ApolloError: the manager can't be asked.
        """

    @abstractmethod
    def remove(self) -> list[str]:
        """Stop the service and remove its file; lines for the user.

        Raises:
            ApolloError: the manager refuses.
        """

    def _write(self, content: bytes) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, content)
        except OSError as error:
            raise ApolloError(f"{self.path}: can't be written: {error.strerror}") from None


class SystemdService(UserService):
    """A unit of the user's systemd."""

    @property
    def path(self) -> Path:
        """File of the unit."""
        return own_folder("config").parent / "systemd" / "user" / f"{NAME}.service"

    def install(self, options: Sequence[str]) -> list[str]:
        """Write the unit, and start it now and at each log-in."""
        self._write(unit_text(options).encode())
        _ask("systemctl", "--user", "daemon-reload")
        _ask("systemctl", "--user", "enable", f"{NAME}.service")
        _ask("systemctl", "--user", "restart", f"{NAME}.service")
        return [
            f"{self.path}: installed and started; it starts at each log-in",
            f"what it says: journalctl --user -u {NAME}; how it is: apollo-rt service status",
        ]

    def status(self) -> list[str]:
        """State of the unit."""
        wanted = "LoadState,ActiveState,SubState,Result,NRestarts,StatusText"
        told = _ask("systemctl", "--user", "show", f"{NAME}.service", f"--property={wanted}")
        said = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
        if said.get("LoadState") != "loaded" or not self.path.exists():
            return ["not installed; apollo-rt service install --all does it"]
        lines = [f"{self.path}: {said['ActiveState']} ({said['SubState']}), started again {said['NRestarts']} times"]
        lines += [said["StatusText"]] if said.get("StatusText") else []
        return lines + ([f"ended by {said['Result']}"] if said["Result"] != "success" else [])

    def remove(self) -> list[str]:
        """Stop the unit and remove it."""
        if not self.path.exists():
            return [f"{self.path}: is not there; nothing to remove"]
        _ask("systemctl", "--user", "disable", "--now", f"{NAME}.service")
        self.path.unlink(missing_ok=True)
        _ask("systemctl", "--user", "daemon-reload")
        return [f"{self.path}: stopped and removed"]


class LaunchdService(UserService):
    """An agent of the user's launchd. Made by Apple's manual, launchd.plist(5); it was not run."""

    @property
    def path(self) -> Path:
        """File of the agent."""
        return Path.home() / "Library" / "LaunchAgents" / f"{_LABEL}.plist"

    def install(self, options: Sequence[str]) -> list[str]:
        """Write the agent, and start it now and at each log-in."""
        self._write(plistlib.dumps(agent(options)))
        _ask("launchctl", "bootout", self._target, may_fail=True)
        _ask("launchctl", "bootstrap", self._domain, str(self.path))
        return [f"{self.path}: installed and started; it starts at each log-in", f"what it says: {_log_path()}"]

    def status(self) -> list[str]:
        """State of the agent."""
        told = _ask("launchctl", "print", self._target, may_fail=True)
        lines = [line.strip() for line in told.splitlines() if line.strip().startswith(("state =", "last exit code ="))]
        return [f"{self.path}: {', '.join(lines)}"] if lines else ["not installed; apollo-rt service install does it"]

    def remove(self) -> list[str]:
        """Stop the agent and remove it."""
        _ask("launchctl", "bootout", self._target, may_fail=True)
        self.path.unlink(missing_ok=True)
        return [f"{self.path}: stopped and removed"]

    @property
    def _domain(self) -> str:
        return f"gui/{os.getuid()}"

    @property
    def _target(self) -> str:
        return f"{self._domain}/{_LABEL}"


def unit_text(options: Sequence[str], python: str = sys.executable) -> str:
    """Text of systemd's unit for a live run with such options."""
    program = [python, "-m", "apollo_rt"]
    start, clean = (" ".join(map(_quoted, [*program, *rest])) for rest in (_live(options), ("service", "clean")))
    return _UNIT.format(start=start, clean=clean, folder=str(Path.cwd()).replace("%", "%%"))


def agent(options: Sequence[str], python: str = sys.executable) -> dict[str, object]:
    """Property list of launchd's agent for a live run with such options."""
    return {
        "Label": _LABEL,
        "ProgramArguments": [python, "-m", "apollo_rt", *_live(options)],
        "WorkingDirectory": str(Path.cwd()),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ProcessType": "Interactive",
        "StandardOutPath": str(_log_path()),
        "StandardErrorPath": str(_log_path()),
    }


def _live(options: Sequence[str]) -> tuple[str, ...]:
    return ("live", "--quiet", *options)


def _log_path() -> Path:
    return Path.home() / "Library" / "Logs" / f"{NAME}.log"


def _quoted(word: str) -> str:
    """A word of a command line as systemd.service(5) wants it: quoted, and nothing in it expanded."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != word or not word or any(sign in word for sign in " \t;'") else word


def _ask(*command: str, may_fail: bool = False) -> str:
    """Run a command of the manager.

    Raises:
        ApolloError: it isn't there, refuses, or doesn't answer.
    """
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False, env=child_environment()
        )
    except FileNotFoundError:
        raise ApolloError(f"service: {command[0]} isn't there; start `apollo-rt live --plain` in another way") from None
    except subprocess.TimeoutExpired:
        raise ApolloError(f"service: `{' '.join(command)}` took longer than {_PATIENCE_S:.0f} s") from None
    if done.returncode and not may_fail:
        reason = (done.stderr or done.stdout).strip().partition("\n")[0]
        advice = "; log in to a session of your own, or `loginctl enable-linger`" if "bus" in reason else ""
        raise ApolloError(f"service: `{' '.join(command)}`: {reason or f'exit code {done.returncode}'}{advice}")
    return done.stdout
