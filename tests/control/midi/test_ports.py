"""MIDI through real ports of the system: ALSA's sequencer where the kernel has one, else JACK; it says which it was."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from apollo_rt.config import Framing
from apollo_rt.control.midi import port as midi_port
from apollo_rt.control.midi.control import MidiControl
from apollo_rt.control.midi.host_process import PortProcess, open_port
from apollo_rt.control.midi.map import CC, TURN, Action, MidiMap, Origin, default_map
from apollo_rt.control.parameters import PARAMETERS
from apollo_rt.errors import ControlError
from apollo_rt.inference.model import load
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from tests import ROOT
from tests.doubles import tiny_models
from tests.doubles.audio_servers import JackName, jackd, running, unavailable, wait_for
from tests.doubles.memory_files import MemoryReader, MemoryWriter
from tests.doubles.midi import can_list
from tests.doubles.real_terminal import START_S, terminal
from tests.doubles.sound_files import tone, write
from tests.doubles.sounds import noise
from tests.doubles.still_engine import StillEngine, session_of

pytestmark = pytest.mark.server

CC_1 = 0xB0


@pytest.fixture(scope="module")
def say(request):
    """Print a line that is seen whether a test passes or not."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def show(line):
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", file=sys.__stderr__, flush=True)

    return show


@pytest.fixture(scope="module")
def back_end(say):
    """Which way there is on this machine; with JACK, a server of our own."""
    if Path("/dev/snd/seq").exists():
        say("MIDI ports: ALSA's sequencer")
        yield "ALSA"
        return
    say("MIDI ports: JACK, for the kernel has no ALSA sequencer (/dev/snd/seq)")
    with jack_server():
        yield "Jack"


@contextmanager
def jack_server():
    """JACK with its dummy device, for this process and those that it starts."""
    name = JackName()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JACK_DEFAULT_SERVER", name.text)
        patch.setenv("JACK_NO_START_SERVER", "1")
        env = {**os.environ, "JACK_NO_AUDIO_RESERVATION": "1"}
        with running(jackd(name.text, patience_s=3.0), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            if not wait_for(can_list):
                unavailable("jackd did not start")
            yield


class Desk(PortProcess):
    """Another program with MIDI, see `midi_desk`; it is no part of what is tested, so JACK may fail it twice."""

    def __init__(self, *arguments):
        pytest.importorskip("rtmidi")
        command = [sys.executable, str(ROOT / "tests" / "doubles" / "midi_desk.py"), *(arguments or ("Desk",))]
        for n_left in (2, 1, 0):
            try:
                super().__init__(command)
                break
            except ControlError:
                if not n_left:
                    raise
        self._got = []

    @property
    def got(self):
        """All that it was sent."""
        self._got += iter(self.fetch, None)
        return self._got

    def play(self, *messages):
        for message in messages:
            self.send(message)

    def plays_until(self, is_so, *messages):
        """Play again and again: a server that waited for its clients in vain loses what it should have led to them."""

        def played():
            for message in messages:
                self.send(message)
                time.sleep(0.02)  # of each controller the latest value is taken, 200 times a second
            return is_so()

        return wait_for(played)

    def close(self):
        super().close()
        assert self._process.returncode != 1, "it can be closed, and be crashed by JACK, but never fail by itself"


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setattr("apollo_rt.control.presets.preset_folder", lambda: tmp_path / "presets")
    return session_of(StillEngine())


@pytest.fixture
def control_of(session, tmp_path):
    opened, said = [], []

    def make(wanted):
        control = MidiControl(
            wanted, session.commands, session.controls, default_map(PARAMETERS), tmp_path / "m.yaml", said.append
        )
        opened.append(control)
        control.start()
        return control

    yield make
    for control in opened:
        control.close()


def test_what_goes_through_the_system_is_what_was_asked_for(back_end):
    assert midi_port.back_end() == back_end


def test_a_desk_is_heard_and_shown_through_real_ports(back_end, session, control_of):
    desk = Desk()
    try:
        control = control_of("desk")
        assert wait_for(lambda: [CC_1, 20, 127] in desk.got), "the fader goes to where the parameter is"
        assert wait_for(lambda: any("knobs" in port for port in control.describe()["ports"]))
        mix_is_taken = desk.plays_until(lambda: session.controls.get("mix") == 126 / 127, [CC_1, 20, 126])
        assert mix_is_taken, "near enough to take the value over"
        assert desk.plays_until(lambda: session.controls.get("mix") == 30 / 127, [CC_1, 20, 30])
        assert desk.plays_until(lambda: session.controls.get("bypass") == 1, [CC_1, 80, 127])
        session.commands.run("set", {"name": "mix", "value": 1.0})
        assert wait_for(lambda: desk.got[-1] == [CC_1, 20, 127] or desk.got.count([CC_1, 20, 127]) > 1)
    finally:
        desk.close()


def test_a_desk_that_is_gone_and_back_is_found_again(back_end, session, control_of):
    desk = Desk()
    control = control_of("desk")
    desk.close()
    lines = []

    def hears(ending):
        lines.extend(control.poll())
        return any(line.endswith(ending) for line in lines)

    assert wait_for(lambda: hears("is gone; it is waited for"))
    desk = Desk()
    try:
        assert wait_for(lambda: hears("is back"))
        assert len(lines) == 2
        assert desk.plays_until(lambda: session.controls.get("mix") == 126 / 127, [CC_1, 20, 126])
    finally:
        desk.close()


def test_to_look_for_ports_leaves_nothing_open(back_end):
    """A client that was left to Python's memory stayed with JACK until the program's end, one for each poll."""
    midi_port.list_ports()
    n_open = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        midi_port.list_ports()
        with pytest.raises(ControlError, match="'organ'"):
            midi_port.open_port("organ")
    assert len(list(Path("/proc/self/fd").iterdir())) <= n_open


def test_a_program_that_died_with_its_ports_open_keeps_nobody_from_opening_others(back_end, session, control_of):
    """JACK's server stands still for it, and refuses who comes meanwhile."""
    for _ in range(3):
        player = Desk()
        os.kill(player._process.pid, signal.SIGKILL)
        assert midi_port.list_ports() is not None
        control_of("virtual").close()
        player.close()


def test_another_program_connects_to_a_virtual_port(back_end, session, control_of):
    control_of("virtual")
    player = Desk("player", "Apollo RT")
    try:
        assert player.plays_until(lambda: session.controls.get("mix") == 126 / 127, [CC_1, 20, 126])
    finally:
        player.close()


FLOOD = """
import sys, time, rtmidi
output = rtmidi.MidiOut(int(sys.argv[1]), "Flood")
output.open_virtual_port("knobs")
print("open", flush=True)
sys.stdin.readline()
begin_s = time.monotonic()
for batch in range(1000):
    for index in range(100):
        output.send_message([0xB0 | index & 15, index, batch & 127])
    time.sleep(max(begin_s + (batch + 1) / 1000 - time.monotonic(), 0.0))
print(100_000 / (time.monotonic() - begin_s), flush=True)
for _ in range(50):
    output.send_message([0xB0, 1, 64])
    time.sleep(0.01)
sys.stdin.readline()
"""
"""A desk of its own process: 10^5 messages in a second, and then where its knob stays."""

ENDLESS_FLOOD = """
import sys, threading, time, rtmidi
output = rtmidi.MidiOut(int(sys.argv[1]), "Flood")
output.open_virtual_port("knobs")
ending = threading.Event()
def pour():
    while not ending.wait(0.001):
        for index in range(100):
            output.send_message([0xB0, index, 1])
thread = threading.Thread(target=pour)
thread.start()
print("open", flush=True)
sys.stdin.read()
ending.set()
thread.join()
"""
"""The same without an end, until its input is closed."""


def test_100_000_messages_in_a_second_through_a_real_port_leave_the_audio_as_it_is(back_end, say, tmp_path):
    rtmidi = pytest.importorskip("rtmidi")
    model = load(tiny_models.identity(tmp_path, Framing(hop_length=256, analysis_length=1024)))
    samples, sink = noise(4 * 44_100), MemoryWriter()
    engine = Engine(model, VirtualDevice(44_100), EngineSettings(headroom=22_050), MemoryReader(samples), sink)
    session = session_of(engine)
    midi_map = MidiMap({Origin(CC, number): Action(TURN, "mix") for number in range(100)}, "jump")
    command = [sys.executable, "-c", FLOOD, str(int(midi_port._api(rtmidi)))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as desk:
        assert desk.stdout.readline() == "open\n"
        control = MidiControl("flood", session.commands, session.controls, midi_map, tmp_path / "m.yaml", print)
        control.start()
        with engine:
            desk.stdin.write("go\n")
            desk.stdin.flush()
            per_s = float(desk.stdout.readline())
            assert wait_for(lambda: engine.parameters.mix == 64 / 127), "the latest value wins"
            assert engine.wait(60)
        received = control.describe()["n_received"]
        control.close()
        desk.communicate("end\n", timeout=60)
    say(f"MIDI through {back_end}: {per_s:.0f} messages a second sent, {received} received")
    assert received > 0  # not all: JACK drops what doesn't fit into a period, more on a busy machine
    np.testing.assert_allclose(sink.samples, samples, atol=1e-5)


@pytest.mark.skipif(Path("/dev/snd/seq").exists(), reason="ALSA's sequencer is the kernel's: nothing of it crashes")
def test_whatever_the_library_does_when_a_port_is_let_go_under_a_flood_the_program_goes_on():
    """A port's process may crash here, and JACK, which can't stand that, end: hence a server of the test's own."""
    rtmidi = pytest.importorskip("rtmidi")
    flood = [sys.executable, "-c", ENDLESS_FLOOD, str(int(midi_port._api(rtmidi)))]
    n_opened = 0
    with (
        jack_server(),
        subprocess.Popen(flood, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as desk,
    ):
        assert desk.stdout.readline() == "open\n"
        while n_opened < 5 and can_list():
            port = open_port("flood")
            n_opened += 1
            assert wait_for(lambda port=port: port.fetch() == [CC_1, 7, 1]), "messages come"
            port.close()
        desk.stdin.close()
    assert n_opened > 0


def test_a_port_whose_process_crashed_is_opened_again(back_end, session, control_of):
    desk = Desk()
    try:
        control = control_of("desk")
        os.kill(control._port._process.pid, signal.SIGSEGV)
        lines = []
        assert wait_for(lambda: lines.extend(control.poll()) or len(lines) == 2)
        assert [line.split()[-1] for line in lines] == ["for", "back"]
        assert desk.plays_until(lambda: session.controls.get("mix") == 126 / 127, [CC_1, 20, 126])
    finally:
        desk.close()


def test_on_the_screen_a_knob_is_learnt_that_moved_before_and_then_it_moves_the_slider(back_end, tmp_path):
    """The program in a real terminal; `strength` stands at two thirds of its way, where the knob has to pick it up."""
    desk, song = Desk(), write(tmp_path / "song.wav", tone(60 * 44_100))
    command = [sys.executable, str(ROOT / "run_live.py"), "--input", str(song), "--output", str(tmp_path / "out.wav"),
               "--midi", "desk"]  # fmt: skip
    try:
        with terminal(command, XDG_CONFIG_HOME=str(tmp_path), TERM="xterm-256color") as screen:
            screen.shows("RESTORING", patience_s=START_S)
            assert wait_for(lambda: [CC_1, 20, 127] in desk.got), "it is connected"
            desk.play([CC_1, 77, 5])
            time.sleep(0.1)
            screen.press("Down", "Down", "Down", "l")
            screen.shows("shall move strength", "moved last: cc 77 channel 1")
            screen.press("Enter")
            screen.shows("strength is bound now")
            is_down = re.compile(r"strength +●[─┼]+ +0\.00").search
            assert desk.plays_until(lambda: is_down(screen.text) is not None, [CC_1, 77, 84], [CC_1, 77, 0]), (
                screen.text
            )
            screen.press("q")
            assert screen.exit_code() == 0
    finally:
        desk.close()
    assert "cc 77 channel 1: strength" in (tmp_path / "apollo-rt" / "midi.yaml").read_text()


def test_a_port_that_is_not_there_is_an_error_that_names_those_that_are(back_end):
    desk = Desk()
    try:
        with pytest.raises(ControlError, match=r"'organ' in its name, or be virtual; there are: .*knobs"):
            midi_port.open_port("organ")
    finally:
        desk.close()


@pytest.mark.skipif(Path("/dev/snd/seq").exists(), reason="ALSA's sequencer is the kernel's: it does not die")
def test_a_sound_server_that_died_takes_its_ports_and_not_the_program(tmp_path):
    name = JackName()
    script = """
import subprocess, sys, time
from apollo_rt.control.midi.host_process import open_port
from tests.doubles.midi import can_list
from tests.doubles.audio_servers import jackd, wait_for
server = subprocess.Popen(jackd(sys.argv[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
assert wait_for(can_list)
port = open_port("virtual")
assert port.ports() is not None
server.kill(); server.wait()
assert wait_for(lambda: port.ports() is None)
port.close()
print("lives")
"""
    env = {**os.environ, "JACK_DEFAULT_SERVER": name.text, "JACK_NO_START_SERVER": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, name.text],
        capture_output=True,
        text=True,
        env=env,
        timeout=120,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "lives"), done.stderr


def test_a_machine_without_midi_is_told_so_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    with pytest.raises(ControlError, match=r"^midi: python-rtmidi is not installed; pip install 'apollo-rt\[midi\]'$"):
        midi_port.open_port("virtual")
