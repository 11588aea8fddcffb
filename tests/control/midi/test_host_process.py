"""A MIDI port in another process: what that says, that it ends or hangs, and what its own side does with a port."""

import io
import json
import signal
import sys

import pytest

from apollo_rt.control.midi import host_process
from apollo_rt.control.midi.host import MidiHost
from apollo_rt.control.midi.host_process import PortProcess
from apollo_rt.errors import ControlError
from tests.doubles.audio_servers import wait_for
from tests.doubles.midi import FakePort

ECHO = """
import sys
say = lambda text: print(text, end="", flush=True)
say('{"name": "desk"}\\nb01')
say('440\\n903c')
say('7f\\n{"ports": ["a", "b"]}\\nc005\\n')
for line in sys.stdin:
    say(line)
"""


def process(script):
    return PortProcess([sys.executable, "-c", script])


def heard(port, count):
    messages = []
    assert wait_for(lambda: messages.extend(iter(port.fetch, None)) or len(messages) >= count)
    return messages


def test_messages_come_and_go_whole_in_their_order_and_reports_are_none_of_them():
    port = process(ECHO)
    assert port.name == "desk"
    assert heard(port, 3) == [[0xB0, 0x14, 0x40], [0x90, 0x3C, 0x7F], [0xC0, 5]]
    assert port.ports() == ["a", "b"]
    port.send([0xE0, 0, 64])
    assert heard(port, 1) == [[0xE0, 0, 64]]
    port.close()


def test_what_it_can_not_open_is_said_in_its_words():
    with pytest.raises(ControlError, match=r"^midi: no organ$"):
        process("""print('{"error": "midi: no organ"}')""")


def test_one_that_ends_before_it_has_opened_is_an_error_that_says_so():
    with pytest.raises(ControlError, match="ended with code 3 before it was open: no disk"):
        process("import sys; print('no disk', file=sys.stderr); raise SystemExit(3)")


def test_one_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(host_process, "_OPENING_S", 0.2)
    monkeypatch.setattr(host_process, "_ENDING_S", 0.1)
    with pytest.raises(ControlError, match=r"isn't open after 0\.2 s"):
        process("import sys; sys.stdin.read()")


def test_one_that_has_ended_is_gone_and_can_still_be_told_and_closed():
    port = process("""print('{"name": "desk"}')""")
    assert wait_for(lambda: port.ports() is None)
    port.send([0xB0, 1, 2])
    assert port.fetch() is None
    port.close()


HANGS = """
import sys, threading
from apollo_rt.control.midi import host
from tests.doubles.midi import FakePort
def hang(*_):
    threading.Lock().acquire(), threading.Event().wait()
host._HANGING_S = 1
port = FakePort()
setattr(port, sys.argv[1], hang)
host.serve(lambda: port.open("desk"))
"""


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="JACK's library is what hangs, and this system has none")
@pytest.mark.parametrize("call", ["open", "fetch", "ports", "close"])
def test_one_that_hangs_is_not_waited_for_and_the_system_ends_it(monkeypatch, call):
    """Its own thread and Python's lock are JACK's then: nothing but a signal that nobody handles gets through."""
    monkeypatch.setattr(host_process, "_SILENT_S", 0.3)
    monkeypatch.setattr(host_process, "_ENDING_S", 0.1)
    command = [sys.executable, "-c", HANGS, call]
    if call == "open":
        with pytest.raises(ControlError, match=f"ended with code -{signal.SIGALRM:d}"):
            PortProcess(command)
        return
    port = PortProcess(command)
    assert call == "close" or wait_for(lambda: port.ports() is None)
    port.close()
    assert wait_for(lambda: port._process.returncode == -signal.SIGALRM)


def test_one_that_ends_late_was_never_killed(monkeypatch, tmp_path):
    """JACK's server stands still for a client that died, and all others with it."""
    monkeypatch.setattr(host_process, "_ENDING_S", 0.1)
    port = process(f"""
import pathlib, sys, time
print('{{"name": "desk"}}', flush=True)
sys.stdin.read()
while not pathlib.Path({str(tmp_path / "go")!r}).exists():
    time.sleep(0.01)
""")
    port.close()
    assert port._process.returncode is None
    (tmp_path / "go").touch()
    assert wait_for(lambda: port._process.returncode == 0)


def test_a_host_ends_when_its_device_is_gone():
    port, answers = FakePort().open("desk"), io.BytesIO()
    port.arrived.extend([[0xB0, 1, 2], [0x90, 3, 4]])
    port.is_plugged = False
    MidiHost(port, io.BytesIO(), answers).run()
    assert port.sent == []


def test_a_host_reports_and_sends_until_nobody_orders_any_more():
    port, answers = FakePort().open("desk"), io.BytesIO()
    port.arrived.extend([[0xB0, 1, 2], [0x90, 3, 4]])
    orders = Orders(lambda: answers.getvalue().count(b"\n") >= 3)
    MidiHost(port, orders, answers).run()
    assert port.sent == [[0xB0, 5, 6]]
    *messages, report = answers.getvalue().decode().splitlines()
    assert messages == ["b00102", "900304"]
    assert json.loads(report) == {"ports": ["Desk 1"]}


class Orders:
    """One order, and an end as soon as something has happened."""

    def __init__(self, has_happened):
        self._has_happened = has_happened

    def __iter__(self):
        yield b"b00506\n"
        assert wait_for(self._has_happened)
