"""MIDI control: what is moved on a desk becomes commands, and what changes elsewhere is shown on the desk.

    port -> inbox, looked at 200 times a second -> binding -> soft take-over -> Commander.run
                                    desk <- feedback <- parameters, looked at 20 times a second

The audio path takes no part in it. `poll` finds a device again that went away; the thread that mends things calls it.
"""

import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from apollo_rt.control.command_row import row_of
from apollo_rt.control.commands import Commander
from apollo_rt.control.controllable import Controllable, Reply
from apollo_rt.control.midi.host_process import open_port
from apollo_rt.control.midi.inbox import Inbox
from apollo_rt.control.midi.knobs import Feedback, Pairs, Takeover
from apollo_rt.control.midi.learn import Learning
from apollo_rt.control.midi.map import (
    CC,
    CC14,
    FINE,
    HOLD,
    LOAD_PRESET,
    NOTE,
    PITCH,
    PROGRAM,
    TOGGLE,
    TURN,
    Action,
    MidiMap,
    Origin,
    write_map,
)  # fmt: skip
from apollo_rt.control.midi.message import COARSE_MAX, FINE_MAX, Event, encode
from apollo_rt.control.midi.port import Port
from apollo_rt.errors import ApolloError, ControlError
from apollo_rt.system.guarded_thread import GuardedThread

Opener = Callable[[str], Port]

_FETCH_S, _SHOW_S = 0.005, 0.05
_MOST_FETCHED = 4096
"""Messages taken at once; a flood doesn't keep the others from the port for longer."""
_POLLS = 8
"""Polls from one try to open a lost port again to the next, 2 s: each starts a process."""
_PRESSED = 64
_ENDING_S = 2.0
"""How long the end waits for what is being done with a message."""


class MidiControl:
    """A MIDI port, and what moves there.

    Args:
        wanted: see `host_process.open_port`.
        commander: runs what is bound.
        target: what it acts upon; its values are shown.
        midi_map: what is bound to what.
        map_path: where learnt bindings are written.
        say: tells a user something.
        opener: opens ports.
        clock_s: monotonic seconds.

    Raises:
        ControlError: the port can't be opened.
    """

    def __init__(
        self,
        wanted: str,
        commander: Commander,
        target: Controllable,
        midi_map: MidiMap,
        map_path: Path,
        say: Callable[[str], None],
        opener: Opener = open_port,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the port; nothing is done with what arrives before `start`."""
        self._wanted, self._commander, self._target = wanted, commander, target
        self._map_path, self._say, self._opener, self._clock_s = map_path, say, opener, clock_s
        self._lock = threading.RLock()  # between the thread that handles, who polls, and who asks and learns
        self._inbox, self._pairs = Inbox(), Pairs(clock_s)
        self._feedback, self._learning = Feedback(self._send, clock_s), Learning(target, self._bind, clock_s)
        self._n_polls = 0
        self._use_map(midi_map)
        self._stopping = threading.Event()
        self._thread = GuardedThread("midi", self._run)
        self._port: Port | None = opener(wanted)
        self._name = self._port.name

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Let go of the port."""
        self._stopping.set()
        self._thread.join(_ENDING_S)
        with self._lock:
            port, self._port = self._port, None
        if port:
            port.close()

    def learn(self, parameter: str | None) -> None:
        """Bind the next controller that moves to a parameter; None: don't wait for one any more."""
        with self._lock:
            self._learning.wait_for(parameter)

    def learn_moved(self, parameter: str) -> None:
        """Bind the controller that moved last to a parameter.

        Raises:
            ControlError: none has moved, or only a key of a keyboard, which can't turn a parameter.
        """
        with self._lock:
            self._learning.take_moved(parameter)

    def describe(self) -> Reply:
        """Ports, state and bindings."""
        with self._lock:
            ports = self._port.ports() if self._port else None
            return {
                "ports": ports or [],
                "port": self._name,
                "is_connected": self._port is not None,
                "learning": self._learning.parameter,
                "moved": str(self._learning.moved or ""),
                "n_received": self._inbox.n_received,
                **self._map.to_dict(),
            }

    def poll(self) -> list[str]:
        """Find the device again where it went away; returns what a user should know."""
        if self._thread.error:
            error, self._thread.error = self._thread.error, None
            return [f"midi: has stopped by an error of ours: {type(error).__name__}: {error}"]
        if self._port is None:
            self._n_polls += 1
            return [] if self._n_polls % _POLLS else self._reopen()
        if self._port.ports() is not None:
            return []
        with self._lock:
            port, self._port = self._port, None
        port.close()
        return [f"midi: {self._name} is gone; it is waited for"]

    def fetch(self) -> list[Event]:
        """Messages that arrived at the port since the last call: of each controller the latest value."""
        with self._lock:  # who closes a port has taken it away before, under this lock
            if self._port is None:
                return []
            for message in islice(iter(self._port.fetch, None), _MOST_FETCHED):
                self._inbox.receive(message)
            return self._inbox.take()

    def handle(self, events: list[Event]) -> None:
        """Do what some events are bound to."""
        with self._lock:
            for event in events:
                whole = self._joined(event)
                if whole and not self._learning.takes(event, whole):
                    self._act(whole)
            for event in self._pairs.due():
                self._act(event)

    def show(self) -> None:
        """Let the desk show what has changed."""
        with self._lock:
            if self._port is None:
                return
            preset = self._target.current_preset()
            for origin, action in self._map.bindings.items():
                if action.kind in (TURN, TOGGLE, HOLD):
                    row = row_of(self._target, action.name)
                    self._feedback.show(origin, row.position_of(self._target.get(row.name)))
                elif action.kind == LOAD_PRESET and action.name:
                    self._feedback.show(origin, float(action.name == preset))

    def _run(self) -> None:
        shown_s = self._clock_s()
        while not self._stopping.wait(_FETCH_S):
            self.handle(self.fetch())
            if self._clock_s() - shown_s >= _SHOW_S:
                shown_s = self._clock_s()
                self.show()

    def _reopen(self) -> list[str]:
        try:
            port = self._opener(self._wanted)
        except ControlError:  # still gone
            return []
        with self._lock:
            self._port, self._name = port, port.name
            self._feedback.forget()
        return [f"midi: {port.name} is back"]

    def _send(self, event: Event) -> None:
        if self._port:
            self._port.send(encode(event))

    def _use_map(self, midi_map: MidiMap) -> None:
        self._map, self._takeover, self._inbox.pairs = midi_map, Takeover(midi_map.takeover), midi_map.pairs

    def _joined(self, event: Event) -> Event | None:
        """The event itself, or the whole of which it is a half; None while the other half is missing."""
        if event.kind != CC or event.number is None:
            return event
        if self._map.find(CC14, event.number, event.channel):
            self._pairs.put_coarse(event.channel, event.number, event.value)
            return None
        if event.number >= FINE and self._map.find(CC14, event.number - FINE, event.channel):
            return self._pairs.put_fine(event.channel, event.number - FINE, event.value)
        return event

    def _act(self, event: Event) -> None:
        found = self._map.find(event.kind, event.number, event.channel)
        if found is None:
            return
        origin, action = found
        is_new = self._feedback.hear(origin, event.channel, event.value) or event.kind in (NOTE, PROGRAM)
        if not is_new:
            return
        try:
            self._do(origin, action, event)
        except (ApolloError, ValueError) as error:
            self._say(f"midi: {origin}: {error}")

    def _do(self, origin: Origin, action: Action, event: Event) -> None:
        is_pressed = event.value >= _PRESSED or (event.kind == NOTE and event.value > 0)
        if action.kind == TURN:
            self._turn(origin, action.name, event)
        elif action.kind == HOLD:
            self._commander.run("set", {"name": action.name, "value": float(is_pressed)})
        elif not is_pressed:
            return
        elif action.kind == TOGGLE:
            self._commander.run("toggle", {"name": action.name})
        elif action.kind == LOAD_PRESET:
            self._commander.run("load_preset", {"name": action.name or self._numbered_preset(event)})
        else:
            self._commander.run(action.kind)

    def _turn(self, origin: Origin, name: str, event: Event) -> None:
        position = event.value / (FINE_MAX if event.kind in (CC14, PITCH) else COARSE_MAX)
        row = row_of(self._target, name)
        current = row.position_of(self._target.get(name))
        if row.is_switch or self._takeover.allows(origin, event.channel, position, current):
            self._commander.run("turn", {"name": name, "position": position})

    def _numbered_preset(self, event: Event) -> str:
        names = self._target.preset_names()
        number = event.number or 0
        if number >= len(names):
            raise ControlError(f"program {number} has no preset; there are {len(names)}")
        return names[number]

    def _bind(self, origin: Origin, action: Action) -> None:
        self._use_map(self._map.with_binding(origin, action))
        self._say(f"midi: {origin} is bound to {action}")
        try:
            write_map(self._map_path, self._map, self._target.rows())
        except ControlError as error:
            self._say(f"midi: {error}")
