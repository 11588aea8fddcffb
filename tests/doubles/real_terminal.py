"""A real terminal for tests: tmux runs a program in it, types keys, sends what a mouse sends, and reads the screen."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.doubles.audio_servers import wait_for

PATIENCE_S = 60.0
START_S = 300.0
"""The first start on a machine compiles for a good minute."""
_PRESS, _RELEASE = "M", "m"
_LEFT, _DRAG, _WHEEL_UP = 0, 32, 64
"""Buttons as xterm's SGR mouse protocol numbers them (mode 1006)."""


class Terminal:
    """A program in a terminal of its own.

    Args:
        command: what runs in it.
        columns: of the terminal.
        lines: of the terminal.
        folder: where its socket and its exit code lie.
        **environment: further variables of the program.
    """

    def __init__(self, command: Sequence[str], columns: int, lines: int, folder: Path, **environment: str) -> None:
        self._socket, self._code = folder / "tmux", folder / "code"
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        # The shell waits, so that what the program leaves on the screen can still be read.
        script = f"env {variables} {shlex.join(command)}; echo $? >{self._code}; sleep 1000"
        size = ("-x", str(columns), "-y", str(lines))
        self.tmux("-f", os.devnull, "new-session", "-d", *size, script)
        self.tmux("set-option", "-g", "remain-on-exit", "on")

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._socket), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    @property
    def text(self) -> str:
        return self.tmux("capture-pane", "-p")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def colored(self) -> str:
        """The screen with its escape sequences."""
        return self.tmux("capture-pane", "-p", "-e")

    def mode(self, name: str) -> str:
        """One of tmux's variables about the terminal, such as `alternate_on`."""
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names."""
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self.tmux("send-keys", "-l", text)

    def click(self, x: int, y: int) -> None:
        """Click with the left button; columns and lines are counted from 0."""
        self.type(_mouse(_LEFT, x, y, _PRESS) + _mouse(_LEFT, x, y, _RELEASE))

    def hold(self, x: int, y: int) -> None:
        """Press the left button."""
        self.type(_mouse(_LEFT, x, y, _PRESS))

    def drag(self, x: int, y: int) -> None:
        """Move with the left button pressed."""
        self.type(_mouse(_LEFT | _DRAG, x, y, _PRESS))

    def let_go(self, x: int, y: int) -> None:
        """Let go of the left button."""
        self.type(_mouse(_LEFT, x, y, _RELEASE))

    def wheel_up(self, x: int, y: int) -> None:
        """Turn the wheel one notch."""
        self.type(_mouse(_WHEEL_UP, x, y, _PRESS))

    def resize(self, columns: int, lines: int) -> None:
        """Change the window's size."""
        self.tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def shows(self, *texts: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until all of these are on the screen."""
        assert wait_for(lambda: all(text in self.text for text in texts), patience_s), f"{texts}, in:\n{self.text}"

    def exit_code(self) -> int:
        """Wait for the program's end."""
        assert wait_for(lambda: self._code.exists() and bool(self._code.read_text().strip()), PATIENCE_S), self.text
        return int(self._code.read_text())

    def close(self) -> None:
        """End the terminal, and what still runs in it."""
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], capture_output=True, timeout=20, check=False)


def _mouse(button: int, x: int, y: int, kind: str) -> str:
    return f"\x1b[<{button};{x + 1};{y + 1}{kind}"


@contextmanager
def terminal(command: Sequence[str], columns: int = 80, lines: int = 24, **environment: str) -> Iterator[Terminal]:
    """A terminal for as long as the block goes on."""
    if not shutil.which("tmux"):
        assert os.environ.get("CI") != "true", "tmux is missing"
        pytest.skip("tmux is missing, which the screen is tried in (Debian: apt install tmux)")
    with tempfile.TemporaryDirectory(prefix="apollo-") as folder:
        running = Terminal(command, columns, lines, Path(folder), **environment)
        try:
            yield running
        finally:
            running.close()
