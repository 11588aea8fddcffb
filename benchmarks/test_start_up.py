"""From the command to the first sound: after an install, when everything is compiled, and ever after; then memory.

python -m pytest benchmarks/test_start_up.py --benchmark-only
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from apollo_rt.inference.model import Model
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.machine import ROOT
from benchmarks.measuring.note import note
from benchmarks.measuring.times import REPLAY, Times

STAGES = ("Python", "import apollo_rt", "model loaded", "ready to play", "first sound")
_PATIENCE_S = 1800.0


def first_sound(cache: Path | None = None) -> dict[str, float]:
    """Seconds from the command to each stage, with the compiled code in `cache`, or where it is kept normally."""
    environment = os.environ | ({"NUMBA_CACHE_DIR": str(cache)} if cache else {})
    command = [sys.executable, "-m", "benchmarks.programs.first_sound", repr(time.monotonic())]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True, timeout=_PATIENCE_S
    )
    stages: dict[str, float] = json.loads(done.stdout)
    assert tuple(stages) == STAGES
    assert list(stages.values()) == sorted(stages.values())
    return stages


@pytest.mark.benchmark(group="start-up, to the first sound", timer=REPLAY)
@pytest.mark.parametrize("start", ["warm cache", "cold cache"])
def test_first_sound(benchmark: BenchmarkFixture, plan: Extent, model: Model, tmp_path: Path, start: str) -> None:
    is_cold = start == "cold cache"
    if is_cold and not plan.is_cold:
        pytest.skip("compiling everything takes a minute")
    if not is_cold:
        first_sound()
    runs = [first_sound(tmp_path if is_cold else None) for _ in range(1 if is_cold else plan.starts)]
    times = Times(np.array([run["first sound"] for run in runs]))
    REPLAY.play(benchmark, times)
    stages = {stage: round(float(np.median([run[stage] for run in runs])), 3) for stage in STAGES}
    note(benchmark, "start-up", start, times, model, stages_s=stages)


@pytest.mark.benchmark(group="memory")
def test_memory_at_rest_and_after_an_hour(benchmark: BenchmarkFixture, plan: Extent, model: Model) -> None:
    """Of a process with the engine alone in it. What is timed is the whole run."""
    command = [sys.executable, "-m", "benchmarks.programs.resident", "--minutes", str(plan.virtual_minutes)]
    done = benchmark.pedantic(
        subprocess.run, (command,), {"cwd": ROOT, "check": True, "capture_output": True, "text": True, "timeout": 7200}
    )
    found = json.loads(done.stdout)
    assert found["loaded_mb"] <= found["at_rest_mb"] + 1.0
    assert found["hops"] >= plan.virtual_minutes * 60 / model.framing.hop_period_s - 1
    note(benchmark, "memory", "engine", model=model, **found)
