"""A process in which plugins run, from outside: started, told, heard, and found dead."""

import json
import mmap
import queue
import signal
import socket
import subprocess
import tempfile
import threading
import time
from typing import Any

from apollo_rt.compiled.sockets import set_patience
from apollo_rt.errors import PluginError
from apollo_rt.plugins.plugin_host import NOBODY
from apollo_rt.system.child_process import child_environment, last_line, module_command, wait_or_kill

_LOADING_S = 60.0
_ENDING_S = 2.0
_BY_SOMEBODY_ELSE = (-9, -15)
"""SIGKILL and SIGTERM: no plugin's doing."""


class PluginProcess:
    """One process; it begins to load at once.

    Args:
        order: what to load, see `plugin_host.PluginHost.load`.
        patience_s: how long to wait for a hop before the process counts as hung.

    Attributes:
        connection: number of the socket through which hops go.
    """

    def __init__(self, order: dict[str, Any], patience_s: float) -> None:
        self._audio, theirs = socket.socketpair()
        set_patience(self._audio, patience_s / 3)  # it is waited three times, see `sockets`
        marker, errors = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115  # open as long as the process
        self._files = marker, errors
        marker.write(bytes([NOBODY]))
        marker.flush()
        self._marker = mmap.mmap(marker.fileno(), 1)
        numbers = theirs.fileno(), marker.fileno()
        self._process = subprocess.Popen(  # noqa: S603  # our own module
            module_command("apollo_rt.plugins.plugin_host", *map(str, numbers)),
            env=child_environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, pass_fds=numbers,
            start_new_session=True,  # Ctrl-C is for us: we end it when the music has ended
        )  # fmt: skip
        theirs.close()
        self.connection = self._audio.fileno()
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._changes: dict[tuple[int, str], float] = {}
        self._has_changes = threading.Condition()
        self._error = ""
        self._is_ready = threading.Event()
        self._give_up_s = time.monotonic() + _LOADING_S
        self._listener = threading.Thread(target=self._listen, name="plugins' answers", daemon=True)
        self._listener.start()
        threading.Thread(target=self._send, args=(order,), name="plugins' orders", daemon=True).start()

    @property
    def exit_code(self) -> int | None:
        """Exit code, or None while it runs; negative: the signal that killed it."""
        return self._process.poll()

    @property
    def has_crashed(self) -> bool:
        """Whether a signal ended it that nobody else sent."""
        code = self.exit_code
        return code is not None and code < 0 and code not in _BY_SOMEBODY_ELSE

    @property
    def death(self) -> str:
        """Words for people on how it ended."""
        code = self.exit_code
        if code is None or code >= 0:
            return f"ended with code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"was killed ({name})" if code in _BY_SOMEBODY_ELSE else f"crashed ({name})"

    @property
    def culprit(self) -> int | None:
        """The plugin whose code is running, or was when the process died of it."""
        number = self._marker[0]
        return None if number == NOBODY or self.exit_code in _BY_SOMEBODY_ELSE else number

    @property
    def last_words(self) -> str:
        """The last line that it, or a plugin in it, wrote to standard error."""
        return last_line(self._files[1])

    def take_answers(self) -> list[dict[str, Any]]:
        """Answers since the last call."""
        answers = []
        while not self._answers.empty():
            answers.append(self._answers.get())
        return answers

    def is_ready(self) -> bool:
        """Whether all is loaded; `take_answers` then gives what it said of each plugin.

        Raises:
            PluginError: one of them can't be had, or the process has ended.
        """
        if self._error:
            raise PluginError(self._error)
        if not self._is_ready.is_set() and self.exit_code is not None:
            self._listener.join(_ENDING_S)
            if self._error:
                raise PluginError(self._error)
            raise PluginError(f"the plugins' process {self.death}: {self.last_words or 'no reason given'}")
        if not self._is_ready.is_set() and time.monotonic() > self._give_up_s:
            raise PluginError(f"the plugins' process isn't ready after {_LOADING_S:g} s")
        return self._is_ready.is_set()

    def change(self, plugin: int, name: str, value: float) -> None:
        """Tell it about a parameter; never waits."""
        with self._has_changes:
            is_first = not self._changes
            self._changes[plugin, name] = value
            if is_first:
                self._has_changes.notify()

    def end(self) -> None:
        """End it; one that hangs is killed."""
        self._audio.close()
        self.kill(after_s=_ENDING_S)

    def kill(self, after_s: float = 0.0) -> bool:
        """Kill it where it does not end by itself; its socket stays open, for who may be about to use it.

        Returns:
            Whether it had to be killed.
        """
        has_hung = wait_or_kill(self._process, after_s)
        with self._has_changes:
            self._has_changes.notify()
        return has_hung

    def _listen(self) -> None:
        """Read its answers, for `take_answers`."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            self._error = answer.get("error", self._error)
            if "ready" in answer:
                self._is_ready.set()
            self._answers.put(answer)

    def _send(self, order: dict[str, Any]) -> None:
        """Send the order, then changes as they come; only the newest of each."""
        assert self._process.stdin is not None
        lines = [order]
        try:
            while self.exit_code is None:
                self._process.stdin.write("".join(json.dumps(line) + "\n" for line in lines).encode())
                self._process.stdin.flush()
                with self._has_changes:
                    self._has_changes.wait_for(lambda: self._changes or self.exit_code is not None, timeout=1.0)
                    changes, self._changes = self._changes, {}
                lines = [{"plugin": number, "name": name, "value": value} for (number, name), value in changes.items()]
        except OSError:
            return  # it has ended
