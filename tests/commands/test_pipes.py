"""`-`, named pipes and `--raw`: the program between two others, as a filter."""

import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import ROOT
from tests.doubles.sound_files import tone, write

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")

N_SAMPLES = 30_011


@contextmanager
def started(*arguments: object, **options: object) -> Iterator[subprocess.Popen]:
    """The program as a process with pipes at both ends, which a test that fails doesn't wait for."""
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-m", "apollo_rt", *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, **{**streams, **options}) as process:
        try:
            yield process
        finally:
            process.kill()


def piped(data: bytes, *arguments: object, code: int = 0) -> tuple[bytes, str]:
    """What comes out of the program where `data` goes in; stdout and stderr."""
    with started(*arguments) as process:
        out, words = process.communicate(data)
        assert process.returncode == code, words
    return out, words.decode()


def raw_of(samples: np.ndarray) -> bytes:
    return samples.astype("<f4").tobytes()


def samples_of(raw: bytes) -> np.ndarray:
    return np.frombuffer(raw, "<f4").reshape(-1, 2)


@pytest.fixture
def restore(model: Path) -> tuple[object, ...]:
    return "restore", "--model", model


@pytest.fixture
def live(model: Path) -> tuple[object, ...]:
    return "live", "--model", model, "--input", "-", "--output", "-"


def test_a_container_comes_in_and_a_wav_leaves_with_every_word_on_stderr(restore, live, tmp_path):
    song = write(tmp_path / "song.flac", tone(N_SAMPLES)).read_bytes()
    source = soundfile.read(tmp_path / "song.flac")[0]
    for arguments in ((*restore, "-", "-"), live):
        out, words = piped(song, *arguments)
        (tmp_path / "out.wav").write_bytes(out)
        restored, rate = soundfile.read(tmp_path / "out.wav")
        assert rate == 44_100
        np.testing.assert_allclose(restored, 0.5 * source, atol=2e-6)
        assert " of sound in " in words


def test_raw_samples_come_in_and_leave_aligned_to_the_sample(restore, live):
    samples = tone(N_SAMPLES)
    for arguments in ((*restore, "-", "-"), live):
        out, _ = piped(raw_of(samples), *arguments, "--raw", "f32le,44100,2")
        np.testing.assert_allclose(samples_of(out), 0.5 * samples, atol=2e-6)


def test_either_end_alone_may_be_raw_and_a_pipe_or_a_file(restore, live, tmp_path):
    song = write(tmp_path / "song.wav", tone(N_SAMPLES), subtype="FLOAT")
    out, _ = piped(b"", *restore, song, "-", "--raw-output", "s16le,22050,1")
    assert len(out) == 2 * -(-N_SAMPLES // 2)
    out, _ = piped(raw_of(tone(N_SAMPLES)), *live, "--raw", "f32le", "--raw-output", "wav")
    assert out[:4] == b"RIFF"
    piped(raw_of(tone(N_SAMPLES)), *restore, "-", tmp_path / "out.flac", "--raw", "f32le")
    assert soundfile.info(tmp_path / "out.flac").frames == N_SAMPLES
    raw = tmp_path / "song.raw"
    raw.write_bytes(raw_of(tone(N_SAMPLES)))
    out, _ = piped(b"", *restore, raw, "-", "--raw", "f32le")
    np.testing.assert_allclose(samples_of(out), 0.5 * tone(N_SAMPLES), atol=2e-6)


def test_a_stdout_that_is_a_file_gets_a_header_with_its_length_and_may_be_there_already(restore, tmp_path):
    song, target = write(tmp_path / "song.wav", tone(N_SAMPLES)), tmp_path / "out.wav"
    with target.open("wb") as file, started(*restore, song, "-", stdout=file, stdin=subprocess.DEVNULL) as process:
        words = process.communicate()[1]
        assert process.returncode == 0, words
    assert soundfile.info(target).frames == N_SAMPLES
    assert int.from_bytes(target.read_bytes()[4:8], "little") == target.stat().st_size - 8


def test_a_live_filter_answers_while_its_input_is_still_open_and_waits_for_more(live):
    """What goes in comes out again 832 samples later, whether or not more follows: nothing is kept back."""
    samples = tone(N_SAMPLES)
    with started(*live, "--raw", "f32le") as process:
        process.stdin.write(raw_of(samples[:8000]))
        process.stdin.flush()
        got = b""
        while len(got) < 8 * (8000 - 832 - 256):  # a block of 256 may not be full yet
            part = os.read(process.stdout.fileno(), 65_536)
            assert part, process.stderr.read()
            got += part
        assert not process.poll()
        process.stdin.write(raw_of(samples[8000:]))
        process.stdin.close()
        got += process.stdout.read()
    np.testing.assert_allclose(samples_of(got), 0.5 * samples, atol=2e-6)


def test_a_reader_that_rests_holds_the_writer_back_and_nothing_is_lost(live):
    """Several times what all buffers hold goes in before anything is read."""
    samples = np.tile(tone(44_100), (30, 1))
    with started(*live, "--raw", "f32le") as process:
        writer = threading.Thread(target=lambda: (process.stdin.write(raw_of(samples)), process.stdin.close()))
        writer.start()
        assert select.select([process.stdout], [], [], 120)[0]
        writer.join(3.0)
        assert writer.is_alive()  # it is held back
        got = process.stdout.read()
        writer.join()
    np.testing.assert_allclose(samples_of(got), 0.5 * samples, atol=2e-6)


@pytest.mark.parametrize("command", ["restore", "live"])
def test_a_closed_pipe_ends_it_as_it_ends_other_filters(request, command):
    arguments = request.getfixturevalue(command)
    ends = ("-", "-") if command == "restore" else ()
    with started(*arguments, *ends, "--raw", "f32le") as process:
        writer = threading.Thread(target=_write_till_closed, args=(process, raw_of(np.tile(tone(44_100), (30, 1)))))
        writer.start()
        assert len(process.stdout.read(1000)) == 1000
        process.stdout.close()
        words = process.stderr.read().decode()
        assert process.wait() == 141
        writer.join()
    assert "Traceback" not in words
    assert "error" not in words


def _write_till_closed(process: subprocess.Popen, data: bytes) -> None:
    try:
        process.stdin.write(data)
        process.stdin.close()
    except BrokenPipeError:
        pass


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
def test_a_signal_is_heard_while_nothing_comes_and_nobody_reads(live, signal_name):
    import signal

    with started(*live, "--raw", "f32le") as process:
        process.stdin.write(raw_of(tone(2000)))
        process.stdin.flush()
        assert os.read(process.stdout.fileno(), 65_536)
        process.send_signal(getattr(signal, signal_name))
        assert process.wait() == 0
        assert "done: " in process.stderr.read().decode()


def test_named_pipes_are_ends_too(live, restore, tmp_path):
    source, target = tmp_path / "in.fifo", tmp_path / "out.fifo"
    for arguments in (("live", "-i", source, "-o", target), ("restore", source, target)):
        for pipe in (source, target):
            pipe.unlink(missing_ok=True)
            os.mkfifo(pipe)
        with started(arguments[0], *restore[1:], *arguments[1:], "--raw", "f32le") as process:
            writer = threading.Thread(target=lambda: source.write_bytes(raw_of(tone(N_SAMPLES))))
            writer.start()
            np.testing.assert_allclose(samples_of(target.read_bytes()), 0.5 * tone(N_SAMPLES), atol=2e-6)
            words = process.communicate()[1]
            assert process.returncode == 0, words
            writer.join()


@pytest.mark.parametrize(
    ("arguments", "data", "reason"),
    [
        (("-", "-"), b"", "/dev/stdin: the file is empty"),
        (("-", "song.wav", "-o", "-"), b"x", "/dev/stdin: a pipe is restored alone"),
        (("-", "-o", "folder"), b"x", "folder: is a folder, and what comes from /dev/stdin has no name"),
        (("-", "-"), b"This is no music.\n" * 100, "/dev/stdin: not an audio file"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(restore, arguments, data, reason):
    out, words = piped(data, *restore, *arguments, code=1)
    assert out == b""
    assert f"error: {reason}" in words
    assert "Traceback" not in words


def test_a_terminal_gets_no_sound_and_is_not_waited_for(restore, tmp_path):
    import pty

    ours, theirs = pty.openpty()
    song = write(tmp_path / "song.wav", tone(2000))
    for ends, streams in ((("-", "-"), {"stdin": theirs}), ((song, "-"), {"stdout": theirs})):
        with started(*restore, *ends, **streams) as process:
            words = process.stderr.read().decode()
            assert process.wait() == 1
        assert "is a terminal; lead " in words
    os.close(ours)
    os.close(theirs)


def test_a_raw_form_that_cannot_be_is_wrong_usage(restore, live):
    for arguments in ((*restore, "-", "-"), live):
        _, words = piped(b"", *arguments, "--raw", "s17le", code=2)
        assert "raw sample format must be one of u8, s16le" in words
