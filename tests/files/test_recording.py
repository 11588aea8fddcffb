"""A full disk while a live run writes a file: what fitted is kept, the run goes on, and nothing is half-written."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from apollo_rt.config import Framing
from apollo_rt.errors import AudioFileError
from apollo_rt.files import recording as module
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.files.recording import RecordingWriter, numbered
from apollo_rt.inference.model import load
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from tests.doubles import tiny_models
from tests.doubles.hand_device import HandDevice
from tests.doubles.sounds import noise

RATE = 44_100
MB = 2**20


class Disk:
    """A disk that a test fills."""

    def __init__(self, monkeypatch, free=1000 * MB):
        self.free = free
        self.is_broken = False
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=self.free))
        write = AudioWriter.write

        def limited(writer, samples):
            if self.is_broken:
                raise AudioFileError(f"{writer.path}: can't be written: the disk is full")
            write(writer, samples)

        monkeypatch.setattr(AudioWriter, "write", limited)


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def seconds(recording, samples):
    for part in np.split(samples, len(samples) // 4410):
        recording.write(part)


def read(path):
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_with_room_it_is_a_file_like_any_other(disk, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    recording, samples = RecordingWriter(numbered(path), RATE), noise(RATE)
    seconds(recording, samples)
    recording.commit()
    np.testing.assert_allclose(read(path), samples, atol=1e-6)
    assert (recording.written, recording.n_lost, recording.take_messages()) == ([path], 0, [])


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_before_the_disk_is_full_what_fitted_is_completed_and_it_goes_on_in_another_file_when_there_is_room(
    disk, tmp_path, suffix
):
    path, samples = tmp_path / f"out{suffix}", noise(8 * RATE)
    recording = RecordingWriter(numbered(path), RATE)
    seconds(recording, samples[: 2 * RATE])
    disk.free = MB
    seconds(recording, samples[2 * RATE : 5 * RATE])
    np.testing.assert_allclose(read(path), samples[: 2 * RATE], atol=1e-6)  # already complete
    disk.free = 1000 * MB
    seconds(recording, samples[5 * RATE :])
    recording.commit()
    np.testing.assert_allclose(read(tmp_path / f"out-2{suffix}"), samples[5 * RATE :], atol=1e-6)
    assert recording.n_lost == 3 * RATE
    full, again, lost = recording.take_messages()
    assert full == f"{path}: the disk is full; the 2.0 s that fitted are kept, the run goes on without it"
    assert again.endswith("there is room again; recording goes on here")
    assert lost == f"{tmp_path}: 3.0 s could not be written"
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"out-2{suffix}", f"out{suffix}"]


def test_a_limit_that_comes_as_a_surprise_leaves_no_half_file_and_keeps_what_had_the_name(disk, tmp_path):
    path = tmp_path / "out.flac"
    path.write_bytes(b"as it was")
    recording = RecordingWriter(numbered(path), RATE, overwrite=True)
    recording.begin()
    seconds(recording, noise(2 * RATE))
    disk.is_broken, disk.free = True, MB
    recording._n_until_poll = 10**9  # it does not ask in time
    seconds(recording, noise(RATE))
    recording.commit()
    assert path.read_bytes() == b"as it was"
    assert [file.name for file in tmp_path.iterdir()] == ["out.flac"]
    assert recording.n_lost == 3 * RATE
    assert "can't be written: the disk is full; what was recorded" in recording.take_messages()[0]


def test_the_engine_goes_on_says_it_and_counts_what_was_not_written(disk, tmp_path, caplog):
    """A device captures, a file is written, the disk fills up: neither the stream nor its latency is touched."""
    model = load(tiny_models.identity(tmp_path, Framing(hop_length=256, analysis_length=1024)))
    device, out = HandDevice(), tmp_path / "out.wav"
    device.output_channels = 0
    recording = RecordingWriter(numbered(out), RATE)
    samples = noise(700 * 256)
    with caplog.at_level("WARNING", "apollo_rt"):
        engine = Engine(model, device, EngineSettings(headroom=2048), sink=recording)
        with engine:
            delay = engine.latency.stream
            device.play(samples[: 300 * 256], pause_s=0.002)
            disk.free = MB
            end_s = time.monotonic() + 60
            while not recording.written:
                assert time.monotonic() < end_s
                device.play(samples[300 * 256 : 340 * 256], pause_s=0.002)
            device.play(samples[340 * 256 :], pause_s=0.002)
            time.sleep(0.3)
            snapshot = engine.snapshot()
            assert engine.latency.stream == delay
    written = read(out)
    np.testing.assert_allclose(written[64 : 250 * 256], samples[64 : 250 * 256], atol=1e-4)
    assert snapshot.running
    assert engine.snapshot().unrecorded_samples > 300 * 256
    assert engine.snapshot().unrecorded_samples + len(written) == engine.snapshot().samples - delay
    assert sum("the disk is full" in record.getMessage() for record in caplog.records) == 1
