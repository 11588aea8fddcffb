"""The soak on virtual devices: hours of random faults from a seed, and ears that hear every sample."""

import gc
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from apollo_rt.config import Framing
from apollo_rt.inference.model import Model, load
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.supervision.reopening import Reopening
from benchmarks.measuring.machine import resident_mb
from benchmarks.soak import listening_device as device_module
from benchmarks.soak.listening_device import (
    BLOCK,
    DENORMAL,
    FLAGS,
    INFINITE,
    IS_VARYING,
    KEPT,
    KIND,
    LONGEST_NS,
    N_CALLS,
    N_CLICKS,
    N_SAMPLES,
    NOT_A_NUMBER,
    RATE,
    SILENCE,
    SINES,
    SQUARE,
    STALL_NS,
    VANISH,
    Memory,
    SoakDevice,
    compile_clock,
)
from tests.doubles import tiny_models
from tests.doubles.faulty_run import FaultyRun

_GROWTH_MB = 48.0
_CALM_S = 0.35
_PART, _LONGEST_LAG = 8192, 8192


class Soak:
    """One soak on virtual devices.

    Args:
        seed: of the schedule.
        speed: how much faster than real time the devices run.
        folder: for the models.

    Attributes:
        faults: how often each was injected.
        clicks: how many were heard after each.
        latencies: as measured from what was captured and played, in samples.
    """

    def __init__(self, seed: int, speed: float, folder: Path) -> None:
        self._random, self._speed = random.Random(seed), speed
        self._memory, self._hung = Memory(), False
        compile_clock(self._memory)
        self._framing = Framing(hop_length=256, analysis_length=1024)
        self._tiers = [self._model(folder, gain) for gain in (0.5, 0.25)]
        self._other = self._model(folder, 0.75)
        self.faults: Counter[str] = Counter()
        self.clicks: Counter[str] = Counter()
        self.latencies: list[int] = []
        reopening = Reopening(self._new_device)
        self.engine = Engine(
            self._tiers[0], self._new_device(), EngineSettings(headroom=2048), reopening=reopening,
            lighter={"light": self._tiers[1]},
        )  # fmt: skip

    def _model(self, folder: Path, gain: float) -> Model:
        own = folder / f"{gain}"
        own.mkdir()
        return load(tiny_models.gain(own, gain, self._framing))

    def _new_device(self) -> SoakDevice:
        hangs, self._hung = self._hung, False
        return SoakDevice(self._memory, self._speed, hangs)

    def run(self, n_samples: int) -> None:
        """Inject faults until the devices have moved so many samples."""
        actions = self._actions()
        with self.engine:
            while self._memory.control[N_SAMPLES] < n_samples:
                name = self._random.choice(list(actions))
                self.faults[name] += 1
                actions[name]()
                time.sleep(self._random.uniform(0.05, 0.2))
                self._calm_down()
                self._measure_latency()
                self._note_clicks(name)

    def _note_clicks(self, fault: str) -> None:
        n_clicks = int(self._memory.control[N_CLICKS]) - sum(self.clicks.values())
        if n_clicks:
            self.clicks[fault] += n_clicks

    def _actions(self) -> dict[str, Callable[[], None]]:
        period_s = BLOCK / RATE / self._speed

        def source(kind: int) -> Callable[[], None]:
            return lambda: self._set(KIND, kind)

        return {
            "worker late by 1 hop": lambda: self._faulty().be_late(period_s),
            "worker late by 10 hops": lambda: self._faulty().be_late(10 * period_s),
            "worker late by 2 s": lambda: self._faulty().be_late(2.0 / self._speed),
            "worker killed": self._kill_worker,
            "model answers NaN": lambda: self._faulty().answer(float("nan"), 3),
            "model answers 1e30": lambda: self._faulty().answer(1e30, 3),
            "input NaN": source(NOT_A_NUMBER),
            "input infinite": source(INFINITE),
            "input denormal": source(DENORMAL),
            "digital silence": source(SILENCE),
            "square wave": source(SQUARE),
            "block sizes change": lambda: self._set(IS_VARYING, self._random.randint(0, 1)),
            "device vanishes": lambda: self._set(VANISH, 1),
            "device vanishes and hangs": self._hang,
            "capture stalls": lambda: self._set(FLAGS, 1),
            "capture overruns": lambda: self._set(FLAGS, 2),
            "playback stalls": self._stall_playback,
            "suspended": lambda: self._set(STALL_NS, 1_000_000_000),
            "busy Python thread": lambda: _be_busy(0.3),
            "large heap collected": _collect,
            "model swapped": lambda: self.engine.swap_model(self._other),
            "model swapped back": lambda: self.engine.swap_model(self._tiers[0], {"light": self._tiers[1]}),
        }

    def _set(self, place: int, value: int) -> None:
        self._memory.control[place] = value

    def _faulty(self) -> FaultyRun:
        return FaultyRun(self.engine._runner.workers._processors[0])

    def _kill_worker(self) -> None:
        self.engine._runner.workers.tiers.control.generation = 2**60

    def _stall_playback(self) -> None:
        self._set(FLAGS, 4)
        self._set(STALL_NS, 30_000_000)

    def _hang(self) -> None:
        """Only what is opened next hangs: it says so when it is closed the time after."""
        self._hung = True
        self._set(VANISH, 1)

    def _calm_down(self) -> None:
        """Wait until it plays and restores again."""
        self._set(KIND, SINES)
        give_up_s = time.monotonic() + 120.0
        calls, hops = int(self._memory.control[N_CALLS]), self.engine.snapshot().hops
        while self._memory.control[N_CALLS] < calls + 200 or self.engine.snapshot().hops < hops + 100:
            if time.monotonic() > give_up_s:
                raise SystemExit(f"it does not come back after {self.faults.most_common()}")
            self.engine.wait(0.0)
            time.sleep(0.02)
        time.sleep(_CALM_S)

    def _measure_latency(self) -> None:
        """Measure where the output lies in the input, by cross-correlation of what both were last."""
        end = int(self._memory.control[N_SAMPLES]) - 2 * BLOCK
        played, captured = (
            self._memory.heard[row, np.arange(end - length, end) % KEPT].astype(np.float64)
            for row, length in ((1, _PART), (0, _PART + _LONGEST_LAG))
        )
        spectra = [np.fft.rfft(signal, 2 * (_PART + _LONGEST_LAG)) for signal in (captured, played)]
        likeness = np.fft.irfft(spectra[0] * np.conj(spectra[1]))[: _LONGEST_LAG + 1]
        self.latencies.append(_LONGEST_LAG - int(np.argmax(likeness)))

    def report(self, memory_mb: tuple[float, float]) -> bool:
        """Print what it came to; returns whether all is as it must be."""
        snapshot, control = self.engine.snapshot(), self._memory.control
        delay = snapshot.latency.stream
        print(f"{int(control[N_SAMPLES]) / RATE / 3600:.3f} h of sound, {sum(self.faults.values())} faults:")
        for name, count in sorted(self.faults.items()):
            print(f"  {count:6} {name}")
        rows = {
            "hops": snapshot.hops, "misses": snapshot.deadline_misses, "covered samples": snapshot.covered_samples,
            "jumps": snapshot.jumps, "silent hops": snapshot.silent_hops, "frame faults": snapshot.frame_faults,
            "xruns": snapshot.xruns, "silenced samples": snapshot.silenced_samples,
            "reconnections": snapshot.reconnections, "worker restarts": snapshot.worker_restarts,
            "tier changes": snapshot.tier_changes, "clicks": int(control[N_CLICKS]),
            "largest step": f"{self._memory.worst[0]:.4f} of {device_module.BOUND:.4f} allowed",
            "longest callback": f"{control[LONGEST_NS] / 1e6:.3f} ms",
            "latency": f"{min(self.latencies)} to {max(self.latencies)} samples, reported {delay}",
            "memory": f"{memory_mb[0]:.1f} MB at the start, {memory_mb[1]:.1f} MB at the end",
        }  # fmt: skip
        for name, count in self.clicks.items():
            rows[f"clicks after {name}"] = count
        for name, value in rows.items():
            print(f"{name:>18}: {value}")
        is_right = set(self.latencies) == {delay} and control[N_CLICKS] == 0
        return bool(is_right and memory_mb[1] - memory_mb[0] < _GROWTH_MB)


def _be_busy(seconds: float) -> None:
    end_s = time.monotonic() + seconds

    def count() -> None:
        while time.monotonic() < end_s:
            sum(range(1000))

    threading.Thread(target=count, daemon=True).start()


def _collect() -> None:
    heap = [[index] for index in range(200_000)]
    gc.collect()
    del heap


def run(hours: float, seed: int, speed: float) -> bool:
    """A soak on virtual devices; returns whether all was as it must be."""
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(seed, speed, Path(folder))
        soak.engine.prepare()
        begin_mb = resident_mb()
        soak.run(round(hours * 3600 * RATE))
        return soak.report((begin_mb, resident_mb()))
