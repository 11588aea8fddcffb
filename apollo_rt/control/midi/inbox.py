"""The MIDI inbox keeps what arrives: of each controller the latest value, of notes and programs each one in order.

So a flood of 10^5 messages a second costs a store for each, and whoever acts on them a handful of values per poll.
"""

from collections import deque

from apollo_rt.control.midi.map import FINE
from apollo_rt.control.midi.message import Event, decode

_NOTE_OFF, _NOTE_ON, _CONTROL, _PROGRAM, _PITCH = 0x80, 0x90, 0xB0, 0xC0, 0xE0
_MOST_EVENTS = 256
"""Notes and programs that are kept until the next poll, 5 ms later; older ones are dropped."""


class Inbox:
    """Messages of one poll; for one thread at a time.

    Attributes:
        n_received: messages since the start.
        pairs: controllers with a fine half, as (status byte, number).
    """

    def __init__(self) -> None:
        self.n_received = 0
        self.pairs: frozenset[tuple[int, int]] = frozenset()
        self._latest: dict[tuple[int, int], list[int]] = {}
        self._events: deque[list[int]] = deque(maxlen=_MOST_EVENTS)

    def receive(self, message: list[int]) -> None:
        """Put the bytes of one message in."""
        if len(message) < 2:
            return
        status = message[0] & 0xF0
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

    def take(self) -> list[Event]:
        """All that has arrived since the last poll: controllers in the order of their latest values, then the rest."""
        decoded = [decode(message) for message in (*self._latest.values(), *self._events)]
        self._latest.clear()
        self._events.clear()
        return [event for event in decoded if event]

    def _put(self, key: tuple[int, int], message: list[int]) -> None:
        self._latest.pop(key, None)  # a dictionary keeps the order of first arrival; the latest one is wanted
        self._latest[key] = message
