"""Records: numbers that threads share, in named fields, laid out for compiled code.

A subclass of `Record` declares the fields, `new_record` allocates one; `records` has what reads and writes them.
"""

import ctypes
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


class _ArrayInterface(ctypes.Structure):
    """`PyArrayInterface` of NumPy, up to the data. Source: NumPy's reference, "The array interface protocol"."""

    _fields_ = [("two", ctypes.c_int), ("n_axes", ctypes.c_int), ("kind", ctypes.c_char), ("item_size", ctypes.c_int),
                ("flags", ctypes.c_int), ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p),
                ("data", ctypes.c_void_p)]  # fmt: skip


_behind_capsule = ctypes.pythonapi.PyCapsule_GetPointer
_behind_capsule.restype, _behind_capsule.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def address_of(record: Record) -> int:
    """Address of a record's first field, valid as long as the record lives."""
    capsule = cast("Any", record).__array_struct__  # a sixth of the time that `__array_interface__` takes
    return int(_ArrayInterface.from_address(_behind_capsule(capsule, None)).data)
