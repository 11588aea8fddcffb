"""What a user may change while the engine runs: one table, from which help, docs and controllers are made.

The values lie in a shared float64 array; the audio path reads each of them once per block.
"""

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_load, atomic_store, realtime
from apollo_rt.control.parameter_row import Parameter

Class = TypeVar("Class", bound=type)


MIX, BYPASS, DELTA, STRENGTH, AIR_DB, CROSSOVER_HZ, LOW_CUT_HZ, OUTPUT_GAIN_DB = range(8)
"""Where each value lies in the shared array: the order of the table."""

PARAMETERS = (
    Parameter(
        "mix", "", 0.0, 1.0, 1.0, "How much of the restored signal is heard: 0 is the input, 1 the restoration.",
        step=0.05, settles_ms=1.5,
    ),
    Parameter(
        "bypass", "switch", 0.0, 1.0, 0.0, "Hear the input at unchanged latency, whatever else is set.",
        step=1.0, settles_ms=46.0,
    ),
    Parameter(
        "delta", "switch", 0.0, 1.0, 0.0, "Hear only what the model changed: the restored signal minus the input.",
        step=1.0, settles_ms=1.5,
    ),
    Parameter(
        "strength", "", 0.0, 1.5, 1.0, "How much of the model's correction is applied to what the codec left.",
        step=0.05, settles_ms=80.0,
    ),
    Parameter(
        "air_db", "dB", -60.0, 12.0, 0.0, "Level of what is generated where the codec left nothing, mostly the highs.",
        step=1.0, settles_ms=110.0, at_minimum="none",
    ),
    Parameter(
        "crossover_hz", "Hz", 20.0, 20_000.0, 20.0, "Below this frequency the signal stays as it came in.",
        step=2 ** (1 / 6), scale="log", settles_ms=130.0, at_minimum="off",
    ),
    Parameter(
        "low_cut_hz", "Hz", 20.0, 1000.0, 20.0, "What lies below this frequency is filtered out, 12 dB per octave.",
        step=2 ** (1 / 6), scale="log", settles_ms=46.0, at_minimum="off",
    ),
    Parameter(
        "output_gain_db", "dB", -24.0, 12.0, 0.0, "Gain of all that is heard.",
        step=0.5, settles_ms=46.0,
    ),
)  # fmt: skip

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


def _property(row: Parameter) -> property:
    def read(owner: Any) -> float | bool:
        value: float = owner.get(row.name)
        return bool(value) if row.is_switch else value

    def write(owner: Any, value: float) -> None:
        owner.set(row.name, value)

    unit = "0 or 1" if row.is_switch else row.bounds_text
    return property(
        read, write, doc=f"{row.description} {unit[0].upper()}{unit[1:]}; {row.text(row.default)} if not set."
    )


def with_parameters(owner: Class) -> Class:
    """Give a class that has `get` and `set` an attribute for each row."""
    for row in PARAMETERS:
        setattr(owner, row.name, _property(row))
    return owner


@with_parameters
class Parameters:
    """The live values, each also an attribute; any thread may set them, and none clicks when it is changed.

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

    if TYPE_CHECKING:  # the attributes of the table, which type checkers can't see

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    def get(self, name: str) -> float:
        """The value of one parameter."""
        return float(_load(self.values, _index(name)))

    def set(self, name: str, value: float) -> None:
        """Change one parameter.

        Raises:
            ValueError: an unknown name, or a value out of bounds.
        """
        _store(self.values, _index(name), parameter(name).check(value))

    def as_dict(self) -> dict[str, float]:
        """All values by name, in the order of the table."""
        return {row.name: self.get(row.name) for row in PARAMETERS}


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
