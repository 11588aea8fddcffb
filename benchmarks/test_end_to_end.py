"""Latency from end to end: what the report says in terms, beside what an impulse or a probe needed, by block size.

Virtual: impulses through the engine between two channels in and two out, in real time. PulseAudio and JACK: private
servers, and `run_live.py latency` as anybody would run it on a sound card with a cable.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from apollo_rt.inference.model import Model
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.settings_trial import default_headroom
from benchmarks.measuring.machine import ROOT
from benchmarks.measuring.note import note
from benchmarks.measuring.recording_device import RecordingDevice
from benchmarks.measuring.times import REPLAY, Times
from tests.doubles.audio_servers import JackServer, PulseServer, need, short_folder

N_IMPULSES = 8
SPACING_S = 0.25
SECONDS = 300
_ROW = re.compile(r"^([a-z ]+?) +([+-]?[\d.]+) ms(?: +\(([\d.]+) to ([\d.]+)\))?", re.MULTILINE)


@pytest.mark.benchmark(group="latency, virtual device", timer=REPLAY)
def test_virtual_device(benchmark: BenchmarkFixture, model: Model, block_size: int) -> None:
    """Must be the reported latency to the sample, whatever was missed meanwhile: what covers it is as late."""
    rate = model.framing.sample_rate
    places = np.round(rate * SPACING_S * (1 + np.arange(N_IMPULSES))).astype(int)
    n_samples = -(-(places[-1] + rate) // block_size) * block_size
    samples = np.zeros((n_samples, 2), np.float32)
    samples[places] = 0.5
    device = RecordingDevice(samples, block_size, rate)
    engine = Engine(model, device, EngineSettings(headroom=default_headroom(block_size)))
    with engine:
        while not device.is_done:
            time.sleep(0.05)
        missed = engine.snapshot().deadline_misses
    reported = engine.latency
    longest = round(SPACING_S * rate)
    lags = [int(np.argmax(np.abs(device.played[place : place + longest, 0]))) for place in places]
    assert lags == [reported.stream] * N_IMPULSES
    times = Times(np.array(lags) / rate)
    REPLAY.play(benchmark, times)
    note(
        benchmark, "latency", f"virtual, {block_size}", times, model, device="virtual", block_size=block_size,
        terms_ms={term.name: round(term.ms, 3) for term in reported.terms()},
        reported_ms=round(reported.total_ms, 3), measured_ms=round(1e3 * lags[0] / rate, 3),
        difference_ms=round(1e3 * lags[0] / rate - reported.total_ms, 3), missed_hops=missed,
    )  # fmt: skip


@pytest.fixture(scope="module")
def pulse() -> Iterator[PulseServer]:
    need("pulseaudio")
    with short_folder() as folder:
        server = PulseServer(folder)
        with server.started():
            yield server


@pytest.mark.benchmark(group="latency, PulseAudio", timer=REPLAY)
def test_pulseaudio(benchmark: BenchmarkFixture, model: Model, pulse: PulseServer, block_size: int) -> None:
    ends = "disguise", "speakers"
    note_round_trip(benchmark, model, "PulseAudio", block_size, measured(pulse.environment, ends, block_size))


@pytest.mark.benchmark(group="latency, JACK", timer=REPLAY)
def test_jack(benchmark: BenchmarkFixture, model: Model, block_size: int) -> None:
    """The server works with blocks of the same size."""
    pytest.importorskip("jack")
    server = JackServer(block_size)
    with server.started(), server.cable():
        done = measured(server.environment, ("cable", "cable"), block_size)
    note_round_trip(benchmark, model, "JACK", block_size, done)


def measured(environment: dict[str, str], ends: tuple[str, str], block_size: int) -> subprocess.CompletedProcess[str]:
    source, target = ends
    command = [sys.executable, "run_live.py", "latency", "-i", source, "-o", target]
    return subprocess.run(
        [*command, "--block-size", str(block_size)], cwd=ROOT, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip


def note_round_trip(
    benchmark: BenchmarkFixture, model: Model, device: str, block_size: int, done: subprocess.CompletedProcess[str]
) -> None:
    """Note what it said; a device that can't do a block size is no fault of the benchmark, and is told as such."""
    rows = {name: [float(value) for value in values if value] for name, *values in _ROW.findall(done.stdout)}
    assert done.returncode == 0 or done.stderr.strip(), "it failed without a word"
    common: dict[str, Any] = {"device": device, "block_size": block_size}
    if "measured" not in rows:
        REPLAY.play(benchmark, Times(np.zeros(1)))
        reason = done.stderr.strip().splitlines()[-1]
        note(benchmark, "latency", f"{device}, {block_size}", model=model, **common, failed=reason)
        return
    names = list(rows)
    terms = {name: rows[name][0] for name in names[: names.index("reported")]}
    assert sum(terms.values()) == pytest.approx(rows["reported"][0], abs=0.05)
    times = Times(np.array(rows["measured"]) / 1e3)
    REPLAY.play(benchmark, times)
    note(
        benchmark, "latency", f"{device}, {block_size}", times, model, **common, terms_ms=terms,
        reported_ms=rows["reported"][0], measured_ms=rows["measured"][0], difference_ms=rows["difference"][0],
        is_within_a_block="NOT within" not in done.stdout,
    )  # fmt: skip
