"""A MIDI port in a process of its own, from outside: opened, heard, told, and found gone (see `host`)."""

import json
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from apollo_rt.control.midi.host import REPORT_S, from_line, to_line
from apollo_rt.control.midi.port import Port
from apollo_rt.errors import ControlError
from apollo_rt.system.child_process import child_environment, last_line, module_command

_OPENING_S = 10.0
_ENDING_S = 2.0
_SILENT_S = 5 * REPORT_S
"""After so long without a report the process counts as hung: JACK's library can wait for ever."""


def open_port(wanted: str) -> Port:
    """As `port.open_port`, in a process of its own.

    Raises:
        ControlError: as there; or the process ended, or didn't answer.
    """
    return PortProcess(module_command("apollo_rt.control.midi.host", wanted))


class PortProcess:
    """See `port.Port`; one thread at a time fetches.

    Args:
        command: starts a process that talks as `host` does.

    Raises:
        ControlError: it says so, or ends, or says nothing for long.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the process
        self._process = subprocess.Popen(  # noqa: S603  # a command of our own
            command,
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,  # JACK's library talks a lot
            start_new_session=True,  # Ctrl-C is for us: we end it
        )
        self._lines: deque[bytes] = deque()
        self._ports: list[str] = []
        self._heard_s = time.monotonic()
        self._has_answered = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="midi port", daemon=True)
        self._listener.start()
        try:
            self.name = self._answer()["name"]
        except BaseException:
            self.close()
            raise

    def fetch(self) -> list[int] | None:
        """The bytes of the next message that has arrived, None if none has."""
        while self._lines:
            line = self._lines.popleft()
            if not line.startswith(b"{"):
                return from_line(line)
            self._ports = json.loads(line)["ports"]
        return None

    def send(self, message: list[int]) -> None:
        """Send one message, if there is a way back."""
        assert self._process.stdin is not None
        with suppress(OSError):  # it has just ended; `ports` will tell
            self._process.stdin.write(to_line(message))
            self._process.stdin.flush()

    def ports(self) -> list[str] | None:
        """The ports there were two seconds ago at most, None when the device is gone."""
        is_there = self._listener.is_alive() and time.monotonic() - self._heard_s < _SILENT_S
        return self._ports if is_there else None

    def close(self) -> None:
        """Ask the process to end, and wait a moment for it; one that takes longer ends by itself later, see `host`.

        It isn't killed: JACK's server stands still for a client that died, and all its other clients with it.
        """
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._listener.join(_ENDING_S)
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        """Its first answer.

        Raises:
            ControlError: there is no port.
        """
        if not self._has_answered.wait(_OPENING_S):
            raise ControlError(f"midi: the port isn't open after {_OPENING_S:g} s; does the sound server still answer?")
        if not self._lines:
            raise ControlError(
                f"midi: the port's process ended with code {self._process.returncode} before it was open: "
                f"{last_line(self._errors) or 'it gave no reason'}"
            )
        answer: dict[str, Any] = json.loads(self._lines.popleft())
        if "error" in answer:
            raise ControlError(answer["error"])
        return answer

    def _listen(self) -> None:
        """Take what it says, whole lines only, as `fetch` may come at any time, until it has ended."""
        assert self._process.stdout is not None
        begun = b""
        with self._process.stdout as said:
            while heard := said.read1():  # type: ignore[attr-defined]  # it is a buffered reader
                self._heard_s = time.monotonic()
                *lines, begun = (begun + heard).split(b"\n")
                self._lines.extend(lines)
                if lines:
                    self._has_answered.set()
        self._process.wait()
        self._has_answered.set()
