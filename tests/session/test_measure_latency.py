"""`live latency` on real sound servers: what a probe needs from output to input is what the report says."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apollo_rt.config import Framing
from tests import ROOT
from tests.doubles import tiny_models
from tests.doubles.audio_servers import JackServer, PulseServer, short_folder
from tests.doubles.child_priority import take_priority

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that ships would do; this one leaves the machine to the server."""
    return tiny_models.identity(tmp_path_factory.mktemp("model"), Framing())


def on_one_core() -> None:
    take_priority()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def measured(
    model: Path, environment: dict[str, str], source: str, target: str, before: Callable[[], None] = take_priority
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "run_live.py", "latency", "-i", source, "-o", target, "--model", str(model)]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300,
        preexec_fn=before,
    )  # fmt: skip


def check(done: subprocess.CompletedProcess[str]) -> float:
    """Eight bursts came back, after the reported latency, to a block; returns by how many ms later than that."""
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^([a-z ]+?) +([+-]?[\d.]+) ms", done.stdout, re.MULTILINE)
    names = [name for name, _ in rows]
    assert {"device input", "algorithmic", "rebuffering", "headroom", "device output"} < set(names)
    n_terms = names.index("reported")
    assert sum(float(value) for _, value in rows[:n_terms]) == pytest.approx(float(rows[n_terms][1]), abs=0.04)
    assert "within one block" in done.stdout
    assert "NOT within" not in done.stdout
    return float(dict(rows)["difference"])


def test_through_pulseaudio_the_measured_latency_is_the_reported_one_to_a_block(model: Path) -> None:
    with short_folder() as folder:
        server = PulseServer(folder)
        with server.started():
            check(measured(model, server.environment, "disguise", "speakers"))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no choice of cores here")
def test_on_one_core_a_thread_that_waits_for_the_server_does_not_keep_away_the_one_that_fetches(model: Path) -> None:
    with short_folder() as folder:
        server = PulseServer(folder)
        with server.started():
            check(measured(model, server.environment, "disguise", "speakers", on_one_core))


def test_where_the_output_cannot_be_heard_it_is_said(model: Path) -> None:
    with short_folder() as folder:
        server = PulseServer(folder)
        with server.started():
            done = measured(model, server.environment, "Loopback", "speakers")
    assert done.returncode == 1
    assert "0 of 8 bursts that were played to speakers (ALSA) were heard at Loopback (ALSA)" in done.stderr
    assert "Traceback" not in done.stderr


def test_through_jack_the_measured_latency_is_the_reported_one_to_a_block(model: Path, looped_jack: JackServer) -> None:
    """The cable is a part of the loop: JACK can't call it before and after us in one cycle, which makes it a period."""
    delay = looped_jack.cable_delay()
    assert delay == looped_jack.period
    difference_ms = check(measured(model, looped_jack.environment, "cable", "cable"))
    assert difference_ms == pytest.approx(1e3 * delay / looped_jack.rate, abs=0.01)


@pytest.fixture
def looped_jack() -> Iterator[JackServer]:
    """A JACK server with a cable from output to input."""
    server = JackServer()
    with server.started(), server.cable():
        yield server


def test_a_file_at_either_end_is_refused(model: Path, tmp_path: Path) -> None:
    done = measured(model, {}, "demo", str(tmp_path / "out.wav"))
    assert done.returncode == 1
    assert (
        done.stderr.splitlines()[-1]
        == "error: a measurement of the latency needs a device at both endpoints, got a file"
    )
    assert list(tmp_path.iterdir()) == []
