"""The command of the README as a process of its own, beside a private sound server."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests import ROOT
from tests.doubles.audio_servers import wait_for
from tests.doubles.child_priority import take_priority

COMMAND = ["run_live.py", "--input", "Loopback", "--output", "speakers"]
LARGE_BUFFERS = {"APOLLO_RT_LIVE_BLOCK_SIZE": "2048", "APOLLO_RT_LIVE_HEADROOM": "22050"}
"""So that a busy machine can keep up; by the environment, so that the command stays the README's to the letter."""


_N_BEGINNINGS = 10


class LiveRun:
    """`python run_live.py ...` as a process of its own."""

    def __init__(
        self, arguments: list[str], environment: dict[str, str], model: Path, buffers: dict[str, str] = LARGE_BUFFERS
    ) -> None:
        settings = {"APOLLO_RT_LIVE_MODEL": str(model), **buffers}
        self._command = [sys.executable, *arguments]
        self._environment = {**os.environ, **environment, **settings}
        self._begin()

    def _begin(self) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=take_priority,
        )
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def __enter__(self) -> "LiveRun":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._thread.join()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_until_it_plays(self) -> None:
        assert wait_for(lambda: "latency" in self.text or self.process.poll() is not None, 600)
        assert self.process.poll() is None, self.text

    def end(self, signal_number: int = signal.SIGTERM) -> int:
        """Ask it to end; the exit code."""
        self.process.send_signal(signal_number)
        return self.wait()

    def wait(self) -> int:
        try:
            code = self.process.wait(300)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"does not end\n{self._stacks()}\n{self.text}") from None
        self._thread.join()
        return code

    def _stacks(self) -> str:
        """Stacks of all its threads, where there is a debugger; else in which calls of the system they wait."""
        if gdb := shutil.which("gdb"):
            command = [gdb, "-p", str(self.process.pid), "-batch", "-ex", "thread apply all backtrace 20"]
            return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
        tasks = Path(f"/proc/{self.process.pid}/task")
        return "\n".join(f"{task.name} {(task / 'comm').read_text().strip()}: {(task / 'wchan').read_text()}"
                         for task in tasks.iterdir())  # fmt: skip

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip())


class JackRun(LiveRun):
    """The same beside a JACK server, which gives up a newcomer that does not answer within 2 s (its `SOCKET_TIME_OUT`).

    On a machine that is so busy PortAudio has no JACK then, and the run ends; it is begun anew.
    """

    def wait_until_it_plays(self) -> None:
        """As it says; each time the run was given up, it is begun anew."""
        for _ in range(_N_BEGINNINGS):
            wait_for(lambda: "latency" in self.text or self.process.poll() is not None, 600)
            if "latency" in self.text:
                return
            self._thread.join()
            assert "no device fits" in self.text, self.text
            self._begin()
        raise AssertionError(self.text)
