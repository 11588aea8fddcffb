"""docs/pipes.md: each of its lines is run, against the program that it names."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import ROOT
from tests.doubles import tiny_models
from tests.doubles.audio_servers import wait_for
from tests.doubles.markdown_blocks import blocks_of, run
from tests.doubles.sound_files import tone, write

PAGE = (ROOT / "docs/pipes.md").read_text()
BLOCKS = {block.code.split()[0]: block for block in blocks_of(PAGE) if block.marker == "test"} | {
    "liquidsoap": next(block for block in blocks_of(PAGE) if "liquidsoap radio.liq" in block.code)
}
pytestmark = [pytest.mark.server, pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")]


def needs(program: str) -> None:
    """Skip without a program; the gate has them all."""
    if not shutil.which(program):
        assert not os.environ.get("CI"), f"{program} is missing"
        pytest.skip(f"needs {program}")


def line_below(marker: str) -> list[str]:
    """The command in the block below a comment, as arguments."""
    match = re.search(rf"<!-- {marker} -->\n```bash\npython (.*)\n```", PAGE)
    assert match
    return [sys.executable, *shlex.split(match[1])]


def text_with(start: str) -> str:
    """The block of a configuration that has such a line."""
    return next(text for text in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) if start in text)


def environment(folder: Path) -> dict[str, str]:
    """With a model that halves what it hears, so that nothing waits for the real one."""
    model = tiny_models.gain(folder, 0.5)
    return {"APOLLO_RT_LIVE_MODEL": str(model), "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}


@pytest.fixture
def tiny(tmp_path_factory, monkeypatch):
    for name, value in environment(tmp_path_factory.mktemp("model")).items():
        monkeypatch.setenv(name, value)


def loudness(path: Path) -> float:
    """RMS of a file's middle second, where it has so much."""
    samples = soundfile.read(path, always_2d=True)[0]
    assert len(samples) > 40_000
    return float(np.sqrt(np.mean(samples[8000:36_000] ** 2)))


@pytest.mark.parametrize("program", ["ffmpeg", "sox", "mpv", "liquidsoap"])
def test_a_line_of_the_page_restores_a_second_of_music(program, tmp_path, tiny):
    needs(program)
    block = next(block for name, block in BLOCKS.items() if program in (name, "ffmpeg") and program in block.code)
    assert program in block.code
    code = block.code
    if program == "liquidsoap" and os.getuid() == 0:
        code = code.replace("<<'END'\n", "<<'END'\nset(\"init.allow_root\", true)\n")
    done = run(type(block)(block.line, block.language, code, block.marker), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    restored = next(path for path in (tmp_path / "restored.wav", tmp_path / "restored.flac") if path.exists())
    assert loudness(restored) == pytest.approx(0.5 * loudness(tmp_path / "song.mp3"), rel=0.02)


def test_mpd_plays_into_the_program_by_the_configuration_of_the_page(tmp_path, tiny):
    needs("mpd")
    needs("mpc")
    write(tmp_path / "song.flac", tone(3 * 44_100))
    pipe, address, target = tmp_path / "mpd.fifo", tmp_path / "mpd.socket", tmp_path / "out.wav"
    own = f'music_directory "{tmp_path}"\ndb_file "{tmp_path}/mpd.db"\nbind_to_address "{address}"\n'
    (tmp_path / "mpd.conf").write_text(own + text_with("audio_output").replace("/tmp/mpd.fifo", str(pipe)))
    server = subprocess.Popen(["mpd", "--no-daemon", "mpd.conf"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        assert wait_for(lambda: address.exists() and pipe.exists(), 60)
        command = [str(pipe) if part == "/tmp/mpd.fifo" else part for part in line_below("mpd")]
        command = [str(target) if part == "speakers" else part for part in command]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as live:
            client = ["mpc", f"--host={address}"]
            for words in (["update", "--wait"], ["add", "song.flac"], ["repeat", "on"], ["play"]):
                subprocess.run([*client, *words], check=True, capture_output=True)
            assert "latency" in next(line for line in live.stdout if "latency" in line or "error" in line)
            time.sleep(3)  # so much music at least is heard
            server.terminate()
            words = live.communicate()[0]
            assert live.returncode == 0, words
    finally:
        server.kill()
        server.wait()
    # Restored at half its level, and as it is where a busy machine came too late.
    assert 0.4 < loudness(target) / loudness(tmp_path / "song.flac") < 1.1


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def status_of(port: int) -> dict:
    """Snapserver's own account of itself."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b'{"id":1,"jsonrpc":"2.0","method":"Server.GetStatus"}\r\n')
        answers = (json.loads(line) for line in connection.makefile())  # what it tells unasked comes between
        return next(answer["result"]["server"] for answer in answers if "result" in answer)


def test_snapcast_plays_what_the_program_writes_by_the_configuration_of_the_page(tmp_path, tiny):
    needs("snapserver")
    write(tmp_path / "song.mp3", tone(20 * 44_100))
    pipe, port = tmp_path / "snapfifo", free_port()
    own = (
        f"[server]\ndatadir = {tmp_path}\n[http]\nenabled = false\n[tcp]\nport = {port}\n"
        f"{text_with('[stream]')}port = {free_port()}\n"
    )
    (tmp_path / "snapserver.conf").write_text(own.replace("/tmp/snapfifo", str(pipe)))
    server = subprocess.Popen(
        ["snapserver", "-c", tmp_path / "snapserver.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert wait_for(pipe.exists, 60)
        names = {"song.mp3": str(tmp_path / "song.mp3"), "/tmp/snapfifo": str(pipe)}
        command = [names.get(part, part) for part in line_below("snapcast")]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as live:
            playing = wait_for(lambda: status_of(port)["streams"][0]["status"] == "playing", 120)
            server.kill()  # its reader is gone
            words = live.communicate()[0]
            assert playing, words
            assert live.returncode == 141, words
    finally:
        server.kill()
        server.wait()
