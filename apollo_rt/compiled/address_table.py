"""Address tables: a tuple of arrays and records handed to compiled code as one number, and made again from it there.

A C library calls a function back with one pointer. The tuple's class declares what lies behind it, and both sides
follow that declaration: names, types and shapes can't come apart.

    class Ring(NamedTuple):
        samples: Annotated[NDArray[np.float32], "capacity", 2]     # dtype and shape: a name for what varies
        marks: Marks                                               # a record

    table = AddressTable(ring)                # Python: checks the arrays against the declaration
    ring = from_address(address, Ring)        # compiled: no allocation, no reference is kept
"""

import ctypes
from functools import cache
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.primitives import primitive
from apollo_rt.compiled.record_types import Record, address_of

Tuple = TypeVar("Tuple", bound=tuple[Any, ...])
_NOTHING: Any = ctypes.c_char * 0


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
        self.words: NDArray[np.int64] = np.array(_words(value), np.int64)

    @property
    def address(self) -> int:
        """Address that compiled code gets; valid as long as this object lives."""
        return int(self.words.ctypes.data)


def _words(value: Any) -> list[int]:
    words: list[int] = []
    lengths: dict[str, int] = {}
    kind: Any = type(value)
    for (name, field), part in zip(declared(kind).items(), value, strict=True):
        _add_words(words, kind, name, field, part, lengths)
    return words


def argument_words(name: str, field: Any, part: Any) -> list[int]:
    """Words of one argument of a function.

    Args:
        name: for errors.
        field: as `declared` gives it.
        part: what is there.

    Raises:
        ValueError: `part` is not as declared.
    """
    words: list[int] = []
    _add_words(words, None, name, field, part, {})
    return words


def _add_words(words: list[int], kind: Any, name: str, field: Any, part: Any, lengths: dict[str, int]) -> None:
    """Add a field's words; `lengths` are those that have been named before it, and get those that it names."""
    if field.__class__ is ArrayField:
        address = _writable_address(part) if part.dtype == field.dtype and part.ndim == len(field.shape) else 0
        words.append(address)
        for axis, length in zip(field.shape, part.shape, strict=False):
            if axis.__class__ is str and axis not in lengths:
                lengths[axis] = length
                words.append(length)
            elif length != (lengths[axis] if axis.__class__ is str else axis):
                address = 0
        if address == 0:
            shape = tuple(lengths.get(axis, axis) if isinstance(axis, str) else axis for axis in field.shape)
            what, got = f"{field.dtype} and shape {shape}", f"{part.dtype} and {part.shape}"
            raise ValueError(f"{_full(kind, name)} must be a C-ordered array of {what}, got {got}")
    elif issubclass(field, Record):
        if part.dtype != field.dtype:
            raise ValueError(f"{_full(kind, name)} must be a {field.__name__}, got {part.dtype}")
        words.append(address_of(part))
    elif part.__class__ is field:
        words += _words(part)
    else:
        raise ValueError(f"{_full(kind, name)} must be a {field.__name__}, got {type(part).__name__}")


def _full(kind: Any, name: str) -> str:
    return f"{kind.__name__}.{name}" if kind else name


def _writable_address(array: Any) -> int:
    """Address of an array's memory; 0 where that is not C-ordered or must not be written."""
    try:
        return ctypes.addressof(_NOTHING.from_buffer(array))  # a tenth of the time that `array.ctypes` takes
    except (TypeError, ValueError, BufferError):
        return 0


# --- in compiled code ------------------------------------------------------------------------------------------------


@primitive
def from_address(address: int, kind: type[Tuple]) -> Tuple:
    """The tuple of class `kind` whose `AddressTable` lies at `address`; allocates nothing and keeps nothing alive.

    Raises:
        TypingError: `kind` is no named tuple's class; while it is compiled.
    """
    raise NotImplementedError
