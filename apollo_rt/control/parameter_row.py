"""One row of the table of parameters: bounds, scale and words, and the way between value, knob and text."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Literal

_ON, _OFF = ("on", "true", "yes", "1"), ("off", "false", "no", "0")


@dataclass(frozen=True)
class Parameter:
    """One row of the table.

    Attributes:
        name: also the attribute of `Parameters` and `ApolloEffect`.
        unit: what the value counts; empty for a ratio, `switch` for 0 or 1.
        minimum: lowest value.
        maximum: highest value.
        default: value at the start; all defaults together are the restoration as the model makes it.
        description: one sentence for help texts.
        step: how far one press of a key moves it: an amount, or on a logarithmic scale a factor.
        scale: how a knob's way is spread over the range, `linear` or `log`.
        settles_ms: the longest that a change takes to be complete, at 44.1 kHz; until then it is on its way, without a
            click.
        at_minimum: what the lowest value means if it is more than a number, such as `off`.
    """

    name: str
    unit: str
    minimum: float
    maximum: float
    default: float
    description: str
    step: float
    scale: Literal["linear", "log"] = "linear"
    settles_ms: float = 0.0
    at_minimum: str = ""

    @property
    def is_switch(self) -> bool:
        """Only 0 and 1 make sense."""
        return self.unit == "switch"

    @property
    def bounds_text(self) -> str:
        """Bounds in words, for help texts and errors: `0 to 1`, `off or on`, `20 (off) to 1000 Hz`."""
        if self.is_switch:
            return "off or on"
        lowest = f"{self.minimum:g} ({self.at_minimum})" if self.at_minimum else f"{self.minimum:g}"
        return f"{lowest} to {self.maximum:g} {self.unit}".rstrip()

    def check(self, value: float) -> float:
        """Give the value back as a float.

        Raises:
            TypeError: it is no number.
            ValueError: it is out of bounds.
        """
        if not isinstance(value, Real):
            raise TypeError(f"{self.name} must be a number, {self.bounds_text}, got {value!r}")
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{self.name} must be from {self.minimum:g} to {self.maximum:g}, got {value}")
        if self.is_switch and value not in (0, 1):
            raise ValueError(f"{self.name} must be 0 or 1, got {value}")
        return float(value)

    def position_of(self, value: float) -> float:
        """Position of a knob for a value, 0 to 1."""
        if self.scale == "log":
            return math.log(value / self.minimum) / math.log(self.maximum / self.minimum)
        return (value - self.minimum) / (self.maximum - self.minimum)

    def value_at(self, position: float) -> float:
        """The value for a knob's position; positions beyond 0 and 1 are taken as those, a switch is on from 0.5."""
        place = min(max(position, 0.0), 1.0)
        if self.is_switch:
            return float(place >= 0.5)
        if place in (0.0, 1.0):
            return self.maximum if place else self.minimum
        if self.scale == "log":
            return float(self.minimum * (self.maximum / self.minimum) ** place)
        return self.minimum + place * (self.maximum - self.minimum)

    def stepped(self, value: float, n_steps: int) -> float:
        """The value so many presses of a key away, held within the bounds; a switch goes on or off."""
        moved = value * self.step**n_steps if self.scale == "log" else value + n_steps * self.step
        return min(max(float(f"{moved:.9g}"), self.minimum), self.maximum)

    def text(self, value: float) -> str:
        """The value as a reader wants to see it: `0.50`, `on`, `-3.0 dB`, `off`."""
        if self.is_switch:
            return "on" if value else "off"
        if self.at_minimum and value <= self.minimum:
            return self.at_minimum
        digits = {"dB": 1, "Hz": 0}.get(self.unit, 2)
        return f"{value:.{digits}f} {self.unit}".rstrip()

    def parse(self, text: str) -> float:
        """The value that a text names: a number with or without its unit, `on` or `off`, or what the minimum means.

        Raises:
            ValueError: it names none, or one out of bounds.
        """
        word = text.strip()
        if self.is_switch and word.lower() in _ON + _OFF:
            return float(word.lower() in _ON)
        if self.at_minimum and word.lower() == self.at_minimum:
            return self.minimum
        try:
            value = float(word.removesuffix(self.unit))
        except ValueError:
            raise ValueError(f"{self.name} must be {self.bounds_text}, got {text!r}") from None
        return self.check(value)
