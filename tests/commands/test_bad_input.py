"""Whatever a user gets wrong ends in one line that says what, an exit code other than 0, and nothing half-written.

Each case goes through the command line, both as `restore` and as `live`.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
import soundfile

from apollo_rt.commands.cli import main
from tests import ROOT
from tests.doubles import tiny_models
from tests.doubles.sound_files import BAD_SOURCES, bad_source, tone, truncated_mp3, write

BEFORE = "what was here before"

NO_PORTAUDIO = "raise OSError('PortAudio library not found')"
TWO_DEVICES = """
class PortAudioError(Exception):
    pass
def query_hostapis():
    return [{"name": "ALSA", "default_input_device": 0, "default_output_device": 1}]
def query_devices():
    shape = {"hostapi": 0, "default_samplerate": 44100.0}
    return [
        {"index": 0, "name": "Blue Microphone", "max_input_channels": 2, "max_output_channels": 0, **shape},
        {"index": 1, "name": "Blue Headphones", "max_input_channels": 0, "max_output_channels": 2, **shape},
    ]
"""


@dataclass(frozen=True)
class Ended:
    """How a run of the command line ended."""

    code: int
    errors: list[str]


@pytest.fixture
def model(tmp_path):
    """A model file that works."""
    (tmp_path / "models").mkdir()
    return tiny_models.identity(tmp_path / "models")


@pytest.fixture(params=["restore", "live"])
def run(request, capfd):
    """Runs one of the two commands from a file to a file."""

    def run_command(source, target, model, *more):
        both = ["--input", source, "--output", target]
        both = [source, "-o", target] if request.param == "restore" else both
        options = ["--model", model, *more] + (["--no-pace", "--plain"] if request.param == "live" else [])
        with pytest.raises(SystemExit) as ended:
            main([request.param, *map(str, [*both, *options])])
        return Ended(int(ended.value.code or 0), without_progress(capfd.readouterr().err))

    return run_command


def without_progress(errors):
    """Lines of stderr without those of a first start, which compiles, and of a slow machine."""
    return [line for line in errors.splitlines() if not re.search(r"^getting ready| \(\d+ of \d+\)$", line)]


def assert_refused(ended, *reasons):
    """One line, about what matters, and an exit code that scripts see."""
    assert ended.code != 0
    (line,) = ended.errors
    assert line.startswith("error: ")
    for reason in reasons:
        assert reason in line


@pytest.mark.parametrize("kind", BAD_SOURCES)
def test_a_bad_source_is_refused_and_the_output_that_was_there_stays(tmp_path, run, model, kind):
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "out.wav"
    target.write_text(BEFORE)
    source = bad_source(tmp_path, kind)
    assert_refused(run(source, target, model, "--overwrite"), source.name, BAD_SOURCES[kind][1])
    assert target.read_text() == BEFORE
    assert list(target.parent.iterdir()) == [target]


def test_an_output_that_is_there_is_refused_by_its_name_and_kept(tmp_path, run, model):
    source, target = write(tmp_path / "in.wav", tone(5000)), tmp_path / "out.wav"
    target.write_text(BEFORE)
    assert_refused(run(source, target, model), f"{target}: is there already", "--overwrite")
    assert target.read_text() == BEFORE
    assert run(source, target, model, "--overwrite").code == 0
    assert soundfile.info(target).frames == 5000


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("http://localhost:9/a.mp3", "no connection"),
        ("rtmp://x/y", "only addresses that begin with http:// or https:// can be read"),
        ("file:///etc/passwd", "only addresses that begin with http:// or https:// can be read"),
    ],
)
def test_an_address_that_can_not_be_read_is_refused_and_every_one_as_an_output(tmp_path, run, model, name, reason):
    source = write(tmp_path / "in.wav", tone(5000))
    assert_refused(run(name, tmp_path / "out.wav", model), name, reason)
    assert_refused(run(source, name, model), name, "is an address")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["in.wav"]


def test_a_colon_makes_no_address_of_a_name(tmp_path, run, model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "Re:Zero - OP.wav", tone(5000))
    assert run("Re:Zero - OP.wav", "Re:Zero.flac", model).code == 0
    assert soundfile.info(tmp_path / "Re:Zero.flac").frames == 5000


def test_a_truncated_mp3_is_restored_as_far_as_it_decodes_with_a_warning(tmp_path, run, model):
    ended = run(truncated_mp3(tmp_path), tmp_path / "out.wav", model)
    assert ended.code == 0
    assert any("cut off" in line for line in ended.errors)
    assert 50_000 < soundfile.info(tmp_path / "out.wav").frames < 80_000


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("out.xyz", "use one of .wav .flac .ogg .mp3"),
        ("no such folder/out.wav", "no such folder"),
        ("folder.wav", "folder"),
        pytest.param(
            "/proc/out.wav",
            "/proc/out.wav",
            marks=pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a folder that refuses root too"),
        ),
    ],
)
def test_an_output_that_cannot_be_written_is_refused(tmp_path, run, model, name, reason):
    source = write(tmp_path / "in.wav", tone(5000))
    blocking = tmp_path / "folder.wav"
    blocking.mkdir()
    if name == blocking.name:
        (blocking / "in.flac").mkdir()  # a folder is a fine place for restore; a folder in the file's place is not
    assert_refused(run(source, tmp_path / name, model), reason)
    assert list(tmp_path.rglob("*.part")) == []


@pytest.mark.parametrize("link", [None, "symbolic", "hard"])
def test_an_output_that_is_the_input_is_refused_and_kept(tmp_path, run, model, link):
    source = target = write(tmp_path / "in.wav", tone(5000))
    content = source.read_bytes()
    if link:
        target = tmp_path / "link.wav"
        target.symlink_to(source) if link == "symbolic" else target.hardlink_to(source)
    for options in ((), ("--overwrite",)):
        assert_refused(run(source, target, model, *options), "is the input itself")
        assert source.read_bytes() == content


def not_onnx(path):
    path.write_text("This is no model.\n" * 100)
    return path


def without_metadata(path):
    graph = onnx.load(tiny_models.identity(path.parent))
    del graph.metadata_props[:]
    onnx.save(graph, path)
    return path


def from_the_future(path):
    graph = onnx.load(tiny_models.identity(path.parent))
    next(entry for entry in graph.metadata_props if entry.key == "apollo_rt.format_version").value = "999"
    onnx.save(graph, path)
    return path


@pytest.mark.parametrize(
    ("make", "reason"), [(not_onnx, "not an ONNX model"), (without_metadata, "metadata"), (from_the_future, "format")]
)
def test_a_bad_model_is_refused_before_anything_is_written(tmp_path, run, make, reason):
    source = write(tmp_path / "in.wav", tone(5000))
    target = tmp_path / "out.wav"
    model = make(tmp_path / "bad.onnx")
    assert_refused(run(source, target, model), "bad.onnx", reason)
    assert not target.exists()


def started(command, cwd, sounddevice="") -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, where the library for sound devices is what a test says it is."""
    (cwd / "doubles").mkdir(exist_ok=True)
    (cwd / "doubles" / "sounddevice.py").write_text(sounddevice)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(cwd / "doubles"), str(ROOT)))}
    return subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )


def test_a_process_ends_with_one_line_and_no_traceback(tmp_path, model):
    source = bad_source(tmp_path, "a text file")
    live = [ROOT / "run_live.py", "--input", source, "--output", "out.wav", "--model", model]
    for command in (live, ["-m", "apollo_rt", "restore", source, "out.wav", "--model", model]):
        done = started(command, tmp_path)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr == f"error: {source}: not an audio file, or of a kind that can't be read\n"


def test_without_portaudio_a_device_is_refused_with_the_package_to_install(tmp_path, model):
    command = [ROOT / "run_live.py", "--input", "default", "--output", "out.wav", "--model", model]
    done = started(command, tmp_path, NO_PORTAUDIO)
    assert_refused(Ended(done.returncode, done.stderr.splitlines()), "PortAudio", "libportaudio2")
    assert not (tmp_path / "out.wav").exists()


def test_without_portaudio_files_still_run(tmp_path, model):
    write(tmp_path / "in.wav", tone(5000))
    command = [ROOT / "run_live.py", "--input", "in.wav", "--output", "out.wav", "--model", model, "--no-pace"]
    done = started(command, tmp_path, NO_PORTAUDIO)
    assert done.returncode == 0, done.stderr
    assert soundfile.info(tmp_path / "out.wav").frames == 5000


@pytest.mark.parametrize(
    ("wanted", "reasons"),
    [("Fender", ("Fender", "Blue Microphone")), ("7", ("7", "Blue Microphone")), ("Headphones", ("Blue Microphone",))],
)
def test_an_unknown_device_is_refused_with_those_there_are(tmp_path, model, wanted, reasons):
    command = [ROOT / "run_live.py", "--input", wanted, "--output", "out.wav", "--model", model]
    done = started(command, tmp_path, TWO_DEVICES)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    for reason in reasons:
        assert reason in done.stderr


def test_one_bad_file_of_many_gives_an_exit_code_and_the_others_restored(tmp_path, model, capfd):
    good = write(tmp_path / "good.wav", tone(5000))
    bad = bad_source(tmp_path, "a text file")
    with pytest.raises(SystemExit) as ended:
        main(["restore", str(bad), str(good), str(tmp_path / "out"), "--model", str(model)])
    assert ended.value.code == 1
    line, counts = without_progress(capfd.readouterr().err)
    assert "text.wav" in line
    assert counts == "of 2 files: 1 restored, 1 failed"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.flac"]
