"""Devices that vanish and return on a real sound server, under the command of the README: it plays again by itself."""

import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apollo_rt.config import Framing
from tests.doubles import tiny_models
from tests.doubles.audio_servers import RATE, JackServer, PulseServer, short_folder, wait_for
from tests.doubles.live_run import COMMAND, JackRun, LiveRun
from tests.doubles.pulse_sinks import load_sink, pactl, unload_sink

pytestmark = pytest.mark.server

PATIENCE_S = 600.0
"""Far more than a busy machine takes."""


def says(run: LiveRun, text: str, times: int = 1) -> None:
    assert wait_for(lambda: run.text.count(text) >= times, PATIENCE_S), run.text


def plays_at_speakers(server: PulseServer | JackServer, run: LiveRun) -> None:
    """A tone comes out, at half its level as the model makes it; two clocks may still be finding each other."""
    time_s = np.arange(3 * RATE) / RATE
    clip = np.repeat(0.4 * np.sin(2 * np.pi * 1000.0 * time_s), 2).reshape(-1, 2).astype(np.float32)
    heard = server.hear(clip).restored[:, 0]
    windows = heard[: len(heard) // 4410 * 4410].reshape(-1, 4410)
    spectra = np.abs(np.fft.rfft(windows * np.hanning(4410))) / (4410 / 4)
    tone = spectra[:, 98:103].max(axis=1)  # 1000 Hz, and up to 0.5 % beside it
    assert np.count_nonzero(np.abs(tone - 0.2) < 0.06) >= 20, f"{tone.round(2)}\n{run.text}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.gain(tmp_path_factory.mktemp("model"), 0.5, Framing())


def test_a_server_that_is_killed_and_a_sink_that_is_unloaded_and_returns_at_another_rate_are_played_to_again(
    model: Path, tmp_path: Path
) -> None:
    stats = tmp_path / "stats.json"
    with short_folder() as folder:
        server = PulseServer(folder)
        # Without an ALSA configuration the server's own ends are seen, with the rates that they really have.
        environment = {**server.environment, "ALSA_CONFIG_PATH": ""}
        arguments = ["run_live.py", "-i", "Monitor of Loopback", "-o", "speakers", "--stats-json", str(stats)]
        with server.started() as daemon, LiveRun(arguments, environment, model) as run:
            run.wait_until_it_plays()
            daemon.kill()
            says(run, "; trying again in 0.25 s")
            with server.started():
                says(run, "plays again")
                plays_at_speakers(server, run)
                unload_sink(server, "speakers")
                says(run, "the sound server moved the output to 'Loopback', which is what is captured; trying again")
                load_sink(server, "speakers", 48_000)
                says(run, "plays again", 2)
                plays_at_speakers(server, run)
                assert run.end() == 0, run.text
    assert not re.search("output resampling [1-9]", run.lines[0])
    check_return(json.loads(stats.read_text()), 2, run)


def test_a_jack_server_that_is_killed_and_returns_at_another_rate_is_played_to_again(
    model: Path, tmp_path: Path
) -> None:
    stats, server = tmp_path / "stats.json", JackServer()
    other = JackServer(rate=48_000, name=server.claimed)
    arguments = ["run_live.py", "-i", "system", "-o", "system", "--stats-json", str(stats)]
    with server.alone() as daemon, JackRun(arguments, server.environment, model) as run:
        run.wait_until_it_plays()
        daemon.kill()
        daemon.wait()  # JACK takes one that nobody buried for alive
        says(run, "stopped by itself; was it unplugged?; trying again in 0.25 s")
        with other.started():
            says(run, "plays again")
            other.lead_through("PortAudio")
            plays_at_speakers(other, run)
        assert run.end() == 0, run.text
    assert not re.search("output resampling [1-9]", run.lines[0])
    check_return(json.loads(stats.read_text()), 1, run)


def check_return(figures: dict[str, Any], n_times: int, run: LiveRun) -> None:
    """It was lost so many times and is at another rate now; the stream's own latency never moved, each line is ours."""
    assert figures["reconnections"] == n_times
    latency, words = figures["latency"], next(line for line in run.lines if "latency" in line)
    assert latency["output_resampling_ms"] > 1.0
    terms = {term: latency[f"{term}_ms"] for term in ("algorithmic", "rebuffering", "headroom")}
    assert all(f"{term} {ms:.1f}" in words for term, ms in terms.items()), f"{terms} {words}"
    assert latency["stream_samples"] == sum(latency[f"{term}_samples"] for term in terms)
    assert "Traceback" not in run.text
    assert not [line for line in run.lines if line.startswith(("Expression", "ALSA", "Cannot", "jack"))], run.text


@pytest.mark.parametrize("ends_it", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_while_it_waits_for_a_device_it_can_be_ended_by_a_signal(model: Path, ends_it: str) -> None:
    with short_folder() as folder:
        server = PulseServer(folder)
        with server.started() as daemon, LiveRun(COMMAND, server.environment, model) as run:
            run.wait_until_it_plays()
            daemon.kill()
            says(run, "trying again in")
            assert run.end(getattr(signal, ends_it)) == 0, run.text
    assert run.lines[-1].startswith("done: "), run.text


@pytest.mark.parametrize(
    ("option", "last"),
    [(["--no-reconnect"], ""), (["--give-up", "0.5"], "; gave up after 0.5 s")],
    ids=["no", "not long"],
)
def test_a_server_that_dies_ends_the_run_where_that_is_wanted(model: Path, option: list[str], last: str) -> None:
    with short_folder() as folder:
        server = PulseServer(folder)
        with server.started() as daemon, LiveRun([*COMMAND, *option], server.environment, model) as run:
            run.wait_until_it_plays()
            daemon.kill()
            assert run.wait() == 1, run.text
    assert run.lines[-1].startswith("error: "), run.text
    assert run.lines[-1].endswith(last)
    assert "Traceback" not in run.text


def test_the_default_device_is_followed_when_it_changes(model: Path) -> None:
    with short_folder() as folder:
        server = PulseServer(folder)
        arguments = ["run_live.py", "--input", "Loopback", "--output", "default", "--follow-default"]
        with server.started(), LiveRun(arguments, server.environment, model) as run:
            run.wait_until_it_plays()
            load_sink(server, "headphones", RATE)
            pactl(server, "set-default-sink", "headphones")
            says(run, "is no longer the default; following")
            used = _sink_of(server, run.process.pid)
            assert wait_for(lambda: used() == "headphones", PATIENCE_S), run.text
            assert run.end() == 0, run.text


def _sink_of(server: PulseServer, process_id: int) -> Callable[[], str]:
    """Asks to which sink a process plays."""

    def ask() -> str:
        inputs = json.loads(pactl(server, "--format=json", "list", "sink-inputs"))
        sinks = {sink["index"]: sink["name"] for sink in json.loads(pactl(server, "--format=json", "list", "sinks"))}
        ours = [i for i in inputs if i["properties"].get("application.process.id") == str(process_id)]
        return sinks.get(ours[0]["sink"], "") if ours else ""

    return ask


def test_a_stalled_sink_and_a_stalled_source_are_waited_for(model: Path) -> None:
    """The server suspends what is played to, then what is captured; both come back."""
    with short_folder() as folder:
        server = PulseServer(folder)
        with server.started(), LiveRun(COMMAND, server.environment, model) as run:
            run.wait_until_it_plays()
            for name in ("speakers", "Loopback"):  # a monitor stalls with its sink
                pactl(server, "suspend-sink", name, "1")
                time.sleep(4.0)
                pactl(server, "suspend-sink", name, "0")
                plays_at_speakers(server, run)
            assert run.end() == 0, run.text
