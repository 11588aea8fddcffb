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
from functools import cache
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.primitives import primitive
from apollo_rt.compiled.record_types import Record, address_of

Tuple = TypeVar("Tuple", bound=tuple[Any, ...])


class ArrayField(NamedTuple):
    """Declaration of an array of a tuple.

    Attributes:
        dtype: of its elements.
        shape: of each axis its length, or the name of a length that varies.
    """

    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]


@cache
def declared(kind: Any) -> dict[str, Any]:
    """The fields of a tuple's class by name: an `ArrayField`, a class of records, or another tuple's class.

    Raises:
        TypeError: a field is declared as nothing of these.
    """
    hints = get_type_hints(kind, include_extras=True)
    return {name: declared_field(f"{kind.__name__}.{name}", hint) for name, hint in hints.items()}


def declared_field(name: str, hint: Any) -> Any:
    """One annotation's declaration, see `declared`.

    Raises:
        TypeError: it is nothing of these.
    """
    if get_origin(hint) is Annotated:
        array, *shape = get_args(hint)
        return ArrayField(np.dtype(get_args(get_args(array)[1])[0]), tuple(shape))
    if isinstance(hint, type) and (issubclass(hint, Record) or hasattr(hint, "_fields")):
        return hint
    raise TypeError(f"{name} must be an annotated array, a record or a tuple of these, got {hint}")


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
    for name, field in declared(type(value)).items():  # type: ignore[arg-type]  # classes are hashable
        yield from field_words(f"{type(value).__name__}.{name}", field, getattr(value, name), lengths)


def field_words(name: str, field: Any, part: Any, lengths: dict[str, int]) -> Iterator[int]:
    """Words of one field of a tuple, or of one argument of a function.

    Args:
        name: for errors.
        field: as `declared` gives it.
        part: what is there.
        lengths: those that have been named before it; gets those that it names.

    Raises:
        ValueError: `part` is not as declared.
    """
    if isinstance(field, ArrayField):
        yield from _array_words(name, field, part, lengths)
    elif issubclass(field, Record):
        if part.dtype != field.dtype:
            raise ValueError(f"{name} must be a {field.__name__}, got {part.dtype}")
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


@primitive
def from_address(address: int, kind: type[Tuple]) -> Tuple:
    """The tuple of class `kind` whose `AddressTable` lies at `address`; allocates nothing and keeps nothing alive.

    Raises:
        TypingError: `kind` is no named tuple's class; while it is compiled.
    """
    raise NotImplementedError
