"""Records: numbers that threads share, in named fields, reached by one address from compiled code and from Python.

    class Control(Record):
        delay: int
        consumed: int

    control = new_record(Control)
    control.delay = 512                    # plain, for one thread's own
    store(control, "consumed", 256)        # release: what was stored before is seen by who loads this
    load(control, "consumed")              # acquire

Compiled code takes a record as a pointer. There a field that does not exist is an error of the compiler, and the name
of a field is a literal, so that it costs nothing at run time.
"""

from typing import Any

import numpy as np

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import array_from_address, atomic_load, atomic_store, realtime
from apollo_rt.compiled.primitives import primitive
from apollo_rt.compiled.record_types import CACHE_LINE, WORD, AnyRecord, Record, address_of, new_record

__all__ = ["CACHE_LINE", "WORD", "Record", "add", "address_of", "copy_fields", "load", "new_record", "store"]


@primitive
def load(record: Record, field: str) -> Any:
    """Read a field with acquire order: what the writer stored before its release is visible afterwards.

    Args:
        record: from `new_record`.
        field: its name; in compiled code a literal.

    Raises:
        AttributeError: no such field; in compiled code it does not compile.
    """
    address, is_whole = _place(record, field)
    return _load_whole(address) if is_whole else _load_real(address)


@primitive
def store(record: Record, field: str, value: float) -> None:
    """Write a field with release order: all that was stored before is visible to who loads it.

    Raises:
        AttributeError: no such field; in compiled code it does not compile.
    """
    address, is_whole = _place(record, field)
    if is_whole:
        _store_whole(address, int(value))
    else:
        _store_real(address, float(value))


@primitive
def add(record: Record, field: str, amount: float) -> None:
    """Add to a field and release the sum; only one thread may write it.

    Raises:
        AttributeError: no such field; in compiled code it does not compile.
    """
    store(record, field, getattr(record, field) + amount)


@primitive
def copy_fields(source: AnyRecord, target: AnyRecord) -> None:
    """Copy a record that another thread writes: each field whole, one after the other, with acquire order."""
    for field in source.dtype.names or ():
        setattr(target, field, load(source, field))


# --- from Python -----------------------------------------------------------------------------------------------------


def _place(record: Record, field: str) -> tuple[int, bool]:
    """Address of a field, and whether it is a whole number."""
    fields = record.dtype.fields
    if fields is None or field not in fields:
        raise AttributeError(f"record has no field {field!r}, it has {', '.join(fields or ())}")
    kind, offset = fields[field][:2]
    return address_of(record) + offset, kind == np.int64


@entry
@realtime
def _load_whole(address: int) -> int:
    return atomic_load(array_from_address(address, 1, np.int64), 0)  # type: ignore[no-any-return]  # numba's


@entry
@realtime
def _load_real(address: int) -> float:
    return atomic_load(array_from_address(address, 1, np.float64), 0)  # type: ignore[no-any-return]  # numba's


@entry
@realtime
def _store_whole(address: int, value: int) -> None:
    atomic_store(array_from_address(address, 1, np.int64), 0, value)


@entry
@realtime
def _store_real(address: int, value: float) -> None:
    atomic_store(array_from_address(address, 1, np.float64), 0, value)
