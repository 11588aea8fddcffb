"""Address tables: a tuple of arrays and records handed to compiled code as one number, and made again from it there.

A C library calls a function back with one pointer. The tuple's class declares what lies behind it, and both sides
follow that declaration: names, types and shapes can't come apart.

    class Ring(NamedTuple):
        samples: Annotated[NDArray[np.float32], "capacity", 2]     # dtype and shape: a name for what varies
        marks: Marks                                               # a record

    table = AddressTable(ring)                # Python: checks the arrays against the declaration
    ring = from_address(address, Ring)        # compiled: no allocation, no reference is kept
"""

from collections.abc import Iterator
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.core.errors import TypingError
from numba.np.arrayobj import populate_array
from numpy.typing import NDArray

from apollo_rt.compiled.native import intrinsic
from apollo_rt.compiled.records import WORD, Record, address_of

Tuple = TypeVar("Tuple", bound=tuple[Any, ...])


class ArrayField(NamedTuple):
    """Declaration of an array of a tuple.

    Attributes:
        dtype: of its elements.
        shape: of each axis its length, or the name of a length that varies.
    """

    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]


def declared(kind: type) -> dict[str, Any]:
    """The fields of a tuple's class by name: an `ArrayField`, a class of records, or another tuple's class.

    Raises:
        TypeError: a field is declared as nothing of these.
    """
    return {name: _declared_field(kind, name, hint) for name, hint in get_type_hints(kind, include_extras=True).items()}


def _declared_field(kind: type, name: str, hint: Any) -> Any:
    if get_origin(hint) is Annotated:
        array, *shape = get_args(hint)
        return ArrayField(np.dtype(get_args(get_args(array)[1])[0]), tuple(shape))
    if isinstance(hint, type) and (issubclass(hint, Record) or hasattr(hint, "_fields")):
        return hint
    raise TypeError(f"{kind.__name__}.{name} must be an annotated array, a record or a tuple of these, got {hint}")


class AddressTable(Generic[Tuple]):
    """Addresses and lengths of all that a tuple holds, for `from_address`; keeps the tuple alive.

    Args:
        value: a named tuple that declares its fields, see above.

    Attributes:
        value: as given.
        words: int64: of each array its address and the lengths that it is the first to name; of each record its
            address.

    Raises:
        ValueError: an array is not what the tuple's class declares.
    """

    def __init__(self, value: Tuple) -> None:
        self.value = value
        self.words: NDArray[np.int64] = np.array(list(_words(value)), np.int64)

    @property
    def address(self) -> int:
        """Address that compiled code gets; valid as long as this object lives."""
        return int(self.words.ctypes.data)


def _words(value: Any) -> Iterator[int]:
    lengths: dict[str, int] = {}
    for name, field in declared(type(value)).items():
        part = getattr(value, name)
        if isinstance(field, ArrayField):
            yield from _array_words(f"{type(value).__name__}.{name}", field, part, lengths)
        elif issubclass(field, Record):
            if part.dtype != field.dtype:
                raise ValueError(f"{type(value).__name__}.{name} must be a {field.__name__}, got {part.dtype}")
            yield address_of(part)
        else:
            yield from _words(part)


def _array_words(name: str, field: ArrayField, array: Any, lengths: dict[str, int]) -> Iterator[int]:
    """Address of an array and the lengths that no array before it has named; a name means one length in a tuple."""
    known = set(lengths)
    is_shaped = array.ndim == len(field.shape) and all(
        length == (lengths.setdefault(axis, length) if isinstance(axis, str) else axis)
        for axis, length in zip(field.shape, array.shape, strict=True)
    )
    if array.dtype != field.dtype or not is_shaped or not array.flags.c_contiguous or not array.flags.writeable:
        shape = tuple(lengths.get(axis, axis) if isinstance(axis, str) else axis for axis in field.shape)
        raise ValueError(
            f"{name} must be a C-ordered array of {field.dtype} and shape {shape}, got {array.dtype} and {array.shape}"
        )
    yield array.ctypes.data
    yield from (length for axis, length in lengths.items() if axis not in known)


# --- in compiled code ------------------------------------------------------------------------------------------------


def numba_type(kind: type) -> Any:
    """Type that compiled code takes a tuple of this class for."""
    return types.BaseTuple.from_types([_member_type(field) for field in declared(kind).values()], kind)


def _member_type(field: Any) -> Any:
    if isinstance(field, ArrayField):
        return types.Array(from_dtype(field.dtype), len(field.shape), "C")
    return from_dtype(field.dtype) if issubclass(field, Record) else numba_type(field)


class _Reader:
    """Emits the code that reads a table's words one after the other."""

    def __init__(self, context: Any, builder: Any, address: Any) -> None:
        self._context, self._builder = context, builder
        self._words = builder.inttoptr(address, ir.IntType(64).as_pointer())
        self._n_read = 0

    def tuple(self, kind: type) -> Any:
        lengths: dict[str, Any] = {}
        values = [self._member(field, lengths) for field in declared(kind).values()]
        return self._context.make_tuple(self._builder, numba_type(kind), values)

    def _member(self, field: Any, lengths: dict[str, Any]) -> Any:
        if isinstance(field, ArrayField):
            return self._array(field, lengths)
        if issubclass(field, Record):
            return self._builder.inttoptr(self._word(), self._context.get_value_type(from_dtype(field.dtype)))
        return self.tuple(field)

    def _word(self) -> Any:
        place = self._builder.gep(self._words, [ir.IntType(64)(self._n_read)])
        self._n_read += 1
        return self._builder.load(place, align=WORD)

    def _array(self, field: ArrayField, known: dict[str, Any]) -> Any:
        context, builder, kind = self._context, self._builder, _member_type(field)
        array = context.make_array(kind)(context, builder)
        pointer = builder.inttoptr(self._word(), array.data.type)
        lengths = [self._length(axis, known) for axis in field.shape]
        item_size = ir.IntType(64)(field.dtype.itemsize)
        strides = [item_size]
        for length in lengths[:0:-1]:
            strides.insert(0, builder.mul(length, strides[0]))
        populate_array(array, data=pointer, shape=lengths, strides=strides, itemsize=item_size, meminfo=None)
        return array._getvalue()

    def _length(self, axis: int | str, known: dict[str, Any]) -> Any:
        if isinstance(axis, int):
            return ir.IntType(64)(axis)
        if axis not in known:
            known[axis] = self._word()
        return known[axis]


@intrinsic
def from_address(typing_context: Any, address: Any, kind: Any) -> Any:
    """The tuple of class `kind` whose `AddressTable` lies at `address`; allocates nothing and keeps nothing alive.

    Raises:
        TypingError: `kind` is no named tuple's class; while it is compiled.
    """
    if not isinstance(kind, types.NamedTupleClass):
        raise TypingError(f"from_address needs the class of a named tuple, got {kind}")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _Reader(context, builder, args[0]).tuple(kind.instance_class)

    return numba_type(kind.instance_class)(types.int64, kind), generate
