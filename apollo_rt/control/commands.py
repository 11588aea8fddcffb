"""Commands change a run while music plays: one table of them, behind the screen, MIDI and the control socket.

`Commander.run(name, arguments)` gives plain data back: dictionaries, lists, numbers, texts that JSON can say. What is
wrong with a call is an error before anything has changed. Help, docs and the socket's schema are made from the table.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from apollo_rt.control.arguments import CHOICE, CHOICES, NUMBER, TEXT, Argument, check_arguments, shown
from apollo_rt.control.command_row import Command, row_of
from apollo_rt.control.comparison import SLOTS
from apollo_rt.control.comparison_commands import COMPARISON_COMMANDS
from apollo_rt.control.controllable import Controllable, Reply
from apollo_rt.control.parameter_row import Parameter

TOPICS = ("parameters", "meters", "spectra", "stats")
"""What can be subscribed to; each is also a command without arguments, which gives the same once."""


_NAME = Argument("name", TEXT, "A parameter's name.")
_PRESET = Argument("name", TEXT, "A preset's name.", max_length=64)


def _parameters(target: Controllable, _: dict[str, Any]) -> Reply:
    rows = [{**asdict(row), **_state(target, row)} for row in target.rows()]
    return {"parameters": rows, "preset": target.current_preset()}


def _state(target: Controllable, row: Parameter) -> Reply:
    value = target.get(row.name)
    return {"name": row.name, "value": value, "text": row.text(value), "position": row.position_of(value)}


def _value(target: Controllable, name: str) -> Reply:
    return _state(target, row_of(target, name))


def _get(target: Controllable, given: dict[str, Any]) -> Reply:
    return _value(target, given["name"])


def _set(target: Controllable, given: dict[str, Any]) -> Reply:
    target.set(row_of(target, given["name"]).name, given["value"])
    return _value(target, given["name"])


def _turn(target: Controllable, given: dict[str, Any]) -> Reply:
    row = row_of(target, given["name"])
    target.set(row.name, row.value_at(given["position"]))
    return _value(target, row.name)


def _change(target: Controllable, given: dict[str, Any]) -> Reply:
    row = row_of(target, given["name"])
    target.set(row.name, row.stepped(target.get(row.name), round(given["steps"])))
    return _value(target, row.name)


def _toggle(target: Controllable, given: dict[str, Any]) -> Reply:
    row = row_of(target, given["name"])
    if not row.is_switch:
        switches = ", ".join(other.name for other in target.rows() if other.is_switch)
        raise ValueError(f"name must be a switch, one of {switches}, got {shown(row.name)}")
    target.set(row.name, 1.0 - target.get(row.name))
    return _value(target, row.name)


def _reset(target: Controllable, given: dict[str, Any]) -> Reply:
    for row in [row_of(target, given["name"])] if "name" in given else target.rows():
        target.set(row.name, row.default)
    return _parameters(target, {})


def _swap_settings(target: Controllable, given: dict[str, Any]) -> Reply:
    return {"slot": target.swap_settings(given.get("slot")), **_parameters(target, {})}


def _presets(target: Controllable, _: dict[str, Any]) -> Reply:
    return {"presets": list(target.preset_names()), "current": target.current_preset()}


def _load_preset(target: Controllable, given: dict[str, Any]) -> Reply:
    skipped = target.load_preset(given["name"])
    return {**_parameters(target, {}), "skipped": list(skipped)}


def _save_preset(target: Controllable, given: dict[str, Any]) -> Reply:
    target.save_preset(given["name"])
    return _presets(target, {})


def _delete_preset(target: Controllable, given: dict[str, Any]) -> Reply:
    target.delete_preset(given["name"])
    return _presets(target, {})


def _choose_devices(target: Controllable, given: dict[str, Any]) -> Reply:
    if not given:
        raise ValueError("choose_devices needs input, output or both, got neither")
    target.choose_devices(given.get("input"), given.get("output"))
    return target.devices()


def _choose_model(target: Controllable, given: dict[str, Any]) -> Reply:
    target.choose_model(given["name"])
    return target.models()


def _learn(target: Controllable, given: dict[str, Any]) -> Reply:
    target.learn(row_of(target, given["name"]).name if "name" in given else None)
    return target.midi()


def _learn_moved(target: Controllable, given: dict[str, Any]) -> Reply:
    target.learn_moved(row_of(target, given["name"]).name)
    return target.midi()


def _quit(target: Controllable, _: dict[str, Any]) -> Reply:
    target.stop()
    return {}


COMMANDS = (
    Command("parameters", "List the parameters: name, unit, range, default, description and value.", (), _parameters),
    Command("get", "Tell a parameter's value.", (_NAME,), _get),
    Command(
        "set",
        "Change a parameter; it is heard within a block and without a click.",
        (_NAME, Argument("value", NUMBER, "The new value, within the parameter's range.")),
        _set, is_whole=True,
    ),
    Command(
        "change",
        "Move a parameter by its own steps, as far as its range goes.",
        (_NAME, Argument("steps", NUMBER, "How many steps; negative to go down.", minimum=-1000, maximum=1000)),
        _change, is_whole=True,
    ),
    Command(
        "turn",
        "Turn a parameter as a knob does, whose way is spread over the range as suits the parameter.",
        (_NAME, Argument("position", NUMBER, "0 is the lowest value, 1 the highest.", minimum=0.0, maximum=1.0)),
        _turn, is_whole=True,
    ),
    Command("toggle", "Turn a switch on or off, such as bypass.", (_NAME,), _toggle, is_whole=True),
    Command(
        "reset",
        "Bring a parameter, or all of them, back to the default.",
        (Argument("name", TEXT, "A parameter's name; all, if not given.", is_required=False),),
        _reset, is_whole=True,
    ),
    Command(
        "swap_settings",
        "Compare two sets of values, A and B, that begin alike: hear the other one. Changes go to what is heard.",
        (Argument("slot", CHOICE, "Which to hear; the other, if not given.", choices=SLOTS, is_required=False),),
        _swap_settings, is_whole=True,
    ),
    *COMPARISON_COMMANDS,
    Command("presets", "List the presets, and the current one.", (), _presets),
    Command(
        "load_preset", "Take a preset's values, without a click; tell what is of plugins that aren't there.",
        (_PRESET,), _load_preset,
    ),
    Command("save_preset", "Keep the values as a preset; one of that name is replaced.", (_PRESET,), _save_preset),
    Command("delete_preset", "Remove a preset.", (_PRESET,), _delete_preset),
    Command("devices", "List the devices, and those that are used.", (), lambda target, _: target.devices()),
    Command(
        "choose_devices",
        "Go to other devices while it runs, faded out and in; the stream and its latency stay.",
        (Argument("input", TEXT, "A device as --input takes it.", is_required=False),
         Argument("output", TEXT, "A device as --output takes it.", is_required=False)),
        _choose_devices,
    ),
    Command("models", "List the models that fit this run; one plays.", (), lambda target, _: target.models()),
    Command(
        "choose_model",
        "Go to another model while it runs, made ready beside the music and faded over; it takes some seconds.",
        (Argument("name", TEXT, "A model's name, as `models` tells it."),), _choose_model,
    ),
    Command("stats", "Tell counters, times and latency, as --stats-json does.", (), lambda target, _: target.stats()),
    Command("meters", "Tell the meters of input and output; full scale is 1.", (), lambda target, _: target.meters()),
    Command("spectra", "Tell the spectra of input and output.", (), lambda target, _: target.spectra()),
    Command("midi", "Tell the MIDI ports, and what is bound to what.", (), lambda target, _: target.midi()),
    Command(
        "learn",
        "Bind the next MIDI controller that moves to a parameter.",
        (Argument("name", TEXT, "A parameter's name; if not given, stop waiting for one.", is_required=False),),
        _learn,
    ),
    Command("learn_moved", "Bind the MIDI controller that moved last to a parameter.", (_NAME,), _learn_moved),
    Command(
        "subscribe",
        "Be sent messages about some topics, again and again, until they are changed or the connection ends.",
        (
            Argument("topics", CHOICES, "What to be sent.", choices=TOPICS),
            Argument(
                "interval_s", NUMBER, "Seconds between two messages of a topic; 0.1, if not given.",
                minimum=0.02, maximum=60.0, is_required=False,
            ),
        ),
        None,
    ),
    Command("unsubscribe", "Be sent nothing any more.", (), None),
    Command("help", "List the commands and what they take, as JSON Schema.", (), lambda *_: {"commands": schema()}),
    Command("quit", "End the run.", (), _quit),
)  # fmt: skip

_BY_NAME = {command.name: command for command in COMMANDS}


def command(name: str) -> Command:
    """The row called `name`.

    Raises:
        ValueError: there is none.
    """
    if not isinstance(name, str) or name not in _BY_NAME:
        raise ValueError(f"command must be one of {', '.join(_BY_NAME)}, got {shown(name)}")
    return _BY_NAME[name]


def schema() -> dict[str, Any]:
    """Arguments of each command as JSON Schema, by name."""
    return {row.name: row.schema() for row in COMMANDS}


class Commander:
    """Runs commands, whichever interface they come from; changes of values come one after the other.

    What asks a disk or a sound server, or only tells something, holds nobody up.

    Args:
        target: what they act upon.
    """

    def __init__(self, target: Controllable) -> None:
        self._target = target

    def run(self, name: str, arguments: Mapping[str, Any] | None = None) -> Reply:
        """Run a command.

        Args:
            name: in the table.
            arguments: by name.

        Returns:
            What it answers.

        Raises:
            ValueError: there is no such command, or not with such arguments; nothing was changed.
            ApolloError: it can't be done.
        """
        row = command(name)
        if row.handler is None:
            raise ValueError(f"{row.name} is about a connection, and only the control socket has those")
        given = check_arguments(row.name, row.arguments, arguments or {})
        with self._target.changing if row.is_whole else nullcontext():
            return row.handler(self._target, given)
