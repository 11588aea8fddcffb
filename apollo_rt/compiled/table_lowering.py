"""Address tables in compiled code: a tuple is the address of its words, and a field is read where it is used.

Handed over as values, the few hundred numbers of a tuple of arrays would go from function to function, and the compiler
would spend most of its time on them. The words of a table never change, and the loads say so: a loop reads none of them
again.
"""

from typing import Any, NamedTuple

from llvmlite import ir
from numba import from_dtype, types
from numba.core.datamodel.models import PrimitiveModel
from numba.core.datamodel.registry import register_default
from numba.core.errors import TypingError
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, lower_getattr_generic
from numba.np.arrayobj import populate_array

from apollo_rt.compiled.address_table import ArrayField, declared, from_address
from apollo_rt.compiled.primitive_types import implements
from apollo_rt.compiled.record_types import WORD, Record

_WORD = ir.IntType(64)


class TableType(types.Type):
    """Type of a table's address in compiled code.

    Args:
        tuple_class: what the table holds.
    """

    def __init__(self, tuple_class: type) -> None:
        self.tuple_class = tuple_class
        super().__init__(f"table({tuple_class.__module__}.{tuple_class.__qualname__})")


@register_default(TableType)
class _TableModel(PrimitiveModel):
    """A word."""

    def __init__(self, manager: Any, kind: TableType) -> None:
        super().__init__(manager, kind, _WORD)  # type: ignore[no-untyped-call]


class _Place(NamedTuple):
    """Place of a field among the words.

    Attributes:
        field: as declared.
        first: number of its first word, an address or a tuple's first.
        lengths: number of the word that holds the length of each axis; negative: minus the length itself.
    """

    field: Any
    first: int
    lengths: tuple[int, ...]


def places_of(kind: type) -> tuple[dict[str, _Place], int]:
    """Places of a table's fields, by their names, and how many words there are."""
    places: dict[str, _Place] = {}
    known: dict[str, int] = {}
    n_words = 0
    for name, field in declared(kind).items():
        place, n_words = place_of(field, n_words, known)
        places[name] = place
    return places, n_words


def place_of(field: Any, first: int, known: dict[str, int]) -> tuple[_Place, int]:
    """Place of a field, and the number of the first word behind it.

    Args:
        field: as `declared` gives it.
        first: number of its first word.
        known: the words of lengths that have been named before it; gets those that it names.
    """
    if not isinstance(field, ArrayField):
        n_words = 1 if issubclass(field, Record) else places_of(field)[1]
        return _Place(field, first, ()), first + n_words
    end = first + 1
    for axis in field.shape:
        if isinstance(axis, str) and axis not in known:
            known[axis] = end
            end += 1
    lengths = tuple(known[axis] if isinstance(axis, str) else -axis for axis in field.shape)
    return _Place(field, first, lengths), end


def member_type(field: Any) -> Any:
    """Type that compiled code takes a declared field for."""
    if isinstance(field, ArrayField):
        return types.Array(from_dtype(field.dtype), len(field.shape), "C")
    return from_dtype(field.dtype) if issubclass(field, Record) else TableType(field)


def read_member(context: Any, builder: Any, words: Any, place: _Place) -> Any:
    """Emit the code that reads a field.

    Args:
        context: of the target.
        builder: in the function that reads.
        words: address of the table's first word, an LLVM value.
        place: of the field.
    """
    field = place.field
    if isinstance(field, ArrayField):
        return _array(context, builder, words, place)
    if issubclass(field, Record):
        address = read_word(builder, words, place.first)
        return builder.inttoptr(address, context.get_value_type(from_dtype(field.dtype)))
    return builder.add(words, _WORD(WORD * place.first))


def read_word(builder: Any, words: Any, number: int) -> Any:
    """Emit the code that reads a word of a table."""
    place = builder.inttoptr(builder.add(words, _WORD(WORD * number)), _WORD.as_pointer())
    word = builder.load(place, align=WORD)
    word.set_metadata("invariant.load", builder.module.add_metadata([]))
    return word


def _array(context: Any, builder: Any, words: Any, place: _Place) -> Any:
    kind = member_type(place.field)
    array = context.make_array(kind)(context, builder)
    pointer = builder.inttoptr(read_word(builder, words, place.first), array.data.type)
    lengths = [_WORD(-at) if at <= 0 else read_word(builder, words, at) for at in place.lengths]
    item_size = _WORD(place.field.dtype.itemsize)
    strides = [item_size]
    for length in lengths[:0:-1]:
        strides.insert(0, builder.mul(length, strides[0]))
    populate_array(array, data=pointer, shape=lengths, strides=strides, itemsize=item_size, meminfo=None)
    return array._getvalue()


@infer_getattr
class _TableAttributes(AttributeTemplate):
    """The fields of a table."""

    key = TableType

    def generic_resolve(self, table: TableType, name: str) -> Any:  # type: ignore[override]  # numba has None there
        """Type of a field; None where there is none of that name."""
        field = declared(table.tuple_class).get(name)
        return member_type(field) if field is not None else None


@lower_getattr_generic(TableType)  # type: ignore[untyped-decorator]
def _read_field(context: Any, builder: Any, kind: TableType, value: Any, name: str) -> Any:
    return read_member(context, builder, value, places_of(kind.tuple_class)[0][name])


@implements(from_address)
def _from_address(typing_context: Any, address: Any, kind: Any) -> Any:
    if not isinstance(kind, types.NamedTupleClass):
        raise TypingError(f"from_address needs the class of a named tuple, got {kind}")
    return TableType(kind.instance_class)(types.int64, kind), lambda context, builder, signature, args: args[0]
