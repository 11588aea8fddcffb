"""What a user may change while the engine runs: one table, from which help, docs and controllers are made.

The values lie in a shared float64 array; the audio path reads each of them once per block.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_load, atomic_store, realtime


@dataclass(frozen=True)
class Parameter:
    """One row of the table.

    Attributes:
        name: also the attribute of `Parameters`.
        unit: what the value counts; empty for a ratio, `switch` for 0 or 1.
        minimum: lowest value.
        maximum: highest value.
        default: value at the start.
        description: one sentence for help texts.
    """

    name: str
    unit: str
    minimum: float
    maximum: float
    default: float
    description: str

    @property
    def is_switch(self) -> bool:
        """Only 0 and 1 make sense."""
        return self.unit == "switch"

    def check(self, value: float) -> float:
        """Give the value back as a float.

        Raises:
            ValueError: it is out of bounds or not a number.
        """
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{self.name} must be from {self.minimum:g} to {self.maximum:g}, got {value}")
        if self.is_switch and value not in (0, 1):
            raise ValueError(f"{self.name} must be 0 or 1, got {value}")
        return float(value)


MIX, BYPASS = range(2)
"""Where each value lies in the shared array: the order of the table."""

PARAMETERS = (
    Parameter("mix", "", 0.0, 1.0, 1.0, "How much of the restored signal is heard: 0 is the input, 1 the restoration."),
    Parameter("bypass", "switch", 0.0, 1.0, 0.0, "Hear the input at unchanged latency."),
)

_INDEX = {parameter.name: index for index, parameter in enumerate(PARAMETERS)}


def parameter(name: str) -> Parameter:
    """The row called `name`.

    Raises:
        ValueError: there is none.
    """
    return PARAMETERS[_index(name)]


def _index(name: str) -> int:
    if name not in _INDEX:
        raise ValueError(f"parameter must be one of {', '.join(_INDEX)}, got {name!r}")
    return _INDEX[name]


class Parameters:
    """The live values; any thread may set them, changes are heard within a block and without a click.

    Args:
        values: where to start, by name; the table's defaults otherwise.

    Raises:
        ValueError: an unknown name, or a value out of bounds.
    """

    def __init__(self, **values: float) -> None:
        """Take the table's defaults, then what is given."""
        self.values: NDArray[np.float64] = np.array([row.default for row in PARAMETERS], np.float64)
        for name, value in values.items():
            self.set(name, value)

    def get(self, name: str) -> float:
        """The value of one parameter."""
        return float(_load(self.values, _index(name)))

    def set(self, name: str, value: float) -> None:
        """Change one parameter.

        Raises:
            ValueError: an unknown name, or a value out of bounds.
        """
        _store(self.values, _index(name), parameter(name).check(value))

    @property
    def mix(self) -> float:
        """How much of the restored signal is heard, 0 to 1."""
        return self.get("mix")

    @mix.setter
    def mix(self, value: float) -> None:
        self.set("mix", value)

    @property
    def bypass(self) -> bool:
        """Whether the input is heard instead of the restoration."""
        return bool(self.get("bypass"))

    @bypass.setter
    def bypass(self, value: bool) -> None:
        self.set("bypass", value)


@realtime
def wet_gain(values: NDArray[np.float64]) -> float:
    """Gain of the wet signal that the user asks for: mix, or 0 in bypass."""
    return 0.0 if atomic_load(values, BYPASS) != 0.0 else atomic_load(values, MIX)


@realtime
def _load(values: NDArray[np.float64], index: int) -> float:
    return atomic_load(values, index)  # type: ignore[no-any-return]  # numba ships no type hints


@realtime
def _store(values: NDArray[np.float64], index: int, value: float) -> None:
    atomic_store(values, index, value)
