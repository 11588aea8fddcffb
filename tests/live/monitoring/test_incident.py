"""Incidents: when something is missed, the last ten seconds are written down whole, aligned to the sample."""

import json

import numpy as np
import pytest
import soundfile

from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.monitoring import incident
from apollo_rt.live.monitoring.incident import IncidentWriter, write_recording
from apollo_rt.live.monitoring.tap import Tap
from tests.doubles import tiny_models
from tests.doubles.hand_driver import HandDriver
from tests.doubles.sounds import noise
from tests.doubles.stepped import Stepped

FRAMING = tiny_models.MEDIUM
HOP = 256
KEPT = 11 * 44_100


@pytest.fixture(scope="module")
def model(busy):
    """A model with a memory: a state that is wrong by one hop shows."""
    return busy


def recorded(folder):
    """Facts, input and output of an incident's folder."""
    assert sorted(path.name for path in folder.iterdir()) == ["incident.json", "input.wav", "output.wav"]
    sounds = [
        soundfile.read(folder / f"{name}.wav", dtype="float32", always_2d=True)[0] for name in ("input", "output")
    ]
    return json.loads((folder / "incident.json").read_text()), *sounds


@pytest.mark.parametrize("block_size", [64, 256, 700])
@pytest.mark.parametrize("n_samples", [100 * HOP + 17, 13 * 44_100])
def test_the_last_ten_seconds_are_written_and_input_and_output_lie_on_each_other(
    model, tmp_path, block_size, n_samples
):
    stream, samples = Stepped(model, block_size, kept_samples=KEPT), noise(n_samples)
    played = stream.play(samples, block_size)
    write_recording(tmp_path, stream.shared, {})
    facts, before, after = recorded(tmp_path)
    begin, end, delay = facts["begin"], facts["end"], facts["delay"]
    assert (begin, end, delay) == (max(n_samples - 441_000, 0), n_samples, stream.delay)
    np.testing.assert_array_equal(after, played[begin:end])
    late = np.concatenate([np.zeros((delay, 2), np.float32), samples])
    np.testing.assert_array_equal(before, late[begin:end])


def test_what_was_covered_is_in_the_recording_as_it_was_heard(model, tmp_path):
    stream, samples = Stepped(model, 256, kept_samples=KEPT), noise(200 * HOP)
    stream.play(samples[: 100 * HOP])
    for begin in range(100 * HOP, 120 * HOP, HOP):
        stream.call(samples[begin : begin + HOP])  # the worker does nothing meanwhile
    write_recording(tmp_path, stream.shared, {})
    _, before, after = recorded(tmp_path)
    assert stream.stats["deadline_misses"] > 0
    np.testing.assert_array_equal(after[-HOP:], before[-HOP:])
    assert not np.array_equal(after[50 * HOP : 51 * HOP], before[50 * HOP : 51 * HOP])


class Watched:
    """An incident writer whose clock a test moves."""

    def __init__(self, model, folder, monkeypatch):
        self.now_s = 1000.0
        monkeypatch.setattr(incident.time, "monotonic", lambda: self.now_s)
        self.stream = Stepped(model, 256, kept_samples=KEPT)
        self.stream.play(noise(100 * HOP))
        self.writer = IncidentWriter(folder, self.stream.shared, lambda: {"model": "busy"})

    def miss(self):
        self.stream.shared.stats.counters.deadline_misses += 1

    def poll(self, after_s):
        self.now_s += after_s
        return self.writer.poll()


def test_an_incident_is_written_once_a_second_after_its_first_sign(model, tmp_path, monkeypatch):
    watched = Watched(model, tmp_path / "incidents", monkeypatch)
    assert watched.poll(1.0) == []
    watched.miss()
    assert watched.poll(0.1) == []
    watched.miss()
    (line,) = watched.poll(1.5)
    assert line.startswith("2 deadline_misses: written to ")
    assert watched.poll(20.0) == []
    (folder,) = (tmp_path / "incidents").iterdir()
    facts, _, _ = recorded(folder)
    assert facts["missed"] == {"deadline_misses": 2}
    assert facts["model"] == "busy"
    assert soundfile.info(folder / "output.wav").subtype == "FLOAT"


def test_incidents_are_ten_seconds_apart_and_no_more_than_ten(model, tmp_path, monkeypatch):
    watched = Watched(model, tmp_path / "incidents", monkeypatch)
    lines = []
    for _ in range(150):
        watched.miss()
        lines += watched.poll(1.0)
    assert len(list((tmp_path / "incidents").iterdir())) == 10
    assert len(lines) == 11
    assert "holds 10 incidents" in lines[-1]


def test_what_is_still_to_be_written_is_written_at_the_end(model, tmp_path, monkeypatch):
    watched = Watched(model, tmp_path / "incidents", monkeypatch)
    assert watched.writer.finish() == []
    watched.miss()
    assert len(watched.writer.finish()) == 1
    assert watched.writer.finish() == []


def refused(watched):
    """The line that is said where an incident can't be written; nothing half written is left."""
    watched.miss()
    watched.poll(0.1)
    (line,) = watched.poll(1.5)
    assert list(watched.writer._folder.iterdir()) == []
    return line


def test_a_full_disk_is_said_and_leaves_nothing_half_written(model, tmp_path, monkeypatch):
    watched = Watched(model, tmp_path / "incidents", monkeypatch)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(incident, "write_whole", full)
    assert refused(watched).endswith("the incident can't be written: No space left on device")


def test_a_machine_too_busy_to_read_what_it_keeps_is_said_too(model, tmp_path, monkeypatch):
    watched = Watched(model, tmp_path / "incidents", monkeypatch)
    monkeypatch.setattr(Tap, "read", lambda *_: False)
    assert refused(watched).endswith("the incident can't be written: overwritten before it was read")


class HurriedDriver(HandDriver):
    """Calls back faster than any worker works."""

    def play(self, samples):
        out = np.empty_like(samples)
        for source, target in zip(np.split(samples, len(samples) // 256), np.split(out, len(out) // 256), strict=True):
            self.callback(source.ctypes.data, target.ctypes.data, 256, None, 0, self.userdata)
        return out


def test_a_running_engine_writes_what_it_missed_with_the_counters_of_the_last_ten_seconds(model, tmp_path):
    driver = HurriedDriver()
    with Engine(model, driver, EngineSettings(incidents=tmp_path / "incidents")) as engine:
        out = [driver.play(noise(40 * HOP)), HandDriver.play(driver, noise(100 * HOP, 1))]
        assert engine.snapshot().deadline_misses > 0
        assert len(engine._shared.history.samples) >= KEPT
    (folder,) = (tmp_path / "incidents").iterdir()
    facts, _, after = recorded(folder)
    assert facts["missed"]["deadline_misses"] > 0
    assert facts["tiers"] == ["full"]
    recent = facts["snapshot"]["recent"]
    assert recent["deadline_misses"] == facts["missed"]["deadline_misses"]
    assert recent["hops"] > 0
    np.testing.assert_array_equal(after, np.concatenate(out)[facts["begin"] : facts["end"]])
