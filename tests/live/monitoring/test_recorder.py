"""Recording beside the audio path: dry is the input, wet is the output, both in step; and what a disk may do."""

import shutil
import time
from collections import namedtuple

import numpy as np
import pytest
import soundfile

from apollo_rt.config import Framing
from apollo_rt.errors import AudioFileError
from apollo_rt.files import recording
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.inference.model import load
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.monitoring import recorder as recorder_module
from apollo_rt.live.monitoring.recorder import Recorder
from tests.doubles import tiny_models
from tests.doubles.audio_servers import wait_for
from tests.doubles.memory_files import MemoryReader, MemoryWriter
from tests.doubles.sounds import noise

RATE = 44_100
LSB = 2.0**-23


class Tape:
    """As `Tap`: what has been heard so far, with as much of it kept as a test wants."""

    def __init__(self, n_samples, delay=0, kept=10**9):
        self.dry, self.delay, self.kept, self.end = noise(n_samples), delay, kept, 0

    def read(self, begin, before, after):
        if begin + len(after) > self.end or begin < self.end - self.kept:
            return False
        before[:] = self.dry[begin - self.delay : begin - self.delay + len(before)]
        after[:] = -0.5 * before
        return True


def pairs(folder):
    """All files that have a name, in the order of time: (dry, wet)."""
    names = sorted(path.name.removesuffix("-dry.flac") for path in folder.glob("*-dry.flac"))
    return [tuple(samples_of(folder / f"{name}-{kind}.flac") for kind in ("dry", "wet")) for name in names]


def samples_of(path):
    return soundfile.read(path, dtype="float32")[0]


@pytest.mark.realtime
def test_through_the_engine_dry_is_the_input_and_wet_the_output_in_step(tmp_path):
    model = load(tiny_models.busy(tmp_path, Framing(hop_length=256, analysis_length=1024)))
    samples, sink, folder = noise(2 * RATE + 77), MemoryWriter(), tmp_path / "recorded"
    folder.mkdir()
    engine = Engine(model, VirtualDevice(RATE), EngineSettings(headroom=8192), MemoryReader(samples), sink)
    recorder = Recorder(folder, engine.tap, engine.latency.stream, RATE)
    recorder.start()
    with engine:
        assert engine.wait(60)
    recorder.stop()
    assert recorder.poll() == []
    ((dry, wet),) = pairs(folder)
    assert len(dry) == len(wet) >= len(samples)
    np.testing.assert_allclose(dry[: len(samples)], samples, atol=LSB)
    np.testing.assert_allclose(wet[: len(samples)], sink.samples, atol=LSB)
    assert np.abs(wet[: len(samples)] - samples).max() > 0.01, "the two are not the same thing"
    assert np.abs(dry[len(samples) :]).max(initial=0.0) == 0.0
    assert {path.suffix for path in folder.iterdir()} == {".flac"}


def test_what_is_recorded_begins_with_the_first_sample_and_ends_with_the_last(tmp_path):
    tape = Tape(50_000, delay=1000)
    recorder = Recorder(tmp_path, tape, 1000, RATE)
    recorder.start()
    tape.end = 30_000
    time.sleep(0.2)
    tape.end = 50_000
    recorder.stop()
    ((dry, wet),) = pairs(tmp_path)
    np.testing.assert_allclose(dry, tape.dry[:49_000], atol=LSB)
    np.testing.assert_allclose(wet, -0.5 * dry, atol=LSB)
    assert [path.parent for path in recorder.written] == [tmp_path] * 2


def test_a_long_recording_is_several_pairs_without_a_gap(tmp_path):
    tape = Tape(50_000)
    recorder = Recorder(tmp_path, tape, 0, RATE, longest=20_011)
    recorder.start()
    tape.end = 50_000
    recorder.stop()
    found = pairs(tmp_path)
    assert sorted(len(dry) for dry, _ in found) == [50_000 - 2 * 20_011, 20_011, 20_011]
    by_time = [samples_of(path) for path in recorder.written if "dry" in path.name]
    np.testing.assert_allclose(np.concatenate(by_time), tape.dry, atol=LSB)


def test_until_it_is_complete_a_file_has_no_name(tmp_path):
    tape = Tape(100_000)
    recorder = Recorder(tmp_path, tape, 0, RATE)
    recorder.start()
    tape.end = 100_000
    assert wait_for(lambda: any(tmp_path.iterdir()))
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())
    recorder.stop()
    assert len(pairs(tmp_path)) == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_no_recording_is_ever_overwritten(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module.time, "strftime", lambda _: "20261125-104300")
    for index in range(3):
        tape = Tape(1000 + index)
        recorder = Recorder(tmp_path, tape, 0, RATE)
        tape.end = 1000 + index
        recorder.start()
        recorder.stop()
    assert sorted(len(dry) for dry, _ in pairs(tmp_path)) == [1000, 1001, 1002]


def test_nothing_heard_is_nothing_written(tmp_path):
    recorder = Recorder(tmp_path, Tape(10), 0, RATE)
    recorder.start()
    recorder.stop()
    assert list(tmp_path.iterdir()) == recorder.poll() == []


def test_what_was_missed_is_silence_counted_and_all_else_stays_in_its_place(tmp_path):
    tape = Tape(60_000, kept=20_000)
    recorder = Recorder(tmp_path, tape, 0, RATE)
    tape.end = 60_000
    recorder.start()
    recorder.stop()
    ((dry, _),) = pairs(tmp_path)
    n_lost = 40_960  # whole parts of 8192
    assert recorder.poll() == [f"{tmp_path}: {n_lost} samples could not be recorded in time; there is silence instead"]
    np.testing.assert_array_equal(dry[:n_lost], 0)
    np.testing.assert_allclose(dry[n_lost:], tape.dry[n_lost:], atol=LSB)


def test_before_the_disk_is_full_what_there_is_is_completed_and_said_once(tmp_path, monkeypatch):
    room = [10**9]
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, room[0]))
    tape = Tape(60_000)
    recorder = Recorder(tmp_path, tape, 0, RATE)
    recorder.start()
    tape.end = 16_384
    assert wait_for(lambda: len(list(tmp_path.iterdir())) == 2 and recorder._recording.n_samples == 16_384)
    room[0] = 10**7
    tape.end = 60_000
    assert wait_for(lambda: len(recorder.written) == 2)
    (line,) = recorder.poll()
    assert line.endswith("-dry.flac: the disk is full; the 0.4 s that fitted are kept, the run goes on without it")
    recorder.stop()
    assert recorder.poll() == [f"{tmp_path}: 1.0 s could not be written"]
    ((dry, wet),) = pairs(tmp_path)
    assert len(dry) == len(wet) == 16_384


def test_a_disk_that_fails_leaves_no_half_of_a_pair(tmp_path, monkeypatch):
    class Failing(AudioWriter):
        def finish(self):
            if "wet" in self.path.name:
                raise AudioFileError(f"{self.path.name}: can't be written: Input/output error")
            super().finish()

    monkeypatch.setattr(recording, "AudioWriter", Failing)
    tape = Tape(10_000)
    recorder = Recorder(tmp_path, tape, 0, RATE)
    recorder.start()
    tape.end = 10_000
    recorder.stop()
    (line,) = recorder.poll()
    assert line.endswith("Input/output error; the recording has ended, the music goes on")
    assert list(tmp_path.iterdir()) == recorder.written == []


def test_a_disk_that_hangs_is_given_up_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "_LONGEST_STOP_S", 0.2)
    release = recorder_module.threading.Event()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: release.wait(60))
    tape = Tape(10_000)
    recorder = Recorder(tmp_path, tape, 0, RATE)
    recorder.start()
    tape.end = 10_000
    recorder.stop()
    assert recorder.poll() == [f"{tmp_path}: the disk does not answer; the end of the recording is lost"]
    release.set()


def test_levels_beyond_full_scale_are_told(tmp_path):
    tape = Tape(1000)
    tape.dry *= 4
    tape.end = 1000
    recorder = Recorder(tmp_path, tape, 0, RATE)
    recorder.start()
    recorder.stop()
    assert any("samples beyond full scale were clipped" in line for line in recorder.poll())


@pytest.mark.parametrize("n_samples", [1, 8191, 8192, 8193, 16_384])
def test_every_length_is_recorded_whole(tmp_path, n_samples):
    tape = Tape(n_samples)
    tape.end = n_samples
    recorder = Recorder(tmp_path, tape, 0, RATE)
    recorder.start()
    recorder.stop()
    ((dry, wet),) = pairs(tmp_path)
    np.testing.assert_allclose(dry, tape.dry, atol=LSB)
    np.testing.assert_allclose(wet, -0.5 * tape.dry, atol=LSB)


def test_a_title_begins_a_tagged_pair_and_one_that_is_too_short_does_not(tmp_path):
    tape = Tape(30 * RATE)
    told = [(0, "One"), (8 * RATE + 7, "Me - Two"), (9 * RATE, "short"), (20 * RATE, "../Three\n")]

    def titles():
        found = [each for each in told if each[0] < tape.end]
        del told[: len(found)]
        return found

    recorder = Recorder(tmp_path, tape, 0, RATE, titles=titles)
    recorder.start()
    for end in range(0, 30 * RATE, RATE):
        tape.end = end
        time.sleep(0.01)
    tape.end = 30 * RATE
    recorder.stop()
    assert recorder.poll() == []
    wet = sorted(tmp_path.glob("*-wet.flac"))
    names = {path.name.partition(" ")[2] for path in wet}
    assert names == {"One-wet.flac", "Me - Two-wet.flac", "_Three_-wet.flac"}
    lengths = {soundfile.SoundFile(path).title: soundfile.info(path).frames for path in wet}
    assert lengths == {"One": 8 * RATE + 7, "Two": 12 * RATE - 7, "../Three\n": 10 * RATE}
    assert all(path.parent == tmp_path for path in wet)
