"""What a killed run leaves is found, said and made into files; names are taken by one of many; tags go through live."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apollo_rt.atomic_file import AtomicFile
from apollo_rt.commands.cli import main
from apollo_rt.errors import AudioFileError, ExistingFileError
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.files.recording import RecordingWriter, numbered
from apollo_rt.files.recovery import leftover_lines, recover
from apollo_rt.files.tags import Tags
from apollo_rt.part_file import leftovers
from apollo_rt.session.endpoint_options import EndpointOptions
from apollo_rt.session.endpoints import open_endpoints
from tests import ROOT
from tests.doubles.sound_files import tone
from tests.doubles.sounds import noise

RATE = 44_100


def killed(path, options=""):
    """A part of 3 s of seeded noise, left by a process that was killed while it wrote."""
    script = f"""if True:
        import os, sys
        from tests.doubles.sounds import noise
        from apollo_rt.files.audio_writer import AudioWriter
        from apollo_rt.files.output_format import OutputSettings
        from apollo_rt.files.tags import Tags
        writer = AudioWriter({str(path)!r}, 44_100, settings=OutputSettings({options}), tags=Tags({{"title": "Night"}}))
        for block in noise(3 * 44_100).reshape(30, -1, 2):
            writer.write(block)
        os.kill(os.getpid(), 9)"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60, check=False)
    (part,) = leftovers(path.parent)
    return part


@pytest.mark.parametrize(
    ("name", "options"),
    [("night.wav", ""), ("night.wav", "float_wav=True"), ("night.flac", ""), ("live-set.1.flac", "")],
)
def test_what_a_killed_run_wrote_is_recovered_without_a_loss(tmp_path, name, options):
    part = killed(tmp_path / name, options)
    (line,) = leftover_lines([tmp_path])
    assert line.startswith(f"{part}: left behind by a run that was killed; `apollo-rt recover`")
    target = recover(part)
    assert target == tmp_path / f"{Path(name).stem}-recovered{Path(name).suffix}"
    assert soundfile.info(target).subtype == ("FLOAT" if options else "PCM_24")
    found = soundfile.read(target, dtype="float32")[0]
    assert 2.5 * RATE < len(found) <= 3 * RATE
    assert np.abs(found - noise(3 * RATE)[: len(found)]).max() <= 2**-24
    with AudioReader(target) as reader:
        assert reader.tags.values["title"] == "Night"
    assert part.exists(), "the user removes it"
    again = recover(part)
    assert again == target.with_stem(f"{target.stem}-2"), "nothing is replaced"


@pytest.mark.parametrize("name", ["night.mp3", "night.ogg", "night.opus"])
def test_streams_play_as_they_are(tmp_path, name):
    part = killed(tmp_path / name)
    target = recover(part)
    assert target.read_bytes() == part.read_bytes()
    with AudioReader(target) as reader:
        assert len(reader.read(10**6)) > 0.5 * RATE


@pytest.mark.parametrize("name", ["night.m4a", "night.aiff", "night.w64"])
def test_what_cannot_be_read_without_its_end_is_refused(tmp_path, name):
    part = tmp_path / f".night.01234567{Path(name).suffix}.part"
    part.write_bytes(b"half")
    with pytest.raises(AudioFileError, match="can't be read without its end"):
        recover(part)
    assert list(tmp_path.iterdir()) == [part]


@pytest.mark.parametrize(
    "name", ["song.flac", ".part", ".song.part", "my.song.wav.part", ".missing.01234567.flac.part"]
)
def test_only_a_part_is_recovered(tmp_path, name):
    if "missing" not in name:
        (tmp_path / name).write_bytes(b"something")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(AudioFileError, match=r"no such file" if "missing" in name else r"is no `\.part`"):
        recover(tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before


def test_a_part_that_is_being_written_is_left_alone(tmp_path):
    with AudioWriter(tmp_path / "out.flac", RATE) as writer:
        writer.write(tone(5000))
        (part,) = tmp_path.iterdir()
        with pytest.raises(AudioFileError, match="is still being written"):
            recover(part)


def test_the_command_says_what_it_made(tmp_path, capsys):
    part = tmp_path / ".night.01234567.wav.part"
    with AudioWriter(tmp_path / "whole.wav", RATE) as writer:
        writer.write(tone(5000))
    (tmp_path / "whole.wav").rename(part)
    with pytest.raises(SystemExit) as ended:
        main(["recover", str(part)])
    assert ended.value.code == 0
    assert f"{part} -> {tmp_path / 'night-recovered.wav'}" in capsys.readouterr().out


def test_of_recordings_with_one_name_each_keeps_its_sound(tmp_path):
    recordings = [RecordingWriter(numbered(tmp_path / "out.flac"), RATE) for _ in range(5)]
    for number, recording in enumerate(recordings):
        recording.write(noise(1000 + number, number))
    for recording in recordings:
        recording.commit()
    found = {len(soundfile.read(path)[0]) for path in tmp_path.iterdir()}
    assert found == {1000, 1001, 1002, 1003, 1004}
    assert [len(recording.written) for recording in recordings] == [1] * 5
    assert all("is taken by now" in recording.take_messages()[0] for recording in recordings[1:])


def test_a_pair_takes_its_names_together(tmp_path):
    def names():
        for number in (1, 2, 3):
            yield tuple(tmp_path / f"{number}-{kind}.flac" for kind in ("dry", "wet"))

    recording = RecordingWriter(names, RATE)
    recording.write(noise(1000), noise(1000, 1))
    (tmp_path / "1-wet.flac").write_text("somebody else's")
    recording.commit()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-wet.flac", "2-dry.flac", "2-wet.flac"]
    assert (tmp_path / "1-wet.flac").read_text() == "somebody else's"


def test_at_the_limit_of_its_format_a_recording_goes_on_in_the_next_file_without_a_gap(tmp_path):
    recording, samples = RecordingWriter(numbered(tmp_path / "out.wav"), RATE, longest=20_011), noise(50_000)
    for part in np.split(samples, 10):
        recording.write(part)
    recording.commit()
    assert [path.name for path in recording.written] == ["out.wav", "out-2.wav", "out-3.wav"]
    found = np.concatenate([soundfile.read(path, dtype="float32")[0] for path in recording.written])
    assert np.abs(found - samples).max() <= 2**-24
    assert recording.n_lost == 0


def test_a_recording_never_begins_on_a_file_that_is_there(tmp_path):
    (tmp_path / "out.wav").write_text("before")
    with pytest.raises(ExistingFileError, match="is there already"):
        RecordingWriter(numbered(tmp_path / "out.wav"), RATE).begin()
    assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]


def test_live_from_file_to_file_carries_the_tags(tmp_path):
    with AudioWriter(tmp_path / "in.flac", RATE, tags=Tags({"title": "Live"})) as writer:
        writer.write(tone(5000))
    options = EndpointOptions(str(tmp_path / "in.flac"), str(tmp_path / "out.opus"), pace=False)
    endpoints = open_endpoints(options, RATE, model="test-model")
    with endpoints:
        endpoints.writer.write(tone(5000))
        endpoints.writer.commit()
    with AudioReader(tmp_path / "out.opus") as reader:
        assert reader.tags.values["title"] == "Live"
        assert "test-model" in reader.tags.values["encoded_by"]


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".wav", ".mp3", ".m4a", ".opus"])
def test_what_is_dropped_at_the_very_end_is_no_success(tmp_path, monkeypatch, suffix):
    """The disk fills up while the library closes its file, which is where it says nothing."""
    writer = AudioWriter(tmp_path / f"out{suffix}", 48_000)
    writer.write(tone(20_000))
    broken = []

    def write(file, data):
        broken.append(len(data))
        file.error = OSError(28, "No space left on device")
        raise file.error

    monkeypatch.setattr(AtomicFile, "write", write)
    with pytest.raises(AudioFileError, match="No space left on device"):
        writer.commit()
    assert broken
    assert list(tmp_path.iterdir()) == []
