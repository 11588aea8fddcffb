"""The live screen in a real terminal: the program as a user starts it, with keys, a mouse and windows of any size.

One program serves all tests, as it takes seconds to start; each test brings back what it changed.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.screen.palette import THEMES
from apollo_rt.session.named_files import DEMO_FILE
from tests import ROOT
from tests.doubles.audio_servers import wait_for
from tests.doubles.real_terminal import PATIENCE_S, START_S, Terminal, terminal

pytestmark = pytest.mark.server

RATE = 44_100
SLIDER = 15
"""Column at which sliders begin."""
COLORS = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
FIRST_SIZE = {"COLUMNS": "80", "LINES": "24"}
"""As some shells export it, and as Python's readline puts it in the environment of all that pytest starts."""


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo again and again, for as long as tests may take."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    reader = AudioReader(DEMO_FILE, RATE)
    with reader:
        soundfile.write(path, np.tile(reader.read(12 * RATE), (25, 1)), RATE, subtype="PCM_16")
    return path


def command(song: Path, folder: Path) -> list[str]:
    return [sys.executable, str(ROOT / "run_live.py"), "--input", str(song), "--output", str(folder / "restored.wav")]


@pytest.fixture(scope="module")
def screen(song: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    folder = tmp_path_factory.mktemp("run")
    with terminal(command(song, folder), XDG_CONFIG_HOME=str(folder), **COLORS, **FIRST_SIZE) as running:
        running.shows("RESTORING", "quit", "p99.9", patience_s=START_S)
        yield running


def row_of(screen: Terminal, name: str) -> int:
    """The line in which a parameter stands."""
    return next(y for y, line in enumerate(screen.lines) if re.match(rf"[▸ ] {name} ", line))


def value_of(screen: Terminal, name: str) -> str:
    """What stands behind a parameter's slider; nothing where a box covers it."""
    if not re.search(rf"^[▸ ] {name} ", screen.text, re.MULTILINE):
        return ""
    return screen.lines[row_of(screen, name)][SLIDER:40].split("─")[-1].split("━")[-1].strip(" ●┼┿")


def becomes(screen: Terminal, name: str, value: str) -> None:
    assert wait_for(lambda: value_of(screen, name) == value, PATIENCE_S), f"{name}, not {value}:\n{screen.text}"


def color(name: str, theme: int = 0) -> str:
    """An ink as an escape sequence has it."""
    digits = THEMES[theme].variables[f"ink-{name}"].lstrip("#")
    return ";".join(str(int(digits[place : place + 2], 16)) for place in (0, 2, 4))


def test_at_80_by_24_everything_has_its_place(screen: Terminal) -> None:
    screen.shows("song.wav → ", "spectrum", "restored band", "10k", "parameters", "strength", "level", "in  L", "work",
                 "load", "latency 18.9 ms", "algorithmic 11.6", "headroom 7.3", "b bypass", "? help")  # fmt: skip
    assert len(screen.lines) == 24
    assert all(len(line) <= 80 for line in screen.lines)


def test_the_restored_band_is_seen_in_its_color_right_of_what_came_in(screen: Terminal) -> None:
    """The demo ends at 7.9 kHz."""
    before, restored = f";2;{color('before')}", f";2;{color('restored')}"

    def plot() -> list[str]:
        return screen.colored.splitlines()[2:7]

    assert wait_for(lambda: any(before in line and restored in line for line in plot()), PATIENCE_S), screen.text
    both = [line for line in plot() if before in line and restored in line]
    assert all(line.index(before) < line.index(restored) for line in both)


def test_levels_and_work_are_those_of_the_music(screen: Terminal) -> None:
    levels = [float(line.split()[-1]) for line in screen.lines if re.search(r"(in |out) +[LR] ", line)]
    assert len(levels) == 4
    assert all(-40.0 < level <= 0.0 for level in levels), screen.text
    assert re.search(r"load +[1-9]\d* %", screen.text)
    assert re.search(r"all +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d", screen.text)


@pytest.mark.parametrize(("key", "text"), [("b", "BYPASS: the input"), ("d", "DELTA: only the changes")])
def test_a_key_switches_what_is_heard_and_back(screen: Terminal, key: str, text: str) -> None:
    screen.press(key)
    screen.shows(text)
    screen.press(key)
    screen.shows("RESTORING")


def test_keys_choose_a_parameter_move_it_type_it_and_reset_it(screen: Terminal) -> None:
    screen.press("Down", "Down", "Down", "Left", "Left")
    becomes(screen, "strength", "0.90")
    screen.press("S-Right")
    becomes(screen, "strength", "1.15")
    screen.press("0", ".", "5")
    screen.shows("Enter sets", "0.5 ")
    screen.press("Enter")
    becomes(screen, "strength", "0.50")
    screen.press("BSpace")
    becomes(screen, "strength", "1.00")
    screen.press("Up", "Up", "Up")


def test_the_mouse_moves_sliders_and_switches(screen: Terminal) -> None:
    mix, delta, strength = (row_of(screen, name) for name in ("mix", "delta", "strength"))
    screen.click(SLIDER, mix)
    becomes(screen, "mix", "0.00")
    screen.hold(SLIDER + 7, mix)
    becomes(screen, "mix", "0.50")
    screen.drag(70, mix + 3)
    becomes(screen, "mix", "1.00")
    screen.drag(SLIDER, mix + 3)
    becomes(screen, "mix", "0.00")
    screen.let_go(SLIDER, mix + 3)
    screen.click(SLIDER + 14, mix)
    becomes(screen, "mix", "1.00")
    screen.wheel_up(SLIDER + 3, strength)
    becomes(screen, "strength", "1.05")
    screen.click(SLIDER + 1, delta)
    screen.shows("DELTA")
    screen.click(SLIDER + 1, delta)
    screen.shows("RESTORING")
    screen.press("R")
    becomes(screen, "strength", "1.00")
    screen.click(16, 23)
    screen.shows("BYPASS")
    screen.press("b")
    screen.shows("RESTORING")


def test_two_settings_are_compared_and_a_preset_kept(screen: Terminal) -> None:
    screen.press("a")
    screen.press("[", "[")
    becomes(screen, "mix", "0.90")
    screen.press("a")
    becomes(screen, "mix", "1.00")
    screen.press("p")
    screen.shows("presets", "Type a name")
    screen.type("evening")
    screen.press("Enter")
    screen.shows("parameters, preset evening")
    screen.press("p")
    screen.shows("▸ evening", "Del removes")
    screen.press("Escape")
    assert wait_for(lambda: "Del removes" not in screen.text, PATIENCE_S), "a key behind Escape would belong to it"


def test_help_models_and_log_open_and_close(screen: Terminal) -> None:
    screen.press("?")
    screen.shows("everywhere", "hear only what the model changed")
    screen.press("Escape")
    assert wait_for(lambda: "everywhere" not in screen.text, PATIENCE_S)
    screen.press("n")
    screen.shows("models that fit this run", "Enter goes there")
    screen.press("Escape")
    assert wait_for(lambda: "models that fit" not in screen.text, PATIENCE_S)
    screen.press("o")
    screen.shows("devices: this run")


def test_there_is_a_light_theme(screen: Terminal) -> None:
    screen.press("t")
    assert wait_for(lambda: f"48;2;{color('accent', 1)}" in screen.colored, PATIENCE_S)
    screen.press("t")
    assert wait_for(lambda: f"48;2;{color('accent')}" in screen.colored, PATIENCE_S)


def test_the_screen_follows_the_windows_size_though_the_shell_exported_the_first_one(screen: Terminal) -> None:
    screen.resize(100, 34)
    assert wait_for(lambda: len(screen.lines) == 34 and "? help" in screen.lines[33], PATIENCE_S), screen.text
    screen.shows("spectrum")
    screen.resize(80, 18)
    assert wait_for(lambda: "? help" in screen.lines[-1] and "spectrum" not in screen.text, PATIENCE_S), screen.text
    screen.shows("mix", "latency 18.9 ms")
    screen.resize(80, 24)
    screen.shows("spectrum", "mix", "? help")


def test_q_leaves_the_terminal_as_it_was(screen: Terminal) -> None:
    assert screen.mode("alternate_on") == "1"
    screen.press("q")
    assert screen.exit_code() == 0
    screen.shows("done: ", "xruns")
    assert screen.mode("alternate_on") == "0"
    assert screen.mode("mouse_any_flag") == "0"
    assert screen.mode("cursor_flag") == "1"
    assert "Traceback" not in screen.text
