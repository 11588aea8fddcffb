"""Knobs and faders between MIDI and the parameters: fine halves, soft take-over, and values sent back."""

from collections.abc import Callable

from apollo_rt.control.midi.map import CC, CC14, FINE, JUMP, NOTE, PITCH, Origin
from apollo_rt.control.midi.message import COARSE_MAX, FINE_MAX, Event

_NEAR = 1.5 / COARSE_MAX
"""How near to a parameter's position a knob has to be to take it over: where 7 bits step over it, they are within."""
_SAME = 1e-6
_FINE_WAIT_S = 0.02
"""For how long a coarse half waits for its fine one; a desk sends both within 2 ms."""
_HANDS_OFF_S = 0.5
"""For how long after its last movement nothing is sent to a fader: a motor must not pull against a finger."""


class Pairs:
    """Joins the halves of controllers with 14 bits.

    Args:
        clock_s: monotonic seconds.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._coarse: dict[tuple[int, int], int] = {}
        self._waiting: dict[tuple[int, int], float] = {}

    def put_coarse(self, channel: int, number: int, value: int) -> None:
        """The coarse half has come; its fine one is 0 if none follows."""
        self._coarse[channel, number] = value
        self._waiting[channel, number] = self._clock_s()

    def put_fine(self, channel: int, number: int, value: int) -> Event | None:
        """The fine half of controller `number` has come: the whole, if its coarse half is known."""
        key = channel, number
        self._waiting.pop(key, None)
        return self._whole(key, value) if key in self._coarse else None

    def due(self) -> list[Event]:
        """Coarse halves that waited long enough."""
        now_s = self._clock_s()
        keys = [key for key, since_s in self._waiting.items() if now_s - since_s >= _FINE_WAIT_S]
        for key in keys:
            del self._waiting[key]
        return [self._whole(key, 0) for key in keys]

    def _whole(self, key: tuple[int, int], fine: int) -> Event:
        channel, number = key
        return Event(CC14, number, channel, self._coarse[key] << 7 | fine)


class Takeover:
    """Soft take-over: a knob does nothing until it stands where its parameter does, or has just passed it.

    Args:
        mode: `pickup` or `jump`: without it.
    """

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._last: dict[tuple[Origin, int], float] = {}
        self._set: dict[tuple[Origin, int], float] = {}

    def allows(self, origin: Origin, channel: int, position: float, current: float) -> bool:
        """Whether a knob that has been moved changes its parameter.

        Args:
            origin: the knob.
            channel: where it was heard.
            position: of the knob, 0 to 1.
            current: of the parameter, 0 to 1.
        """
        key = origin, channel
        last = self._last.get(key)
        self._last[key] = position
        holds = key in self._set and abs(self._set[key] - current) < _SAME
        passes = last is not None and (last - current) * (position - current) <= 0.0
        if self._mode == JUMP or holds or passes or abs(position - current) <= _NEAR:
            self._set[key] = position
            return True
        return False


class Feedback:
    """Values for motor faders and lights, sent where they are news; what came from there, or was sent, is none.

    Args:
        send: sends an event.
        clock_s: monotonic seconds.
    """

    def __init__(self, send: Callable[[Event], None], clock_s: Callable[[], float]) -> None:
        self._send, self._clock_s = send, clock_s
        self._sent: dict[tuple[Origin, int], int] = {}
        self._shown: dict[tuple[Origin, int], int] = {}
        self._moved_s: dict[tuple[Origin, int], float] = {}
        self._channels: dict[Origin, int] = {}

    def forget(self) -> None:
        """The device was opened anew: it shows nothing yet."""
        self._sent.clear()
        self._shown.clear()
        self._moved_s.clear()

    def hear(self, origin: Origin, channel: int, value: int) -> bool:
        """Note what a device tells; False if it is only the echo of what it was sent."""
        key = origin, channel
        self._channels[origin] = channel
        if self._sent.get(key) == value:
            return False
        self._sent.pop(key, None)
        self._shown[key], self._moved_s[key] = value, self._clock_s()
        return True

    def show(self, origin: Origin, position: float) -> None:
        """Let a device show a position, 0 to 1, if it shows another."""
        channel = origin.channel or self._channels.get(origin, 1)
        key, value = (origin, channel), raw_value(origin, position)
        is_touched = self._clock_s() - self._moved_s.get(key, float("-inf")) < _HANDS_OFF_S
        if is_touched or self._shown.get(key) == value:
            return
        self._sent[key] = self._shown[key] = value
        for event in _events(origin, channel, value):
            self._send(event)


def raw_value(origin: Origin, position: float) -> int:
    """A position, 0 to 1, as the value of a message."""
    return round(position * (FINE_MAX if origin.kind in (CC14, PITCH) else COARSE_MAX))


def _events(origin: Origin, channel: int, value: int) -> list[Event]:
    if origin.kind == CC14:
        assert origin.number is not None
        coarse = Event(CC, origin.number, channel, value >> 7)
        return [coarse, Event(CC, origin.number + FINE, channel, value & COARSE_MAX)]
    return [Event(origin.kind, origin.number, channel, value)] if origin.kind in (CC, NOTE, PITCH) else []
