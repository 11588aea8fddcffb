"""The command of the README on real sound servers: what is heard at the loudspeaker is the file restored off line."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from apollo_rt.config import Framing
from apollo_rt.devices.device import Device, describe_devices, find_device
from apollo_rt.devices.loopback import with_server
from apollo_rt.devices.pulse import read_server
from apollo_rt.errors import ModelFileError
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.files.offline import restore_file
from apollo_rt.files.output_format import OutputSettings
from apollo_rt.inference.model_file import default_model_path
from apollo_rt.session.endpoints import input_file
from tests import ROOT
from tests.doubles import tiny_models
from tests.doubles.audio_servers import RATE, Heard, JackServer, PulseServer, short_folder, take_priority, wait_for

COMMAND = ["run_live.py", "--input", "Loopback", "--output", "speakers"]
CLIP_S = 6.0
LARGE_BUFFERS = {"APOLLO_RT_LIVE_BLOCK_SIZE": "2048", "APOLLO_RT_LIVE_HEADROOM": "22050"}
"""So that a busy machine can keep up; by the environment, so that the command stays the README's to the letter."""
WINDOW = 4096
_MOST_APART = 0.002
"""Two clocks, and the steering until it has locked, as a share of the time."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that ships with the package; until there is one, a tiny one that shows everything out of step."""
    try:
        return default_model_path()
    except ModelFileError:
        return tiny_models.busy(tmp_path_factory.mktemp("model"), Framing())


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """The beginning of the demo: music that a codec damaged, at half its level so that nothing is clipped."""
    with AudioReader(input_file("demo")) as reader:
        return np.ascontiguousarray(0.5 * reader.read(round(CLIP_S * RATE)))


@pytest.fixture(scope="module")
def restored(clip: np.ndarray, model: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The clip, restored off line."""
    from apollo_rt.inference.model import load

    folder = tmp_path_factory.mktemp("offline")
    source, target = folder / "clip.wav", folder / "restored.wav"
    with AudioWriter(source, RATE, settings=OutputSettings(float_wav=True)) as writer:
        writer.write(clip)
    restore_file(source, target, load(model), output=OutputSettings(float_wav=True))
    with AudioReader(target) as reader:
        return reader.read(len(clip))


@pytest.fixture(scope="module")
def pulse() -> Iterator[PulseServer]:
    with short_folder() as folder:
        server = PulseServer(folder)
        with server.started():
            yield server


@pytest.fixture(scope="module")
def jack() -> Iterator[JackServer]:
    server = JackServer()
    with server.started():
        yield server


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
        assert wait_for(lambda: "latency" in self.text or self.process.poll() is not None, 180)
        assert self.process.poll() is None, self.text

    def end(self, signal_number: int = signal.SIGTERM) -> int:
        """Ask it to end; the exit code."""
        self.process.send_signal(signal_number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(60)
        self._thread.join()
        return code

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip())


def lag_of(part: np.ndarray, whole: np.ndarray) -> int:
    """Where a part begins in a whole, by cross-correlation."""
    n = 1 << (len(part) + len(whole)).bit_length()
    spectra = [np.fft.rfft(samples.mean(axis=1, dtype=np.float64), n) for samples in (part, whole)]
    return int(np.argmax(np.fft.irfft(spectra[1] * np.conj(spectra[0]), n)[: len(whole)]))


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Normalised correlation: 1 for the same sound at any level."""
    return float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b) + 1e-20))


def treble_db(samples: np.ndarray, cutoff_hz: float = 11_025.0) -> float:
    """Energy above a frequency."""
    power = np.abs(np.fft.rfft(samples.mean(axis=1))) ** 2
    return float(10 * np.log10(np.sum(power[np.fft.rfftfreq(len(samples), 1 / RATE) >= cutoff_hz]) + 1e-20))


def windows_of(part: np.ndarray, whole: np.ndarray, begin: int, apart: float) -> list[tuple[int, float]]:
    """For each window of a part, by how much later it is in the whole than it should be, and how like.

    Args:
        part: what should be there.
        whole: where it is.
        begin: where in the whole it begins, on average.
        apart: how much longer or shorter it may have become, as a share.
    """
    found, most = [], round(apart * len(part) / 2)
    for start in range(0, len(part) - WINDOW + 1, WINDOW):
        first = begin + start - most
        around = whole[max(first, 0) : first + WINDOW + 2 * most].mean(axis=1, dtype=np.float64)
        window = part[start : start + WINDOW].mean(axis=1, dtype=np.float64)
        energies = np.convolve(around**2, np.ones(WINDOW), "valid")
        alike = np.correlate(around, window, "valid") / np.sqrt(energies * np.sum(window**2) + 1e-20)
        best = int(np.argmax(alike))
        found.append((best - min(most, begin + start), float(alike[best])))
    return found


def check(heard: Heard, stats: dict, clip: np.ndarray, restored: np.ndarray) -> None:
    """Same music, restored, at the reported latency, without a gap."""
    at_source, at_speakers = lag_of(clip, heard.source), lag_of(restored, heard.restored)
    same = heard.restored[at_speakers : at_speakers + len(restored)]
    found = windows_of(restored, heard.restored, at_speakers, 0 if stats["clocks"] is None else _MOST_APART)
    shifts, likenesses = np.array(found).T
    heard_after, reported = at_speakers - at_source, stats["latency"]["total_ms"] * RATE / 1e3
    counts = {name: stats[name] for name in ("deadline_misses", "covered_samples", "jumps", "xruns", "samples")}
    print(
        f"\nheard after {heard_after} samples, reported {reported:.1f}; likeness of {len(found)} windows at least "
        f"{likenesses.min():.4f}, shifted by {shifts.min():.0f} to {shifts.max():.0f}; treble "
        f"{treble_db(same):.1f} dB, off line {treble_db(restored):.1f} dB, source {treble_db(clip):.1f} dB; {counts}"
    )
    # Each window sits where the first one does: had the latency moved, or a piece been lost, the rest would be unlike.
    # Of two clocks the later ones are shifted, by parts of a sample too, and a busy server may let the ring run dry.
    has_one_clock = stats["clocks"] is None
    assert np.mean(likenesses) > (0.98 if has_one_clock else 0.9)
    assert np.mean(likenesses > 0.9) > (0.95 if has_one_clock else 0.8), likenesses
    assert abs(treble_db(same) - treble_db(restored)) < 2.0
    assert heard_after == pytest.approx(reported, abs=heard.error + 1)
    assert stats["covered_samples"] < 0.02 * stats["samples"]


def check_recording(folder: Path, clip: np.ndarray, restored: np.ndarray) -> None:
    """What came in and what was heard lie in two files, in step to the sample."""
    recorded = []
    for path in sorted(folder.iterdir()):
        with AudioReader(path) as reader:
            recorded.append(reader.read(10**9))
    dry, wet = recorded
    lag = lag_of(clip, dry)
    print(f"recorded {len(dry) / RATE:.1f} s; the clip begins at sample {lag} of dry, {lag_of(restored, wet)} of wet")
    assert len(dry) == len(wet)
    assert lag_of(restored, wet) == pytest.approx(lag, abs=4)
    dry_windows, wet_windows = (
        np.array(windows_of(part, whole, lag, _MOST_APART)) for part, whole in ((clip, dry), (restored, wet))
    )
    # Both are what two clocks made of it, and the same at every moment.
    assert np.median(np.abs(dry_windows[:, 0] - wet_windows[:, 0])) <= 1.0
    assert np.mean(dry_windows[:, 1]) > 0.95
    assert np.mean(wet_windows[:, 1]) > 0.95


def test_over_pulseaudio_the_loudspeaker_plays_what_the_file_would_be(
    pulse: PulseServer, model: Path, clip: np.ndarray, restored: np.ndarray, tmp_path: Path
) -> None:
    options = ["--stats-json", str(tmp_path / "stats.json"), "--record", str(tmp_path / "recorded")]
    with LiveRun([*COMMAND, *options], pulse.environment, model) as run:
        run.wait_until_it_plays()
        heard = pulse.hear(clip, lead_s=5.0)
        assert run.end() == 0, run.text
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert (stats["input_name"], stats["output_name"]) == ("Loopback (ALSA)", "speakers (ALSA)")
    check(heard, stats, clip, restored)
    check_recording(tmp_path / "recorded", clip, restored)


def test_over_jack_the_loudspeaker_plays_what_the_file_would_be(
    jack: JackServer, model: Path, clip: np.ndarray, restored: np.ndarray, tmp_path: Path
) -> None:
    with LiveRun([*COMMAND, "--stats-json", str(tmp_path / "stats.json")], jack.environment, model) as run:
        run.wait_until_it_plays()
        heard = jack.hear(clip)
        assert run.end(signal.SIGINT) == 0, run.text
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert "JACK" in stats["input_name"]
    assert "JACK" in stats["output_name"]
    check(heard, stats, clip, restored)


def test_the_servers_sinks_are_devices_without_any_alsa_configuration(pulse: PulseServer, model: Path) -> None:
    environment = {**pulse.environment, "ALSA_CONFIG_PATH": ""}
    with LiveRun([*COMMAND, "--duration", "0.5"], environment, model) as run:
        assert run.wait() == 0, run.text
    assert "Monitor of Loopback (PulseAudio) -> speakers (PulseAudio), " in run.text


def test_sinks_are_found_by_names_in_any_script_and_twins_by_their_second_names(
    pulse: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, description in (
        ("geraet", "Gérät"), ("naushniki", "Наушники Büro"), ("usb-1", "USB Audio"), ("usb-2", "USB Audio"),
    ):  # fmt: skip
        pulse.add_sink(name, description)
    for name, value in pulse.environment.items():
        monkeypatch.setenv(name, value)
    server = read_server()
    sinks = {sink.name: sink.description for sink in server.sinks}
    assert (sinks["geraet"], sinks["naushniki"]) == ("Gérät", "Наушники Büro")
    assert server.monitored_sink("naushniki.monitor") == "naushniki"
    devices = with_server([Device(0, "pulse", "ALSA", 2, 2)], server)
    for typed, sink in (("gérät", "geraet"), ("НАУШНИКИ", "naushniki"), ("USB Audio [usb-2]", "usb-2")):
        assert find_device(devices, typed, "output").environment == (("PULSE_SINK", sink),)
    listed = "\n".join(describe_devices(devices))
    assert "Monitor of Gérät " in listed
    assert "USB Audio [usb-1] " in listed


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        pytest.param("default", "default", "'default' hears what 'default' plays", id="known by name"),
        pytest.param("disguise", "speakers", "from the very output 'speakers'", id="known only to the server"),
    ],
)
def test_a_loop_through_the_server_is_refused(
    pulse: PulseServer, model: Path, source: str, target: str, reason: str
) -> None:
    with LiveRun(["run_live.py", "--input", source, "--output", target], pulse.environment, model) as run:
        assert run.wait() == 1, run.text
    assert run.lines[-1].startswith("error: feedback: ")
    assert reason in run.lines[-1]
