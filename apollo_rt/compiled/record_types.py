"""Records: numbers that threads share, in named fields, laid out for compiled code.

A subclass of `Record` declares the fields, `new_record` allocates one; `records` has what reads and writes them.
"""

from typing import Any, ClassVar, TypeVar, cast, get_type_hints

import numpy as np

WORD = 8
"""Bytes of a field: what a processor reads and writes as a whole."""
CACHE_LINE = 64
_KINDS: dict[type, type] = {int: np.int64, float: np.float64}


class Record:
    """Declares the fields of a record: annotations of a subclass, each `int` (64 bits) or `float` (64 bits).

    A subclass describes; what `new_record` makes is NumPy's record of the same fields. With `spacing=CACHE_LINE` each
    field lies on a cache line of its own, for fields that several threads write.

    Attributes:
        dtype: NumPy's description of the fields.

    Raises:
        TypeError: a field is of another type, or NumPy's records have an attribute of that name.
    """

    dtype: ClassVar[np.dtype[Any]]

    def __init_subclass__(cls, spacing: int = WORD) -> None:
        """Lay out the fields one behind the other."""
        kinds = {name: kind for name, kind in get_type_hints(cls).items() if name != "dtype"}
        for name, kind in kinds.items():
            if kind not in _KINDS:
                raise TypeError(f"field {cls.__name__}.{name} must be int or float, got {kind}")
            if hasattr(np.record, name):
                raise TypeError(f"field {cls.__name__}.{name}: records have an attribute of that name")
        layout = {
            "names": list(kinds),
            "formats": [_KINDS[kind] for kind in kinds.values()],
            "offsets": [spacing * index for index in range(len(kinds))],
            "itemsize": spacing * max(len(kinds), 1),
        }
        cls.dtype = np.dtype((np.record, np.dtype(layout, align=True)))  # type: ignore[call-overload]  # a dict is fine


AnyRecord = TypeVar("AnyRecord", bound=Record)


def new_record(kind: type[AnyRecord]) -> AnyRecord:
    """Allocate a record, all fields zero, from the beginning of a cache line on."""
    memory = np.zeros(kind.dtype.itemsize + CACHE_LINE, np.uint8)
    begin = -memory.ctypes.data % CACHE_LINE
    return cast("AnyRecord", memory[begin : begin + kind.dtype.itemsize].view(kind.dtype)[0])


def address_of(record: Record) -> int:
    """Address of a record's first field, valid as long as the record lives."""
    return int(cast("Any", record).__array_interface__["data"][0])
