"""A radio from the command to its first sound, from a server that sends no burst; and its load beside a device's.

python -m pytest benchmarks/test_radio.py --benchmark-only

Bars of the project: the first sound at most 0.5 s later than the first whole frame or page allows, less what the
program's own start takes; processor time at most 1.2 times that of a run that captures from a device.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from apollo_rt.inference.model import Model
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.machine import ROOT
from benchmarks.measuring.note import note
from benchmarks.measuring.times import REPLAY, Times
from tests.doubles.encoded_files import encode, noise, ogg_pages
from tests.doubles.heard_radio import station_mp3
from tests.doubles.radio_server import RadioServer, said

BYTES_PER_S = 8000
"""64 kbit/s."""

PIECE_S = 0.02
STAGES = ("Python", "model loaded", "connected", "ready to play", "first sound")
_PATIENCE_S = 1800.0


def station(folder: Path, kind: str) -> tuple[bytes, float]:
    """Sound that a station of 64 kbit/s sends, and the seconds after which its first whole frame or page is there."""
    if kind == "MP3":
        data = station_mp3(folder / "a.mp3", 30.0).read_bytes()
        frame = 144 * 64_000 // 44_100
        return data[len(data) // 3 :], 2 * frame / BYTES_PER_S  # from the middle: one frame is broken
    path = encode(folder / "a.ogg", 0.3 * noise(30 * 48_000), "libopus", 48_000, options={"page_duration": "1000000"})
    pages = ogg_pages(path)
    n_bytes = int(np.cumsum([len(page) for page, _ in pages])[next(i for i, (_, clock) in enumerate(pages) if clock)])
    seconds = pages[-1][1] / 48_000
    return path.read_bytes(), n_bytes / (path.stat().st_size / seconds)


@contextmanager
def paced(data: bytes, bytes_per_s: float = BYTES_PER_S) -> Iterator[str]:
    """The address of a server that sends it over and over, in its own time."""

    def answer(connection: socket.socket, request: str) -> None:
        said(b"")(connection, request)
        begin_s, n_sent = time.monotonic(), 0
        while not server.stopping.wait(PIECE_S):
            n_due = int((time.monotonic() - begin_s) * bytes_per_s)
            connection.sendall(loop[np.arange(n_sent, n_due) % len(loop)].tobytes())
            n_sent = n_due

    loop = np.frombuffer(data, np.uint8)
    with RadioServer(live=answer) as server:
        yield server.url()


def first_sound(name: str | Path) -> dict[str, float]:
    """Seconds from the command to each stage."""
    command = [sys.executable, "-m", "benchmarks.programs.radio_sound", repr(time.monotonic()), str(name)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=_PATIENCE_S)
    stages: dict[str, float] = json.loads(done.stdout)
    assert tuple(stages) == STAGES
    return stages


@pytest.mark.benchmark(group="radio, to the first sound", timer=REPLAY)
@pytest.mark.parametrize("kind", ["MP3", "Ogg Opus, pages of 1 s"])
def test_first_sound_of_a_radio(
    benchmark: BenchmarkFixture, plan: Extent, model: Model, tmp_path: Path, kind: str
) -> None:
    """In turns with a file, whose start is what the program itself takes."""
    data, needed_s = station(tmp_path, kind)
    file = station_mp3(tmp_path / "file.mp3", 5.0)
    bytes_per_s = BYTES_PER_S if kind == "MP3" else len(data) / 30.0
    first_sound(file)
    radio: list[dict[str, float]] = []
    above: list[float] = []
    for _ in range(plan.starts):
        with paced(data, bytes_per_s) as url:
            radio.append(first_sound(url))
        above.append(radio[-1]["first sound"] - radio[-1]["connected"] - needed_s)
    own_s = float(np.median([first_sound(file)["first sound"] for _ in range(plan.starts)]))
    times = Times(np.array([run["first sound"] for run in radio]))
    REPLAY.play(benchmark, times)
    facts: dict[str, Any] = {
        "first_frame_or_page_s": round(needed_s, 3),
        "above_that_from_connecting_s": round(float(np.median(above)), 3),
        "of_a_file_s": round(own_s, 3),
        "stages_s": {stage: round(float(np.median([run[stage] for run in radio])), 3) for stage in STAGES},
    }
    note(benchmark, "radio", f"first sound, {kind}", times, model, **facts)


@pytest.mark.benchmark(group="radio, load")
def test_load_of_a_radio(benchmark: BenchmarkFixture, plan: Extent, model: Model, tmp_path: Path) -> None:
    """Processor seconds of a second of music; that of the station is another process's."""
    data, _ = station(tmp_path, "MP3")
    with paced(data) as url:
        command = [sys.executable, "-m", "benchmarks.programs.radio_load", str(plan.stream_s), url]
        done = benchmark.pedantic(
            subprocess.run,
            (command,),
            {"cwd": ROOT, "check": True, "capture_output": True, "text": True, "timeout": _PATIENCE_S},
        )
    found = json.loads(done.stdout)
    assert found["device"] > 0
    assert found["radio"] > 0
    note(benchmark, "radio", "load", model=model, **{name: round(value, 3) for name, value in found.items()})
