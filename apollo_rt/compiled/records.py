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

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, cast, get_type_hints

import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import lower_builtin as untyped_lower_builtin
from numba.extending import type_callable

from apollo_rt.compiled.native import array_from_address, atomic_load, atomic_store, realtime

WORD = 8
"""Bytes of a field: what a processor reads and writes as a whole."""
CACHE_LINE = 64
Function = TypeVar("Function", bound=Callable[..., Any])
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


def add(record: Record, field: str, amount: float) -> None:
    """Add to a field and release the sum; only one thread may write it.

    Raises:
        AttributeError: no such field; in compiled code it does not compile.
    """
    store(record, field, getattr(record, field) + amount)


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


@realtime
def _load_whole(address: int) -> int:
    return atomic_load(array_from_address(address, 1, np.int64), 0)  # type: ignore[no-any-return]  # numba's


@realtime
def _load_real(address: int) -> float:
    return atomic_load(array_from_address(address, 1, np.float64), 0)  # type: ignore[no-any-return]  # numba's


@realtime
def _store_whole(address: int, value: int) -> None:
    atomic_store(array_from_address(address, 1, np.int64), 0, value)


@realtime
def _store_real(address: int, value: float) -> None:
    atomic_store(array_from_address(address, 1, np.float64), 0, value)


# --- in compiled code ------------------------------------------------------------------------------------------------


def lower_builtin(function: Callable[..., Any], *arguments: Any) -> Callable[[Function], Function]:
    """Numba's `lower_builtin`, for type checkers."""
    return untyped_lower_builtin(function, *arguments)  # type: ignore[no-any-return]


def _field_type(record: Any, field: Any) -> Any:
    """Type of a field; None where these are no record and literal, which says to Numba: look elsewhere."""
    if not (isinstance(record, types.Record) and isinstance(field, types.StringLiteral)):
        return None
    if field.literal_value not in record.fields:
        raise TypingError(f"record has no field {field.literal_value!r}, it has {', '.join(record.fields)}")
    kind = record.typeof(field.literal_value)
    if kind not in (types.int64, types.float64) or record.offset(field.literal_value) % WORD:
        raise TypingError(f"field {field.literal_value!r} can't be read as a whole: it is {kind}")
    return kind


def _pointer(context: Any, builder: Any, signature: Any, record: Any) -> Any:
    """Address of the field that the second argument names, and its type."""
    kind, name = signature.args[0], signature.args[1].literal_value
    field = kind.typeof(name)
    return cgutils.get_record_member(builder, record, kind.offset(name), context.get_data_type(field)), field


@type_callable(load)
def _type_load(context: Any) -> Any:
    return lambda record, field: _field_type(record, field)


def _type_write(context: Any) -> Any:
    def typer(record: Any, field: Any, value: Any) -> Any:
        if _field_type(record, field) is None:
            return None
        return types.none if isinstance(value, types.Number | types.Boolean) else None

    return typer


type_callable(store)(_type_write)
type_callable(add)(_type_write)


@type_callable(copy_fields)
def _type_copy(context: Any) -> Any:
    return lambda source, target: types.none if isinstance(source, types.Record) and source == target else None


@lower_builtin(load, types.Record, types.StringLiteral)
def _lower_load(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    pointer, _ = _pointer(context, builder, signature, args[0])
    return builder.load_atomic(pointer, ordering="acquire", align=WORD)


@lower_builtin(store, types.Record, types.StringLiteral, types.Any)
def _lower_store(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    pointer, kind = _pointer(context, builder, signature, args[0])
    value = context.cast(builder, args[2], signature.args[2], kind)
    builder.store_atomic(value, pointer, ordering="release", align=WORD)
    return context.get_dummy_value()


@lower_builtin(add, types.Record, types.StringLiteral, types.Any)
def _lower_add(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    pointer, kind = _pointer(context, builder, signature, args[0])
    amount = context.cast(builder, args[2], signature.args[2], kind)
    before = builder.load(pointer, align=WORD)
    total = builder.add(before, amount) if kind == types.int64 else builder.fadd(before, amount)
    builder.store_atomic(total, pointer, ordering="release", align=WORD)
    return context.get_dummy_value()


@lower_builtin(copy_fields, types.Record, types.Record)
def _lower_copy(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind = signature.args[0]
    for name in kind.fields:
        field = context.get_data_type(kind.typeof(name))
        source, target = (cgutils.get_record_member(builder, record, kind.offset(name), field) for record in args)
        builder.store(builder.load_atomic(source, ordering="acquire", align=WORD), target, align=WORD)
    return context.get_dummy_value()
