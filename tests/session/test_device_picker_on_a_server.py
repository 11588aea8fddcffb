"""Another output, chosen by keys on the live screen in a real terminal, while music plays on a real sound server."""

import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.session.named_files import input_file
from tests import ROOT
from tests.doubles.audio_servers import RATE, PulseServer, short_folder, wait_for
from tests.doubles.real_terminal import PATIENCE_S, START_S, Terminal, terminal

pytestmark = pytest.mark.server

COMMAND = [sys.executable, str(ROOT / "run_live.py"), "--input", "Monitor of Loopback", "--output", "speakers"]
CLIP_S = 1.5


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    with AudioReader(input_file("demo")) as reader:
        return np.ascontiguousarray(reader.read(round(CLIP_S * RATE)))


@pytest.fixture(scope="module")
def server() -> Iterator[PulseServer]:
    """One that has headphones, too; without an ALSA configuration the program sees the server's own ends."""
    with short_folder() as folder:
        server = PulseServer(folder)
        server.environment["ALSA_CONFIG_PATH"] = ""
        with server.started():
            server.add_sink("headphones")
            yield server


@pytest.fixture
def screen(server: PulseServer, tmp_path: Path) -> Iterator[Terminal]:
    home = {"XDG_CONFIG_HOME": str(tmp_path), "TERM": "xterm-256color"}
    with terminal(COMMAND, 100, 40, **server.environment, **home) as running:
        running.shows("RESTORING", "speakers (PulseAudio)", patience_s=START_S)
        yield running


def latency_ms(screen: Terminal) -> float:
    return float(re.search(r"latency (\d+\.\d) ms", screen.text).group(1))


def peaks(server: PulseServer, clip: np.ndarray) -> dict[str, float]:
    """Play the clip, and listen at both outputs."""
    with server.ear("speakers.monitor") as at_speakers, server.ear("headphones.monitor") as at_headphones:
        assert wait_for(lambda: at_speakers.has_begun and at_headphones.has_begun)
        server.play(clip)
    ears = {"speakers": at_speakers, "headphones": at_headphones}
    return {name: float(np.abs(ear.samples).max()) for name, ear in ears.items()}


def test_keys_lead_to_another_output_and_back_while_it_plays(
    screen: Terminal, server: PulseServer, clip: np.ndarray
) -> None:
    before = peaks(server, clip)
    assert before["speakers"] > 0.1
    assert before["headphones"] == 0.0
    latency = latency_ms(screen)
    music = threading.Thread(target=server.play, args=(clip,))
    music.start()
    choose(screen, "headphones", "Down")
    screen.shows("→ headphones (PulseAudio)", "RESTORING")
    music.join()
    after = peaks(server, clip)
    assert after["headphones"] > 0.1
    assert after["speakers"] == 0.0
    assert latency_ms(screen) == latency
    choose(screen, "speakers", "Up")
    screen.shows("→ speakers (PulseAudio)", "RESTORING")
    assert peaks(server, clip)["speakers"] > 0.1
    screen.press("q")
    assert screen.exit_code() == 0


def choose(screen: Terminal, name: str, key: str) -> None:
    """In the list of outputs, go from the one that plays to its neighbour of that name."""
    screen.press("o")
    screen.shows("Esc closes", f"{name} (PulseAudio)")
    screen.press("Tab")
    assert wait_for(lambda: re.search(r"output .*\n.*▔▔", screen.text) is not None, PATIENCE_S), screen.text
    screen.press(key, "Enter")
