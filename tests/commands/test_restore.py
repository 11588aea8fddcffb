"""`apollo-rt restore`: one file, several, folders; what can go wrong with one file is in test_bad_input.py."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apollo_rt.commands.cli import main
from apollo_rt.commands.restore import exit_code
from apollo_rt.console import progress
from apollo_rt.console.progress import progress_bar
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.files.tags import Tags
from tests import ROOT
from tests.doubles.sound_files import tone, write

PROGRESS = re.compile(r" \(\d+ of \d+\)$")
"""What a slow machine says in between."""


@pytest.fixture
def restore(model: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Run the command in this process; exit code, lines on stdout, lines on stderr."""

    def run(*arguments: object) -> tuple[int, list[str], list[str]]:
        with pytest.raises(SystemExit) as ended:
            main(["restore", "--model", str(model), *map(str, arguments)])
        captured = capfd.readouterr()
        errors = [line for line in captured.err.splitlines() if not PROGRESS.search(line)]
        return int(ended.value.code or 0), captured.out.splitlines(), errors

    return run


def test_one_file_becomes_one_file(restore, tmp_path) -> None:
    song = write(tmp_path / "song.wav", tone(5000))
    code, out, errors = restore(song, tmp_path / "out.flac")
    assert (code, errors) == (0, [])
    assert out[0].startswith(f"{song} -> {tmp_path / 'out.flac'}: 0.1 s of sound in ")
    np.testing.assert_allclose(soundfile.read(tmp_path / "out.flac")[0], 0.5 * soundfile.read(song)[0], atol=2e-5)


@pytest.mark.parametrize("options", [("--mix", 0), ("--strength", 0, "--air-db", "none"), ("--bypass",)])
def test_parameters_are_heard_and_float_is_written(restore, tmp_path, options) -> None:
    song = write(tmp_path / "song.wav", tone(5000), subtype="FLOAT")
    assert restore(song, tmp_path / "out.wav", *options, "--float")[0] == 0
    assert soundfile.info(tmp_path / "out.wav").subtype == "FLOAT"
    np.testing.assert_allclose(soundfile.read(tmp_path / "out.wav")[0], soundfile.read(song)[0], atol=1e-6)


@pytest.mark.parametrize("with_option", [True, False])
def test_several_files_and_folders_go_into_a_folder(restore, tmp_path, with_option) -> None:
    (tmp_path / "album" / "one").mkdir(parents=True)
    write(tmp_path / "a.wav", tone(3000))
    write(tmp_path / "album" / "one" / "b.ogg", tone(3000))
    inputs, output = [tmp_path / "a.wav", tmp_path / "album"], f"{tmp_path}/new.folder/"
    code, out, _ = restore(*inputs, *(["-o", output] if with_option else [output]))
    assert code == 0
    assert len(out) == 2
    written = sorted(str(path.relative_to(tmp_path / "new.folder")) for path in tmp_path.glob("new.folder/**/*.*"))
    assert written == ["a.flac", "one/b.flac"]


@pytest.mark.parametrize("arguments", [[], ["only.mp3"]])
def test_an_input_and_an_output_are_needed(restore, arguments) -> None:
    code, _, errors = restore(*arguments)
    assert code == 2
    assert errors[-1].startswith("Error: ")


def songs(folder: Path, *names: str, broken: tuple[str, ...] = ()) -> Path:
    """A folder of short songs, and of some that hold no music."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        write(folder / name, tone(1000))
    for name in broken:
        (folder / name).write_text("no music at all " * 50)
    return folder


def test_two_songs_and_no_output_ask_for_one_and_change_neither(restore, tmp_path) -> None:
    songs(tmp_path, "1.mp3", "2.mp3")
    before = (tmp_path / "2.mp3").read_bytes()
    for options in ((), ("--overwrite",), ("--skip-existing",)):
        code, out, errors = restore(tmp_path / "1.mp3", tmp_path / "2.mp3", *options)
        assert (code, out) == (2, [])
        assert "2.mp3" in errors[-1]
        assert "-o" in errors[-1]
    assert (tmp_path / "2.mp3").read_bytes() == before


def test_a_folder_run_replaces_nothing_names_what_is_there_and_restores_the_rest(restore, tmp_path) -> None:
    songs(tmp_path / "in", "a.wav", "b.wav")
    songs(tmp_path / "out")
    (tmp_path / "out" / "b.flac").write_text("mine")
    code, out, errors = restore(tmp_path / "in", "-o", tmp_path / "out")
    assert code == 1
    assert errors[0] == (
        f"error: {tmp_path}/out/b.flac: is there already; --overwrite replaces it, --skip-existing leaves it"
    )
    assert errors[1:] == ["of 2 files: 1 restored, 1 failed"]
    assert len(out) == 1
    assert (tmp_path / "out" / "b.flac").read_text() == "mine"


def test_a_run_that_is_started_again_does_only_what_is_missing(restore, tmp_path) -> None:
    songs(tmp_path / "in", "a.wav", "b.wav", "c.mp3", "c.ogg")
    arguments = (tmp_path / "in", "-o", tmp_path / "out", "--skip-existing")
    assert len(restore(*arguments)[1]) == 4
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    next(iter(before)).unlink()
    code, out, errors = restore(*arguments)
    assert (code, len(out)) == (0, 1)
    assert errors == ["of 4 files: 1 restored, 3 there already and left as they are"]
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert after.keys() == before.keys()
    assert sum(after[path] == before[path] for path in before) == 3


def test_replacing_and_leaving_at_once_is_wrong_usage(restore, tmp_path) -> None:
    code, _, errors = restore(songs(tmp_path / "in", "a.wav"), "-o", tmp_path / "out", "--overwrite", "--skip-existing")
    assert code == 2
    assert "can't both be" in errors[-1]


@pytest.mark.parametrize(("n_failed", "code"), [(0, 0), (1, 1), (2, 3), (3, 3), (4, 4), (100, 100), (5000, 100)])
def test_the_exit_code_says_how_many_failed_and_never_what_means_something_else(n_failed, code) -> None:
    assert exit_code(n_failed) == code


def test_broken_files_are_a_line_each_and_the_code_counts_them(restore, tmp_path) -> None:
    broken = tuple(f"broken {number}.mp3" for number in range(4))
    songs(tmp_path / "in", "a.wav", "b.wav", broken=broken)
    code, out, errors = restore(tmp_path / "in", "-o", tmp_path / "out", "--threads", 2)
    assert (code, len(out)) == (4, 2)
    assert sorted(line.split(": ")[1] for line in errors[:-1]) == [f"{tmp_path}/in/{name}" for name in broken]
    assert errors[-1] == "of 6 files: 2 restored, 4 failed"


def test_names_that_cannot_be_looked_at_are_a_line_each(restore, tmp_path) -> None:
    songs(tmp_path, "a.wav", "b.wav")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.flac").mkdir()
    too_long = "n" * 300 + ".mp3"
    code, out, errors = restore(tmp_path / "a.wav", tmp_path / "b.wav", too_long, "-o", tmp_path / "out")
    assert (code, len(out)) == (3, 1)
    assert sorted(line.startswith(f"error: {too_long}: ") for line in errors[:-1]) == [False, True]
    assert any("out/b.flac: " in line and "is a folder" in line for line in errors)
    assert restore(too_long, "-o", tmp_path / "x.flac")[0] == 1


def test_what_ends_too_early_is_no_interrupt(restore, tmp_path, monkeypatch) -> None:
    def cut(*_: object, **__: object) -> None:
        raise EOFError("Ran out of input")

    monkeypatch.setattr("apollo_rt.inference.model_choice.open_model", cut)
    code, _, errors = restore(songs(tmp_path / "in", "a.wav"), "-o", tmp_path / "out")
    assert code == 1
    assert errors[-1] == "error: something that was to be read ended too early (Ran out of input)"


def test_what_is_no_music_is_counted_and_named(restore, tmp_path) -> None:
    songs(tmp_path / "in", "a.wav", broken=("cover.jpg", "notes.txt"))
    code, _, errors = restore(tmp_path / "in", "-o", tmp_path / "out")
    assert (code, errors) == (0, ["left out, no music by its name: 2: cover.jpg, notes.txt"])
    songs(tmp_path / "in", broken=tuple(f"cover{number}.jpg" for number in range(20)))
    (line,) = restore(tmp_path / "in", "-o", tmp_path / "other")[2]
    assert line.startswith("left out, no music by its name: 22: cover.jpg, cover0.jpg, cover1.jpg, cover10.jpg, ")
    assert line.endswith(" and 14 more (--report names all)")


def told(report: Path) -> dict[str, dict]:
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert len(lines) == len({line["source"] for line in lines})
    return {Path(line["source"]).name: line for line in lines}


def test_the_report_tells_what_became_of_each(restore, tmp_path) -> None:
    songs(tmp_path / "in", "a.wav", "b.wav", broken=("broken.mp3", "cover.jpg"))
    write(tmp_path / "in" / "loud.wav", np.full((3000, 2), 3.0, np.float32), subtype="FLOAT")
    songs(tmp_path / "out", "b.flac")
    report = tmp_path / "report.jsonl"
    assert restore(tmp_path / "in", "-o", tmp_path / "out", "--report", report)[0] == 3
    lines = told(report)
    assert {name: line["outcome"] for name, line in lines.items()} == {
        "a.wav": "restored", "b.wav": "failed", "loud.wav": "restored", "broken.mp3": "failed", "cover.jpg": "no music",
    }  # fmt: skip
    assert lines["a.wav"]["target"] == str(tmp_path / "out" / "a.flac")
    assert lines["a.wav"]["seconds"] == pytest.approx(1000 / 44_100, abs=1e-3)
    assert lines["a.wav"]["warnings"] == []
    assert "clipped" in lines["loud.wav"]["warnings"][0]
    assert "is there already" in lines["b.wav"]["error"]


def test_json_is_the_reports_lines_on_stdout_and_nothing_else(restore, tmp_path) -> None:
    songs(tmp_path / "in", "a.wav", "b.wav")
    (tmp_path / "in" / "bad.mp3").write_bytes(b"no music")
    report = tmp_path / "report.jsonl"
    code, out, errors = restore(tmp_path / "in", "-o", tmp_path / "out", "--report", report, "--json")
    assert code == 1
    assert out == report.read_text().splitlines()
    assert sorted(json.loads(line)["outcome"] for line in out) == ["failed", "restored", "restored"]
    assert any("bad.mp3" in line for line in errors)


def test_a_report_that_is_there_is_replaced_or_gone_on_with_as_was_asked(restore, tmp_path) -> None:
    songs(tmp_path / "in", "a.wav")
    report = tmp_path / "report.jsonl"
    report.write_text('{"source": "before"}\n{"source": "cut in the mid')
    arguments = (tmp_path / "in", "-o", tmp_path / "out", "--report", report)
    code, _, errors = restore(*arguments)
    assert (code, len(errors)) == (1, 1)
    assert f"{report}: is there already" in errors[0]
    assert restore(*arguments, "--skip-existing")[0] == 0
    before, cut, added = report.read_text().splitlines()
    assert (json.loads(before), json.loads(added)["outcome"]) == ({"source": "before"}, "restored")
    assert cut == '{"source": "cut in the mid'
    assert restore(*arguments, "--overwrite")[0] == 0
    assert told(report)["a.wav"]["outcome"] == "restored"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_report_that_cannot_be_written_stops_no_music_and_is_told(restore, tmp_path) -> None:
    songs(tmp_path / "in", "a.wav", "b.wav")
    code, out, errors = restore(tmp_path / "in", "-o", tmp_path / "out", "--report", "/dev/full")
    assert (code, len(out)) == (1, 2)
    assert errors[-1] == "error: /dev/full: can't be written: No space left on device"


@pytest.mark.skipif(sys.platform != "linux", reason="names are any bytes on Linux alone")
def test_names_that_are_no_utf8_and_names_that_would_be_obeyed_are_shown_and_stop_nothing(restore, tmp_path) -> None:
    songs(tmp_path / "in", "a.wav", "[red]b.wav", "new\nline.wav", "\x1b[2Jclear.wav")
    strange = os.fsencode(tmp_path / "in") + b"/caf\xe9.wav"
    (tmp_path / "in" / "a.wav").rename(os.fsdecode(strange))
    report = tmp_path / "report.jsonl"
    code, out, errors = restore(tmp_path / "in", "-o", tmp_path / "out", "--report", report)
    shown = "\n".join([*out, *errors])
    assert "\x1b" not in shown
    assert "\\x1b[2Jclear.flac" in shown
    assert "[red]b.flac" in shown
    assert "new\\nline.flac" in shown
    assert "caf\\udce9" in shown
    line = told(report)["caf\udce9.wav"]
    assert os.fsencode(line["source"]) == strange
    assert line["outcome"] == ("failed" if code else "restored")
    assert len(out) >= 3


@pytest.mark.parametrize("n_bytes", [244, 250, 251, 255])
def test_names_as_long_as_names_can_be_are_restored(restore, tmp_path, n_bytes) -> None:
    name = "n" * (n_bytes - 5) + ".flac"
    song = write(tmp_path / ("s" * (n_bytes - 4) + ".wav"), tone(1000))
    assert restore(song, "-o", tmp_path / name)[::2] == (0, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, song.name]


def run_outside(model: Path, *arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "apollo_rt", "restore", "--model", str(model), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, text=True, timeout=300, **options)


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes that can be closed early")
@pytest.mark.parametrize("also_stderr", [False, True])
def test_a_reader_that_goes_away_stops_nothing(model, tmp_path, also_stderr) -> None:
    songs(tmp_path / "in", *(f"{number}.wav" for number in range(5)), broken=("broken.mp3",))
    reading, writing = os.pipe()
    os.close(reading)
    ends = {"stdout": writing, "stderr": writing if also_stderr else subprocess.PIPE}
    done = run_outside(model, tmp_path / "in", "-o", tmp_path / "out", **ends)
    os.close(writing)
    assert done.returncode == 1
    assert len(list((tmp_path / "out").iterdir())) == 5
    if not also_stderr:
        assert "Broken pipe" not in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="closes descriptors as shells do")
@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_a_program_that_is_started_without_streams_restores_the_same(model, tmp_path, closed) -> None:
    songs(tmp_path / "in", "a.wav", broken=("broken.mp3",))
    script = f"{sys.executable} -m apollo_rt restore --model {model} {tmp_path}/in -o {tmp_path}/out"
    ends = {0: "<&-", 1: ">&-", 2: "2>&-"}
    done = subprocess.run(["sh", "-c", f"{script} {' '.join(ends[n] for n in closed)}"], cwd=ROOT, timeout=300)
    assert done.returncode == 1
    (written,) = (tmp_path / "out").iterdir()
    assert soundfile.info(written).frames == 1000


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_that_cannot_show_a_name_stops_nothing(model, tmp_path, encoding) -> None:
    songs(tmp_path / "in", "Наушники.wav", "日本.wav", "ä.wav")
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "apollo_rt", "restore", "--model", str(model), tmp_path / "in", "-o", tmp_path / "out"],
        cwd=ROOT, env=environment, capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b" -> ") == 3
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_signal_leaves_nothing_half_written(tmp_path) -> None:
    write(tmp_path / "song.wav", tone(120 * 44_100))
    command = [sys.executable, "-m", "apollo_rt", "restore", str(tmp_path / "song.wav"), str(tmp_path / "out.wav")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        end_s = time.monotonic() + 60
        while not list(tmp_path.glob(".out.*")) and time.monotonic() < end_s:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_without_a_terminal_progress_is_said_once_and_only_when_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with progress_bar() as report:
        report("quick", 0, 1)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
    with progress_bar() as report:
        for step in range(3):
            report("slow", step, 3)
        report("slower", 0, None)
        time.sleep(0.1)
    assert capfd.readouterr().err.splitlines() == ["slow", "slower"]


def test_on_a_terminal_progress_is_a_bar_that_goes_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar() as report:
        report("song.mp3 (1 of 1)", 30, 100)
        time.sleep(0.3)
    assert "song.mp3 (1 of 1)" in capsys.readouterr().err


def test_a_low_rate_gets_room_for_what_is_restored_and_says_so(restore, tmp_path) -> None:
    song = write(tmp_path / "song.wav", tone(22_050, 22_050), 22_050)
    code, out, errors = restore(song, tmp_path / "out.flac")
    assert (code, errors) == (0, [])
    assert out[0].endswith("; from 22050 to 44100 Hz")
    info = soundfile.info(tmp_path / "out.flac")
    assert (info.samplerate, info.frames) == (44_100, 44_100)
    code, out, _ = restore(song, tmp_path / "kept.flac", "--rate", "keep")
    assert (code, soundfile.info(tmp_path / "kept.flac").samplerate) == (0, 22_050)
    assert "Hz" not in out[0]
    assert restore(song, tmp_path / "high.flac", "--rate", 96_000)[0] == 0
    assert soundfile.info(tmp_path / "high.flac").frames == 96_000


def test_a_rate_that_is_not_low_stays(restore, tmp_path) -> None:
    song = write(tmp_path / "song.wav", tone(4800, 48_000), 48_000)
    assert restore(song, tmp_path / "out.flac")[0] == 0
    assert soundfile.info(tmp_path / "out.flac").samplerate == 48_000


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        (
            "out.mp3",
            ("--bitrate", 400),
            "MP3 at 44100 Hz with 2 channels holds bit rates from 8 to 320 kbit/s, got 400",
        ),
        ("out.mp3", ("--quality", "lossless"), "MP3 is never lossless"),
        ("out.flac", ("--bitrate", 320), "FLAC is lossless, there is no bit rate to choose"),
        ("out.mp3", ("--rate", 96_000), "MP3 holds sample rates of"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_before_anything_is_written(
    restore, tmp_path, name, options, reason
) -> None:
    song = write(tmp_path / "song.wav", tone(5000))
    code, _, errors = restore(song, tmp_path / name, *options)
    assert code == 1
    assert reason in errors[0]
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_quality_and_tags_are_heeded_and_the_model_is_named(restore, tmp_path) -> None:
    with AudioWriter(tmp_path / "song.flac", 44_100, tags=Tags({"title": "Song"})) as file:
        file.write(tone(50_000))
    sizes = []
    for name, options in (("a.mp3", ("--quality", "standard")), ("b.mp3", ()), ("c.m4a", ("--quality", "lossless"))):
        code, _, errors = restore(tmp_path / "song.flac", tmp_path / name, *options)
        assert (code, errors) == (0, [])
        with AudioReader(tmp_path / name) as reader:
            assert reader.tags.values["title"] == "Song"
        sizes.append((tmp_path / name).stat().st_size)
    assert sizes[0] < 0.8 * sizes[1] < sizes[2]
    assert b"Apollo RT" in (tmp_path / "b.mp3").read_bytes()


def test_what_a_killed_run_left_is_said(restore, tmp_path) -> None:
    song = write(tmp_path / "song.wav", tone(5000))
    (tmp_path / ".other.01234567.flac.part").write_bytes(b"half")
    code, _, errors = restore(song, tmp_path / "out.flac")
    assert code == 0
    assert [line for line in errors if "left behind by a run that was killed" in line]


@pytest.mark.parametrize("rate", [1, 999, 768_001])
def test_a_rate_that_is_no_music_is_refused(restore, tmp_path, rate) -> None:
    song = write(tmp_path / "song.wav", tone(100), rate)
    code, _, errors = restore(song, tmp_path / "out.flac")
    assert code == 1
    assert f"{song}: has a sample rate of {rate} Hz; from 1000 to 768000 can be read" in errors[0]
