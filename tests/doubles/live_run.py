"""The command of the README as a process of its own, beside a private sound server."""

import os
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


class LiveRun:
    """`python run_live.py ...` as a process of its own."""

    def __init__(
        self, arguments: list[str], environment: dict[str, str], model: Path, buffers: dict[str, str] = LARGE_BUFFERS
    ) -> None:
        settings = {"APOLLO_RT_LIVE_MODEL": str(model), **buffers}
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **environment, **settings},
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
        code = self.process.wait(300)
        self._thread.join()
        return code

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
