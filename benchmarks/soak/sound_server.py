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

import numpy as np

from apollo_rt.inference.model_file import default_model_path
from apollo_rt.live.realtime.counters import XRUNS
from benchmarks.measuring.machine import resident_mb
from tests.doubles.audio_servers import RATE, PulseServer, short_folder
from tests.doubles.comparison import lag_of, likeness
from tests.doubles.live_run import LiveRun
from tests.doubles.pulse_sinks import load_sink, pactl, unload_sink

_COMMAND = ["run_live.py", "--fresh", "--input", "Monitor of Loopback", "--output", "speakers"]
_GROWTH_MB = 64.0
_QUIET_S = (3.0, 8.0)
_EARS_S = 0.02
"""How exactly the ears know when they heard something."""
_LEAD_S = 5.0
"""How long the ears listen before they judge: that they begin moves the server's hand-overs, see `PulseServer.hear`."""
_HEARD = 0.5
_ATTEMPTS = 12


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
        latencies: from the source to the speakers in ms, as heard after each fault, by the speakers' rate.
        n_unheard: how often nothing came through for a long while.
    """

    def __init__(
        self,
        server: PulseServer,
        daemon: AbstractContextManager[subprocess.Popen[bytes]],
        process: subprocess.Popen[bytes],
        run: LiveRun,
        seed: int,
    ) -> None:
        self._server, self._run, self._random = server, run, random.Random(seed)
        self.faults: Counter[str] = Counter()
        self.latencies: dict[int, list[float]] = {}
        self.n_unheard = 0
        self.daemon, self.process = daemon, process
        self._rate = RATE
        time_s = np.arange(RATE) / RATE
        noise = np.random.default_rng(seed).standard_normal(RATE)
        envelope = np.minimum(1.0, 20 * np.minimum(time_s, 1.0 - time_s))
        spectrum = np.fft.rfft(noise)
        spectrum[4000:] = 0.0
        sound = np.fft.irfft(spectrum, RATE) * envelope
        self._clip = np.repeat(0.3 * sound / np.abs(sound).max(), 2).reshape(-1, 2).astype(np.float32)

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
        self._listen()

    def _listen(self) -> None:
        """Play noise where the program captures, and find it at the speakers."""
        for _ in range(_ATTEMPTS):
            heard = self._server.hear(self._clip, _LEAD_S)
            source, restored = (_find(self._clip, ear) for ear in (heard.source, heard.restored))
            if source is not None and restored is not None:
                self.latencies.setdefault(self._rate, []).append(1e3 * (restored - source) / RATE)
                return
            if self._run.process.poll() is not None:
                break
            time.sleep(1.0)
        self.n_unheard += 1

    def _replug(self) -> None:
        unload_sink(self._server, "speakers")
        time.sleep(self._random.uniform(0.5, 6.0))
        self._rate = self._random.choice([44_100, 48_000, 96_000])
        load_sink(self._server, "speakers", self._rate)

    def _restart_server(self) -> None:
        self.process.kill()
        self.process.wait()
        self.daemon.__exit__(None, None, None)
        time.sleep(self._random.uniform(0.5, 6.0))
        self.daemon = self._server.started()
        self.process = self.daemon.__enter__()
        self._rate = RATE

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


def _find(clip: np.ndarray, heard: np.ndarray) -> int | None:
    """Place where a clip begins in what was heard, if it is there."""
    if len(heard) < len(clip):
        return None
    begin = lag_of(clip, heard)
    part = heard[begin : begin + len(clip)]
    return begin if likeness(part, clip[: len(part)]) >= _HEARD else None


def run_on_server(hours: float, seed: int) -> bool:
    """A soak in real time; returns whether it still plays at the end, with the memory that it began with."""
    with short_folder() as folder, tempfile.TemporaryDirectory() as results:
        server, stats = PulseServer(folder), Path(results) / "stats.json"
        # Without an ALSA configuration the server's own ends are seen, with the rates that they really have.
        environment = {**server.environment, "ALSA_CONFIG_PATH": ""}
        daemon = server.started()
        process = daemon.__enter__()
        with LiveRun([*_COMMAND, "--stats-json", str(stats)], environment, default_model_path(), {}) as run:
            run.wait_until_it_plays()
            soak = ServerSoak(server, daemon, process, run, seed)
            time.sleep(10.0)
            begin_mb, end_s = resident_mb(str(run.process.pid)), time.monotonic() + 3600 * hours
            while time.monotonic() < end_s and run.process.poll() is None:
                soak.step()
            time.sleep(_QUIET_S[1])
            end_mb = resident_mb(str(run.process.pid))
            code = run.end()
        soak.daemon.__exit__(None, None, None)
        print(run.text)
        return _report(soak, json.loads(stats.read_text()), code, (begin_mb, end_mb))


def _report(soak: ServerSoak, figures: dict[str, Any], code: int, mb: tuple[float, float]) -> bool:
    print(f"{figures['elapsed_s'] / 60:.1f} minutes, {sum(soak.faults.values())} faults:")
    for name, count in sorted(soak.faults.items()):
        print(f"  {count:6} {name}")
    names = (
        "samples", "hops", "deadline_misses", "covered_samples", "jumps", "xruns", *XRUNS, "silenced_samples",
        "silent_hops", "reconnections", "worker_restarts", "tier_changes",
    )  # fmt: skip
    rows = {name: figures[name] for name in names}
    rows["longest callback"] = f"{figures['callback_ms']['max']:.3f} ms (p99.9 {figures['callback_ms']['p999']:.3f})"
    for rate, latencies in sorted(soak.latencies.items()):
        bounds = f"{min(latencies):.0f} to {max(latencies):.0f} ms, {len(latencies)} times"
        shares = " / ".join(f"{value:.0f}" for value in np.percentile(latencies, (5, 50, 95)))
        rows[f"latency at {rate}"] = f"{bounds} (5 % / 50 % / 95 %: {shares}), each +-{1e3 * _EARS_S:.0f} ms"
    rows["latency reported"] = f"{figures['latency']['total_ms']:.1f} ms (of the devices at the end)"
    if correction := figures["gauges"].get("correction_ppm"):
        rows["correction"] = f"{correction['least']:.0f} to {correction['most']:.0f} ppm"
    rows["not heard"] = soak.n_unheard
    rows["memory"] = f"{mb[0]:.1f} MB at the start, {mb[1]:.1f} MB at the end"
    rows["exit code"] = code
    for name, value in rows.items():
        print(f"{name:>18}: {value}")
    plays = code == 0 and figures["device_state"] == "closed" and soak.n_unheard == 0
    return plays and mb[1] - mb[0] < _GROWTH_MB
