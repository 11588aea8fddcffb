"""Arguments of a command have names, kinds and bounds, checked once at the door wherever a call comes from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NUMBER, TEXT, CHOICE, CHOICES = "number", "text", "choice", "choices"
"""Kinds: a finite number; a line of text; one of some words; a list of them, each at most once."""

_SHOWN = 60
"""Characters of a wrong value that an error repeats."""


@dataclass(frozen=True)
class Argument:
    """One argument of a command.

    Attributes:
        name: of the argument.
        kind: see above.
        description: one sentence for help texts.
        minimum: lowest number.
        maximum: highest number.
        max_length: characters of a text.
        choices: the words there are.
        is_required: has to be given; one that isn't given is left out of what the handler gets.
    """

    name: str
    kind: str
    description: str
    minimum: float = -1e9
    maximum: float = 1e9
    max_length: int = 200
    choices: tuple[str, ...] = ()
    is_required: bool = True

    def check(self, value: Any) -> Any:
        """Give a value back as the handler takes it.

        Raises:
            ValueError: it is of another kind, or out of bounds.
        """
        if self.kind == NUMBER:
            return self._number(value)
        if self.kind == TEXT:
            return self._text(value)
        if self.kind == CHOICE:
            return self._choice(value)
        words = value if isinstance(value, list | tuple) else ()
        if not words or any(word not in self.choices for word in words) or len(set(words)) != len(words):
            raise self._refused(f"a list of different words of {', '.join(self.choices)}", value)
        return tuple(words)

    def schema(self) -> dict[str, Any]:
        """The argument in the words of JSON Schema (draft 2020-12)."""
        word = {"type": "string", "enum": list(self.choices)}
        rules: dict[str, dict[str, Any]] = {
            NUMBER: {"type": "number", "minimum": self.minimum, "maximum": self.maximum},
            TEXT: {"type": "string", "minLength": 1, "maxLength": self.max_length},
            CHOICE: word,
            CHOICES: {"type": "array", "items": word, "minItems": 1, "uniqueItems": True},
        }
        return {**rules[self.kind], "description": self.description}

    def _number(self, value: Any) -> float:
        # JSON's true is Python's 1; as a switch's value it is meant.
        is_number = isinstance(value, int | float) and -1e300 < value < 1e300
        if not is_number or not math.isfinite(value) or not self.minimum <= value <= self.maximum:
            raise self._refused(f"a number from {self.minimum:g} to {self.maximum:g}", value)
        return float(value)

    def _text(self, value: Any) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= self.max_length or not value.isprintable():
            raise self._refused(f"1 to {self.max_length} printable characters", value)
        return value

    def _choice(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise self._refused(f"one of {', '.join(self.choices)}", value)
        return value

    def _refused(self, allowed: str, value: Any) -> ValueError:
        return ValueError(f"{self.name} must be {allowed}, got {shown(value)}")


def check_arguments(command: str, arguments: tuple[Argument, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """Check what a command is given.

    Args:
        command: its name, for errors.
        arguments: what it takes.
        given: values by name; None counts as not given.

    Returns:
        The values that were given, as the handler takes them.

    Raises:
        ValueError: an argument is missing, unknown, of another kind or out of bounds.
    """
    known = {argument.name: argument for argument in arguments}
    present = {name: value for name, value in given.items() if value is not None}
    for name in present:
        if name not in known:
            raise ValueError(f"{command} takes {', '.join(known) or 'no arguments'}, got {shown(name)}")
    for argument in arguments:
        if argument.is_required and argument.name not in present:
            raise ValueError(f"{command} needs {argument.name}: {argument.description}")
    return {name: known[name].check(value) for name, value in present.items()}


def shown(value: Any) -> str:
    """A value in an error: on one line, and no longer than a line bears."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
