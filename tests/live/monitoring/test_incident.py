"""Incidents: what was missed is written down whole, and run again it gives the same output, bit for bit."""

import json

import numpy as np
import pytest
import soundfile

from apollo_rt.commands.cli import main
from apollo_rt.config import Framing
from apollo_rt.control.parameters import PARAMETERS
from apollo_rt.errors import ApolloError
from apollo_rt.inference.model import load
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.monitoring import incident
from apollo_rt.live.monitoring.incident import IncidentWriter, file_digest, write_recording
from apollo_rt.live.monitoring.replay import read_incident, run_again
from apollo_rt.live.realtime.counters import DEADLINE_MISSES
from apollo_rt.live.realtime.tier_switch import WANTED
from tests.doubles import tiny_models
from tests.doubles.stepped import Stepped
from tests.live.test_engine import HandDriver

FRAMING = Framing(hop_length=256, analysis_length=1024)
HOP = 256


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model with a memory: a state that is wrong by one hop shows."""
    return load(tiny_models.busy(tmp_path_factory.mktemp("model"), FRAMING))


def noise(n_samples, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (n_samples, 2)).astype(np.float32)


def recorded(stream, folder):
    folder.mkdir(exist_ok=True)
    write_recording(folder, stream.line, stream.trace, {})
    return read_incident(folder)


def stand_still(stream, samples, n_hops):
    """The worker does nothing for so many hops."""
    return np.concatenate([stream.call(samples[i * HOP : (i + 1) * HOP]) for i in range(n_hops)])


@pytest.mark.parametrize("block_size", [64, 256, 700])
def test_where_nothing_was_missed_the_same_output_comes_again_bit_for_bit(model, tmp_path, block_size):
    stream = Stepped(model, block_size, keeps_trace=True)
    out = stream.play(noise(13 * 44_100), block_size)
    found = recorded(stream, tmp_path / "incident")
    begin, end = found.facts["output_begin"], found.facts["end"]
    assert 10.0 <= (end - begin) / 44_100 < 10.1
    np.testing.assert_array_equal(found.output, out[begin:end])
    replay = run_again(found, {0: model})
    assert replay.is_equal
    assert replay.largest_difference == 0.0
    assert replay.covered == ()
    assert replay.n_computed > 1700
    assert (replay.n_recorded, replay.n_other_hops) == (0, 0)
    np.testing.assert_array_equal(replay.output, out[begin:end])


@pytest.mark.parametrize(("n_hops", "jumps"), [(3, 0), (30, 1)])
def test_what_was_covered_is_covered_again_and_a_jump_is_jumped_again(model, tmp_path, n_hops, jumps):
    stream = Stepped(model, 256, keeps_trace=True, mix=0.8)
    samples = noise(400 * HOP)
    out = [stream.play(samples[: 200 * HOP])]
    out.append(stand_still(stream, samples[200 * HOP :], n_hops))
    stream.parameters.mix = 0.5
    out.append(stream.play(samples[(200 + n_hops) * HOP :]))
    out = np.concatenate(out)
    assert stream.stats["deadline_misses"] > 0
    assert stream.stats["jumps"] == jumps
    found = recorded(stream, tmp_path / "incident")
    replay = run_again(found, {0: model})
    assert replay.is_equal
    assert replay.n_other_hops == replay.n_recorded == 0
    assert len(replay.covered) == 1
    begin, end = replay.covered[0]
    assert 200 * HOP - stream.delay < begin < end < (205 + n_hops) * HOP
    np.testing.assert_array_equal(replay.output, out[found.facts["output_begin"] : found.facts["end"]])


def test_faults_and_holes_come_again_too(tmp_path):
    model = load(tiny_models.faulty(tmp_path, level=0.4, framing=FRAMING))
    stream = Stepped(model, 256, keeps_trace=True)
    samples = noise(300 * HOP) * 0.5
    samples[100 * HOP : 110 * HOP] = 0.9  # the model answers with NaN
    samples[150 * HOP : 150 * HOP + 20] = np.nan  # the device does
    stream.play(samples[: 200 * HOP])
    stream.call(samples[200 * HOP : 201 * HOP], flags=1)  # an input underflow
    stream.play(samples[201 * HOP :])
    assert stream.stats["frame_faults"] > 0
    assert stream.stats["silenced_samples"] > HOP
    replay = run_again(recorded(stream, tmp_path / "incident"), {0: model})
    assert replay.is_equal
    assert replay.n_other_hops == replay.n_recorded == 0


def test_silence_that_is_not_computed_comes_again(model, tmp_path):
    quiet = load(tiny_models.gain(tmp_path, 0.5, FRAMING))
    stream = Stepped(quiet, 256, keeps_trace=True)
    samples = noise(500 * HOP)
    samples[100 * HOP : 400 * HOP] = 0.0
    stream.play(samples)
    assert stream.stats["silent_hops"] > 200
    replay = run_again(recorded(stream, tmp_path / "incident"), {0: quiet})
    assert replay.is_equal
    assert replay.n_other_hops == 0


def test_another_model_is_found_out(model, tmp_path):
    stream = Stepped(model, 256, keeps_trace=True)
    stream.play(noise(100 * HOP))
    other = load(tiny_models.gain(tmp_path, 0.5, FRAMING))
    found = recorded(stream, tmp_path / "incident")
    found.trace["states"] = np.zeros((len(found.trace["positions"]), 0), np.float32)
    replay = run_again(found, {0: other})
    assert not replay.is_equal
    assert replay.n_other_hops > 90
    assert replay.largest_difference > 0.01


def test_without_a_model_everything_is_taken_as_recorded(model, tmp_path):
    stream = Stepped(model, 256, keeps_trace=True)
    samples = noise(100 * HOP)
    stand_still(stream, samples, 5)
    stream.play(samples[5 * HOP :])
    replay = run_again(recorded(stream, tmp_path / "incident"), {})
    assert replay.is_equal
    assert replay.n_computed == 0


def test_with_all_parameters_moving_the_same_output_comes_again(model, tmp_path):
    """They jump at random, some between two callbacks and some while a tier changes and the worker is late."""
    light, random = load(tiny_models.gain(tmp_path, 0.5, FRAMING)), np.random.default_rng(3)
    stream = Stepped(model, 256, keeps_trace=True, lighter=[light], strength=0.4, low_cut_hz=200)
    samples, out = noise(900 * HOP), []
    for begin in range(0, len(samples), 30 * HOP):
        for row in PARAMETERS:
            if random.random() < 0.4:
                stream.parameters.set(row.name, row.value_at(random.random()))
        stream.parameters.bypass = begin % (240 * HOP) == 0
        stream.tiers.control[WANTED] = int(begin > 300 * HOP)
        if begin == 600 * HOP:
            out.append(stand_still(stream, samples[begin:], 30))
        else:
            out.append(stream.play(samples[begin : begin + 30 * HOP]))
    out = np.concatenate(out)
    assert stream.stats["deadline_misses"] > 0
    assert stream.stats["tier_changes"] == 1
    found = recorded(stream, tmp_path / "incident")
    assert len(np.unique(found.trace["targets"], axis=0)) > 15
    replay = run_again(found, {0: model, 1: light})
    assert replay.is_equal
    assert replay.n_other_hops == 0
    assert replay.n_computed > 650, "all but a second behind the change of tier"
    np.testing.assert_array_equal(replay.output, out[found.facts["output_begin"] : found.facts["end"]])


class Watched:
    """An incident writer whose clock a test moves."""

    def __init__(self, model, folder, monkeypatch):
        self.now_s = 1000.0
        monkeypatch.setattr(incident.time, "monotonic", lambda: self.now_s)
        self.stream = Stepped(model, 256, keeps_trace=True)
        self.stream.play(noise(100 * HOP))
        self.writer = IncidentWriter(folder, self.stream.line, lambda: self.stream.trace, lambda: {"model": "busy"})

    def miss(self):
        self.stream.line.stats.counters[DEADLINE_MISSES] += 1

    def look(self, after_s):
        self.now_s += after_s
        return self.writer.look()


def test_an_incident_is_written_once_a_second_after_its_first_sign(model, tmp_path, monkeypatch):
    watched = Watched(model, tmp_path / "incidents", monkeypatch)
    assert watched.look(1.0) == []
    watched.miss()
    assert watched.look(0.1) == []
    watched.miss()
    (line,) = watched.look(1.5)
    assert line.startswith("2 deadline_misses: written to ")
    assert watched.look(20.0) == []
    (folder,) = (tmp_path / "incidents").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["incident.json", "input.wav", "output.wav", "trace.npz"]
    facts = json.loads((folder / "incident.json").read_text())
    assert facts["missed"] == {"deadline_misses": 2}
    assert facts["model"] == "busy"
    assert soundfile.info(folder / "output.wav").subtype == "FLOAT"
    assert run_again(read_incident(folder), {0: model}).is_equal


def test_incidents_are_ten_seconds_apart_and_no_more_than_ten(model, tmp_path, monkeypatch):
    watched = Watched(model, tmp_path / "incidents", monkeypatch)
    lines = []
    for _ in range(150):
        watched.miss()
        lines += watched.look(1.0)
    assert len(list((tmp_path / "incidents").iterdir())) == 10
    assert len(lines) == 11
    assert "holds 10 incidents" in lines[-1]


def test_what_is_still_to_be_written_is_written_at_the_end(model, tmp_path, monkeypatch):
    watched = Watched(model, tmp_path / "incidents", monkeypatch)
    assert watched.writer.finish() == []
    watched.miss()
    assert len(watched.writer.finish()) == 1
    assert watched.writer.finish() == []


def test_a_full_disk_is_said_and_leaves_nothing_half_written(model, tmp_path, monkeypatch):
    watched = Watched(model, tmp_path / "incidents", monkeypatch)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(incident.np, "savez", full)
    watched.miss()
    watched.look(0.1)
    (line,) = watched.look(1.5)
    assert line.endswith("the incident can't be written: No space left on device")
    assert list((tmp_path / "incidents").iterdir()) == []


def test_a_folder_that_is_no_incident_is_refused(tmp_path):
    with pytest.raises(ApolloError, match="is no whole incident"):
        read_incident(tmp_path)


class HurriedDriver(HandDriver):
    """Calls back faster than any worker works."""

    def play(self, samples):
        out = np.empty_like(samples)
        for source, target in zip(np.split(samples, len(samples) // 256), np.split(out, len(out) // 256), strict=True):
            self.callback(source.ctypes.data, target.ctypes.data, 256, None, 0, self.userdata)
        return out


def test_from_a_running_engine_to_the_replay_command(model, tmp_path, capsys):
    driver = HurriedDriver()
    with Engine(model, driver, EngineSettings(incidents=tmp_path / "incidents")) as engine:
        out = [driver.play(noise(40 * HOP)), HandDriver.play(driver, noise(100 * HOP, 1))]
        assert engine.snapshot().deadline_misses > 0
    out = np.concatenate(out)
    (folder,) = (tmp_path / "incidents").iterdir()
    facts = json.loads((folder / "incident.json").read_text())
    assert facts["missed"]["deadline_misses"] > 0
    assert facts["tiers"] == ["full"]
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(tmp_path / "incidents"), "--output", str(tmp_path / "again.wav")])
    said = capsys.readouterr().out
    assert (ended.value.code or 0) == 0, said
    assert "output: the same, bit for bit" in said
    assert "the input was heard for" in said
    again = soundfile.read(tmp_path / "again.wav", dtype="float32", always_2d=True)[0]
    np.testing.assert_array_equal(again, out[facts["output_begin"] : facts["end"]])


def test_the_replay_command_refuses_another_model_and_tells_a_difference(model, tmp_path, capsys):
    stream = Stepped(model, 256, keeps_trace=True)
    stream.play(noise(100 * HOP))
    folder = tmp_path / "incident"
    about = {"model": str(model.card.path), "provider": "cpu", "tiers": ["full"],
             "model_sha256": file_digest(model.card.path)}  # fmt: skip
    folder.mkdir()
    write_recording(folder, stream.line, stream.trace, about)
    other = tiny_models.gain(tmp_path, 0.5, FRAMING)
    for arguments, code, said in (
        ([], 0, "the same, bit for bit"),
        (["--model", str(other)], 1, "is not the model of"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["replay", str(folder), *arguments])
        assert (ended.value.code or 0) == code
        captured = capsys.readouterr()
        assert said in captured.out + captured.err
    output = soundfile.read(folder / "output.wav", dtype="float32", always_2d=True)[0]
    output[1000] += 0.25
    soundfile.write(folder / "output.wav", output, 44_100, "FLOAT")
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(folder)])
    assert ended.value.code == 1
    assert "1 of " in capsys.readouterr().out


def test_a_change_of_tier_comes_again_too(model, tmp_path):
    light = load(tiny_models.gain(tmp_path, 0.5, FRAMING))
    stream = Stepped(model, 256, keeps_trace=True, lighter=[light])
    samples = noise(700 * HOP)
    stream.play(samples[: 100 * HOP])
    stream.tiers.control[WANTED] = 1
    stream.play(samples[100 * HOP :])
    assert stream.stats["tier_changes"] == 1
    replay = run_again(recorded(stream, tmp_path / "incident"), {0: model, 1: light})
    assert replay.is_equal
    assert replay.n_other_hops == 0
    assert 0 < replay.n_recorded < 180, "from the fade to the next checkpoint, a second later"
