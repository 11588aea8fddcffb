"""What has arrived by MIDI: of each controller the latest value alone, of notes and programs each one in order.

The system's MIDI thread puts in and never waits longer than a reader needs to take a dictionary away; so a flood of
10^5 messages a second costs that thread a store each, and the reader a handful of values per look.
"""

import threading
from collections import deque

from apollo_rt.control.midi_map import FINE
from apollo_rt.control.midi_message import Event, decode

_NOTE_OFF, _NOTE_ON, _CONTROL, _PROGRAM, _PITCH = 0x80, 0x90, 0xB0, 0xC0, 0xE0
_MOST_EVENTS = 256
"""Notes and programs that are kept until the next look, 5 ms later; older ones are dropped."""


class Inbox:
    """Messages between two threads.

    Attributes:
        arrived: set when there is something to take.
        n_received: messages since the start.
        pairs: controllers with a fine half, as (status byte, number).
    """

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.n_received = 0
        self.pairs: frozenset[tuple[int, int]] = frozenset()
        self._lock = threading.Lock()
        self._latest: dict[tuple[int, int], list[int]] = {}
        self._events: deque[list[int]] = deque(maxlen=_MOST_EVENTS)

    def receive(self, message: list[int]) -> None:
        """Put the bytes of one message in; from any thread."""
        if len(message) < 2:
            return
        status = message[0] & 0xF0
        with self._lock:
            self.n_received += 1
            if status == _CONTROL:
                key = (message[0], message[1])
                self._put(key, message)
                if key in self.pairs:  # a new coarse half sets the fine one to 0 (MIDI 1.0): an older one is void
                    self._latest.pop((message[0], message[1] + FINE), None)
            elif status == _PITCH:
                self._put((message[0], -1), message)
            elif status in (_NOTE_OFF, _NOTE_ON, _PROGRAM):
                self._events.append(message)
        if not self.arrived.is_set():
            self.arrived.set()

    def take(self) -> list[Event]:
        """All that has arrived since the last look: controllers in the order of their latest values, then the rest."""
        self.arrived.clear()
        with self._lock:
            latest, self._latest = self._latest, {}
            events = list(self._events)
            self._events.clear()
        decoded = (decode(message) for message in (*latest.values(), *events))
        return [event for event in decoded if event]

    def _put(self, key: tuple[int, int], message: list[int]) -> None:
        self._latest.pop(key, None)  # a dictionary keeps the order of first arrival; the latest one is wanted
        self._latest[key] = message
