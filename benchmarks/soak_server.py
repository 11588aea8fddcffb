"""The soak on a real sound server, in real time: a private PulseAudio, and the command of the README as a process."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from apollo_rt.inference.model_file import default_model_path
from benchmarks.soak import rss_mb
from tests.audio_servers import PulseServer, short_folder
from tests.test_audio_servers import COMMAND, LiveRun
from tests.test_faults_devices import load_sink, pactl, unload_sink

_GROWTH_MB = 64.0
_QUIET_S = (5.0, 12.0)


class ServerSoak:
    """Faults of a server and of the machine around a running program.

    Args:
        server: what the program plays to.
        daemon: its running process, as a context that has been entered.
        process: the same.
        run: the program.
        seed: of the schedule.

    Attributes:
        faults: how often each was injected.
    """

    def __init__(
        self,
        server: PulseServer,
        daemon: AbstractContextManager[subprocess.Popen],
        process: subprocess.Popen,
        run: LiveRun,
        seed: int,
    ) -> None:
        self._server, self._run, self._random = server, run, random.Random(seed)
        self.faults: Counter[str] = Counter()
        self.daemon, self.process = daemon, process

    def actions(self) -> dict[str, Callable[[], None]]:
        return {
            "sink unloaded, back at another rate": self._replug,
            "server killed and restarted": self._restart_server,
            "playback stalls": lambda: self._suspend("speakers"),
            "capture stalls": lambda: self._suspend("Loopback"),
            "program suspended": self._freeze,
            "all cores busy": self._be_busy,
        }

    def step(self) -> None:
        """One fault, and some quiet."""
        actions = self.actions()
        name = self._random.choice(list(actions))
        self.faults[name] += 1
        actions[name]()
        time.sleep(self._random.uniform(*_QUIET_S))

    def _replug(self) -> None:
        unload_sink(self._server, "speakers")
        time.sleep(self._random.uniform(0.5, 6.0))
        load_sink(self._server, "speakers", self._random.choice([44_100, 48_000, 96_000]))

    def _restart_server(self) -> None:
        self.process.kill()
        self.process.wait()
        self.daemon.__exit__(None, None, None)
        time.sleep(self._random.uniform(0.5, 6.0))
        self.daemon = self._server.started()
        self.process = self.daemon.__enter__()

    def _suspend(self, name: str) -> None:
        pactl(self._server, "suspend-sink", name, "1")
        time.sleep(self._random.uniform(0.2, 5.0))
        pactl(self._server, "suspend-sink", name, "0")

    def _freeze(self) -> None:
        self._run.process.send_signal(signal.SIGSTOP)
        time.sleep(self._random.uniform(0.2, 5.0))
        self._run.process.send_signal(signal.SIGCONT)

    def _be_busy(self) -> None:
        program = [sys.executable, "-c", "while True: pass"]
        others = [subprocess.Popen(program) for _ in range(2 * (os.cpu_count() or 1))]
        time.sleep(3.0)
        for process in others:
            process.kill()
            process.wait()


def run_on_server(hours: float, seed: int) -> bool:
    """A soak in real time; returns whether it still plays at the end, with the memory that it began with."""
    with short_folder() as folder, tempfile.TemporaryDirectory() as results:
        server, stats = PulseServer(folder), Path(results) / "stats.json"
        daemon = server.started()
        process = daemon.__enter__()
        with LiveRun([*COMMAND, "--stats-json", str(stats)], server.environment, default_model_path()) as run:
            run.wait_until_it_plays()
            soak = ServerSoak(server, daemon, process, run, seed)
            time.sleep(10.0)
            begin_mb, end_s = rss_mb(str(run.process.pid)), time.monotonic() + 3600 * hours
            while time.monotonic() < end_s and run.process.poll() is None:
                soak.step()
            time.sleep(_QUIET_S[1])
            end_mb = rss_mb(str(run.process.pid))
            code = run.end()
        soak.daemon.__exit__(None, None, None)
        print(run.text)
        return _report(soak.faults, json.loads(stats.read_text()), code, (begin_mb, end_mb))


def _report(faults: Counter[str], figures: dict[str, Any], code: int, mb: tuple[float, float]) -> bool:
    print(f"{figures['elapsed_s'] / 60:.1f} minutes, {sum(faults.values())} faults:")
    for name, count in sorted(faults.items()):
        print(f"  {count:6} {name}")
    names = (
        "samples", "hops", "deadline_misses", "covered_samples", "jumps", "xruns", "silenced_samples", "silent_hops",
        "reconnections", "worker_restarts", "tier_changes",
    )  # fmt: skip
    for name in names:
        print(f"{name:>18}: {figures[name]}")
    print(f"{'memory':>18}: {mb[0]:.1f} MB at the start, {mb[1]:.1f} MB at the end")
    print(f"{'exit code':>18}: {code}")
    return code == 0 and figures["device_state"] == "closed" and mb[1] - mb[0] < _GROWTH_MB
