"""MIDI messages as events, and back: mido reads and writes the bytes; nobody else imports it."""

from dataclasses import dataclass
from typing import Any

from apollo_rt.control.midi.map import CC, NOTE, PITCH, PROGRAM
from apollo_rt.errors import ControlError

COARSE_MAX, FINE_MAX = 127, 16_383
"""The highest value of 7 and of 14 bits."""


@dataclass(frozen=True)
class Event:
    """One message.

    Attributes:
        kind: `cc`, `note`, `program` or `pitch`, as in a map.
        number: of controller, note or program; None for the pitch wheel.
        channel: 1 to 16.
        value: 0 to 127: a controller's, or a note's velocity, 0 when it is let go; 0 to 16383 for the pitch wheel.
    """

    kind: str
    number: int | None
    channel: int
    value: int


def decode(message: list[int]) -> Event | None:
    """Read the bytes of one message; None where it is none that a map could bind, or broken."""
    try:
        read = _mido().Message.from_bytes(message)
    except (ValueError, TypeError):
        return None
    if read.type == "control_change":
        return Event(CC, read.control, read.channel + 1, read.value)
    if read.type in ("note_on", "note_off"):
        return Event(NOTE, read.note, read.channel + 1, read.velocity if read.type == "note_on" else 0)
    if read.type == "program_change":
        return Event(PROGRAM, read.program, read.channel + 1, COARSE_MAX)
    if read.type == "pitchwheel":
        return Event(PITCH, None, read.channel + 1, read.pitch + (FINE_MAX + 1) // 2)
    return None


def encode(event: Event) -> list[int]:
    """The bytes of one event."""
    message, channel = _mido().Message, event.channel - 1
    if event.kind == CC:
        made = message("control_change", channel=channel, control=event.number, value=event.value)
    elif event.kind == NOTE:  # a light that is out is a note of no velocity: desks know that better than note off
        made = message("note_on", channel=channel, note=event.number, velocity=event.value)
    elif event.kind == PITCH:
        made = message("pitchwheel", channel=channel, pitch=event.value - (FINE_MAX + 1) // 2)
    else:
        made = message("program_change", channel=channel, program=event.number)
    return list(made.bytes())


def _mido() -> Any:
    try:
        import mido
    except ImportError:
        raise ControlError("midi: mido is not installed; pip install 'apollo-rt[midi]'") from None
    return mido
