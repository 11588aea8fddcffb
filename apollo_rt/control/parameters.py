"""The live values of the table of parameters, for any thread to set and the audio path to read.

They lie in a shared float64 array; the audio path reads each of them once per block.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import atomic_load, atomic_store, realtime
from apollo_rt.control.parameter_row import Parameter
from apollo_rt.control.parameter_table import (
    AIR_DB,
    BYPASS,
    CROSSOVER_HZ,
    DELTA,
    LOW_CUT_HZ,
    MIX,
    OUTPUT_GAIN_DB,
    PARAMETERS,
    STRENGTH,
    index_of,
    parameter,
)

Class = TypeVar("Class", bound=type)
LiveValues = Annotated[NDArray[np.float64], "parameters"]
"""What `Parameters.values` are."""


__all__ = [
    "AIR_DB",
    "BYPASS",
    "CROSSOVER_HZ",
    "DELTA",
    "LOW_CUT_HZ",
    "MIX",
    "OUTPUT_GAIN_DB",
    "PARAMETERS",
    "STRENGTH",
    "LiveValues",
    "Parameter",
    "Parameters",
    "parameter",
    "with_parameters",
]


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

    @classmethod
    def checked(cls, values: Mapping[str, float]) -> "Parameters":
        """Take values that the rows of the table have checked already, as the options of a command do."""
        live = cls()
        for name, value in values.items():
            _store(live.values, index_of(name), value)
        return live

    def copy(self) -> "Parameters":
        """The same values, which change by themselves from here on."""
        return Parameters.checked(self.as_dict())

    if TYPE_CHECKING:  # the attributes of the table, which type checkers can't see

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    def get(self, name: str) -> float:
        """The value of one parameter."""
        return float(_load(self.values, index_of(name)))

    def set(self, name: str, value: float) -> None:
        """Change one parameter.

        Raises:
            ValueError: an unknown name, or a value out of bounds.
        """
        _store(self.values, index_of(name), parameter(name).check(value))

    def as_dict(self) -> dict[str, float]:
        """All values by name, in the order of the table."""
        return {row.name: self.get(row.name) for row in PARAMETERS}


@entry
@realtime
def _load(values: LiveValues, index: int) -> float:
    return atomic_load(values, index)  # type: ignore[no-any-return]  # numba ships no type hints


@entry
@realtime
def _store(values: LiveValues, index: int, value: float) -> None:
    atomic_store(values, index, value)
