"""MIDI without a machine's MIDI: a port that a test plays on, and a clock that it moves."""

from collections import deque
from pathlib import Path

from apollo_rt.control.midi import port as midi_port
from apollo_rt.control.midi.control import MidiControl
from apollo_rt.control.midi.map import MidiMap
from apollo_rt.errors import ControlError


class FakePort:
    """A desk: what is put into `arrived` is fetched, what it is sent is kept; unplugged it can't be opened."""

    name = "Desk 1"

    def __init__(self):
        self.is_plugged, self.sent, self.n_opened, self.is_open = True, [], 0, False
        self.arrived = deque()

    def open(self, wanted):
        if not self.is_plugged:
            raise ControlError(f"midi: no {wanted}")
        self.is_open, self.n_opened = True, self.n_opened + 1
        return self

    def fetch(self):
        assert self.is_open
        return self.arrived.popleft() if self.arrived else None

    def send(self, message):
        assert self.is_open
        self.sent.append(message)

    def ports(self):
        return [self.name] if self.is_plugged else None

    def close(self):
        self.is_open = False

    def take_sent(self):
        taken, self.sent = self.sent, []
        return taken


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


class Desk:
    """A desk at a session's side: what it does is handled at once, in the test's own thread."""

    def __init__(self, session, midi_map: MidiMap, map_path: Path):
        self.port, self.clock, self.said = FakePort(), Clock(), []
        self.control = MidiControl(
            "desk", session.commands, session.controls, midi_map, map_path, self.said.append, self.port.open, self.clock
        )
        session.controls.midi_face = self.control
        self.get = session.controls.get

    def play(self, *messages):
        """Messages that arrive together."""
        self.port.arrived.extend(list(message) for message in messages)
        self.control.handle(self.control.fetch())

    def wait(self, seconds=1.0):
        self.clock.now_s += seconds
        self.control.handle([])

    def shown(self, seconds=1.0):
        """What the desk is sent when it has been left alone for a while."""
        self.wait(seconds)
        self.control.show()
        return self.port.take_sent()

    def poll(self):
        """One question whether the port is there."""
        return [line for _ in range(8) for line in self.control.poll()]


def can_list() -> bool:
    """Whether the system's MIDI answers."""
    try:
        midi_port.list_ports()
    except ControlError:
        return False
    return True
