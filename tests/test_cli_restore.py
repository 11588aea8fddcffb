"""`apollo-rt restore`: one file, several, folders; what can go wrong is in test_bad_input.py."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apollo_rt.app import progress
from apollo_rt.app.cli import main
from apollo_rt.app.progress import progress_bar
from tests import tiny_models
from tests.sound_files import tone, write

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.gain(tmp_path_factory.mktemp("model"), 0.5)


@pytest.fixture
def restore(model: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Run the command in this process; exit code, lines on stdout, lines on stderr."""

    def run(*arguments: object) -> tuple[int, list[str], list[str]]:
        with pytest.raises(SystemExit) as ended:
            main(["restore", "--model", str(model), *map(str, arguments)])
        captured = capfd.readouterr()
        errors = [line for line in captured.err.splitlines() if "(1 of 1)" not in line]
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
