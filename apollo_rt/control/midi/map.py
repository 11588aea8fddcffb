"""A MIDI map leads from what moves to what happens; its defaults are made from the table of parameters.

    takeover: pickup            # or jump
    defaults: true              # false: nothing is bound but what stands here
    cc 20: mix                  # a knob or fader, any channel
    cc14 21 channel 3: strength # 14 bits: controller 21 with its fine half, controller 53
    pitch channel 1: air_db     # the pitch wheel, and the faders of many motor desks
    cc 80: bypass               # a switch is on from 64
    note 60: toggle bypass      # or hold bypass: only while it is down
    note 62: load_preset radio
    program: load_preset        # program n loads the n-th preset
    note 63: nothing            # takes a default away

Commands go by their names in the one table (`commands`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from apollo_rt.control.arguments import shown
from apollo_rt.control.commands import command
from apollo_rt.control.parameter_row import Parameter
from apollo_rt.control.yaml_file import read_mapping, write_mapping
from apollo_rt.errors import ControlError

CC, CC14, NOTE, PROGRAM, PITCH = "cc", "cc14", "note", "program", "pitch"
FINE = 32
"""How far a controller's fine half lies above its coarse half (MIDI 1.0, control change messages 0 to 63)."""

TURN, TOGGLE, HOLD, LOAD_PRESET, NOTHING = "turn", "toggle", "hold", "load_preset", "nothing"
PICKUP, JUMP = "pickup", "jump"

_SOURCE = re.compile(r"(cc14|cc|note|program|pitch)(?: (\d+))?(?: channel (\d+))?")
_FIRST_KNOB, _FIRST_SWITCH, _FIRST_NOTE = 20, 80, 60
"""Controllers that MIDI leaves undefined (20 to 31), general-purpose buttons (80 to 83), and middle C."""
_LAST_KNOB, _LAST_SWITCH = 31, 83
_PLAIN = tuple(command(name).name for name in ("swap_settings", "reset", "quit"))
"""Commands that need nothing named."""


class Origin(NamedTuple):
    """An origin: the controller, note or program that moves.

    Attributes:
        kind: `cc`, `cc14`, `note`, `program` or `pitch`.
        number: of controller, note or program, 0 to 127; None: the pitch wheel, or any program.
        channel: 1 to 16; None: any.
    """

    kind: str
    number: int | None = None
    channel: int | None = None

    def __str__(self) -> str:
        """As in a map."""
        number = "" if self.number is None else f" {self.number}"
        return f"{self.kind}{number}" + ("" if self.channel is None else f" channel {self.channel}")

    @classmethod
    def parse(cls, text: str) -> "Origin":
        """Read what stands in a map.

        Raises:
            ValueError: it says nothing that moves.
        """
        found = _SOURCE.fullmatch(text)
        kind, number, channel = found.groups() if found else ("", None, None)
        place = None if number is None else int(number)
        needs_number = kind in (CC, CC14, NOTE)
        is_right = found and (place is None) != needs_number if kind != PROGRAM else bool(found)
        highest = FINE - 1 if kind == CC14 else 127
        if not is_right or not 0 <= (place or 0) <= highest or not 1 <= int(channel or 1) <= 16:
            raise ValueError(
                "what moves must be cc 0 to 127, cc14 0 to 31, note 0 to 127, program (0 to 127) or pitch, "
                f"and may name a channel 1 to 16, got {shown(text)}"
            )
        return cls(kind, place, None if channel is None else int(channel))


class Action(NamedTuple):
    """An action: the parameter that is set, or the command that is run.

    Attributes:
        kind: `turn`, `toggle`, `hold`, `load_preset`, `nothing`, or a command that needs no arguments.
        name: of a parameter or preset; empty: the preset by the program's number, or nothing to name.
    """

    kind: str
    name: str = ""

    def __str__(self) -> str:
        """As in a map."""
        return self.name if self.kind == TURN else f"{self.kind} {self.name}".rstrip()

    @classmethod
    def parse(cls, text: str, rows: Sequence[Parameter]) -> "Action":
        """Read what stands in a map.

        Raises:
            ValueError: it says nothing that can happen.
        """
        word, _, name = text.strip().partition(" ")
        switches = [row.name for row in rows if row.is_switch]
        if word in (row.name for row in rows) and not name:
            return cls(TURN, word)
        if word in (TOGGLE, HOLD) and name in switches:
            return cls(word, name)
        if word == LOAD_PRESET or (word in (*_PLAIN, NOTHING) and not name):
            return cls(word, name.strip())
        raise ValueError(
            f"what happens must be a parameter ({', '.join(row.name for row in rows)}), toggle or hold of a switch "
            f"({', '.join(switches)}), load_preset NAME, nothing, or one of {', '.join(_PLAIN)}, got {shown(text)}"
        )


@dataclass(frozen=True)
class MidiMap:
    """Bindings of each controller to what it does.

    Attributes:
        bindings: what happens by what moves.
        takeover: `pickup`: a knob does nothing until it has passed the parameter's value; `jump`: it does at once.
        has_defaults: the defaults are among them.
        idle: what is bound to parameters of plugins that aren't loaded, as it stands in the file; kept there.
    """

    bindings: Mapping[Origin, Action]
    takeover: str = PICKUP
    has_defaults: bool = True
    idle: Mapping[str, str] = field(default_factory=dict)

    @property
    def pairs(self) -> frozenset[tuple[int, int]]:
        """Status byte and coarse number of each controller of 14 bits that is bound."""
        return frozenset(
            (0xB0 | (channel if origin.channel is None else origin.channel - 1), origin.number)
            for origin in self.bindings
            if origin.kind == CC14 and origin.number is not None
            for channel in range(16)
        )

    def find(self, kind: str, number: int | None, channel: int) -> tuple[Origin, Action] | None:
        """Action that a message is bound to: by its very channel first, then by its very program."""
        for origin in (Origin(kind, number, channel), Origin(kind, number), Origin(kind, None, channel), Origin(kind)):
            action = self.bindings.get(origin)
            if action is not None:
                return (origin, action) if action.kind != NOTHING else None
        return None

    def with_binding(self, origin: Origin, action: Action) -> "MidiMap":
        """The same with one more binding; the other of the two kinds of controller with that number goes."""
        rivals = {Origin(kind, origin.number, origin.channel) for kind in (CC, CC14)} if "cc" in origin.kind else set()
        kept = {other: what for other, what in self.bindings.items() if other not in rivals}
        return replace(self, bindings={**kept, origin: action})

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a file."""
        settings = {"takeover": self.takeover, "defaults": self.has_defaults}
        return {**settings, **{str(origin): str(action) for origin, action in self.bindings.items()}}


def default_map(rows: Sequence[Parameter]) -> MidiMap:
    """Bindings where a file says nothing else.

    Knobs on the controllers from 20 on and switches on the buttons from 80 on, in the table's order; notes from middle
    C on toggle the switches; program changes load presets.
    """
    knobs = [row.name for row in rows if not row.is_switch]
    switches = [row.name for row in rows if row.is_switch]
    bindings = {
        Origin(CC, number): Action(TURN, name)
        for names, first, last in ((knobs, _FIRST_KNOB, _LAST_KNOB), (switches, _FIRST_SWITCH, _LAST_SWITCH))
        for number, name in zip(range(first, last + 1), names, strict=False)
    }
    for note, name in zip(range(_FIRST_NOTE, 128), switches, strict=False):  # plugins may have hundreds of switches
        bindings[Origin(NOTE, note)] = Action(TOGGLE, name)
    bindings[Origin(PROGRAM)] = Action(LOAD_PRESET)
    return MidiMap(bindings)


def read_map(path: Path, rows: Sequence[Parameter]) -> MidiMap:
    """Read a map: the defaults, with what the file says on top.

    Raises:
        ControlError: it can't be read or understood; the message names file and line's content.
    """
    content = read_mapping(path)
    takeover, has_defaults = content.pop("takeover", PICKUP), content.pop("defaults", True)
    if takeover not in (PICKUP, JUMP):
        raise ControlError(f"{path}: takeover must be {PICKUP} or {JUMP}, got {shown(takeover)}")
    if not isinstance(has_defaults, bool):
        raise ControlError(f"{path}: defaults must be true or false, got {shown(has_defaults)}")
    midi_map = MidiMap(default_map(rows).bindings if has_defaults else {}, takeover, has_defaults)
    for key, value in content.items():
        if _is_idle(value, rows):
            midi_map = replace(midi_map, idle={**midi_map.idle, str(key): value})
            continue
        try:
            midi_map = midi_map.with_binding(Origin.parse(str(key)), Action.parse(str(value), rows))
        except ValueError as error:
            raise ControlError(f"{path}: {error}") from None
    return midi_map


def write_map(path: Path, midi_map: MidiMap, rows: Sequence[Parameter]) -> None:
    """Write a map so that `read_map` gives it back; what is as in the defaults is left to them.

    Raises:
        ControlError: it can't be written.
    """
    usual = default_map(rows).bindings if midi_map.has_defaults else {}
    own = {origin: action for origin, action in midi_map.bindings.items() if usual.get(origin) != action}
    content = {**replace(midi_map, bindings=own).to_dict(), **midi_map.idle}
    write_mapping(path, content, "Apollo RT MIDI map: what moves, and what happens")


def _is_idle(value: Any, rows: Sequence[Parameter]) -> bool:
    """Whether a file binds something to a plugin's parameter (`plugin.parameter`) that there isn't now."""
    name = value.split()[-1] if isinstance(value, str) and value.strip() else ""
    is_plugins = "." in name and not value.startswith(LOAD_PRESET)
    return is_plugins and name not in {row.name for row in rows}
