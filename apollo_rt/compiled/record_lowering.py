"""Records in compiled code: what loads, stores, adds to and copies their fields, as LLVM instructions."""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import lower_builtin as untyped_lower_builtin
from numba.extending import type_callable

from apollo_rt.compiled import records
from apollo_rt.compiled.primitive_types import stand_in
from apollo_rt.compiled.record_types import WORD

Function = TypeVar("Function", bound=Callable[..., Any])

load, store, add, copy_fields = map(stand_in, (records.load, records.store, records.add, records.copy_fields))


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
