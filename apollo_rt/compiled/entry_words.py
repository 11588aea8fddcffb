"""Words of a call: Python hands an entry all its arguments, and gets the result, by the address of some numbers.

arguments  int, float, bool: a word each; arrays, records and tuples of them: as in an `AddressTable`
result     in the first word, which comes before them
"""

import ctypes
import operator
import struct
from collections.abc import Callable
from typing import Any, get_type_hints

from apollo_rt.compiled.address_table import argument_words, declared_field

NUMBERS = (int, float, bool)
_RESULTS: dict[Any, Callable[[int], Any]] = {
    type(None): lambda word: None,
    int: int,
    bool: bool,
    float: lambda word: struct.unpack("<d", struct.pack("<q", word))[0],
}


class EntryWords:
    """Makes words of the arguments of one function.

    Args:
        function: each argument and the result annotated: numbers, annotated arrays, records, tuples of them.

    Attributes:
        fields: of each argument by its name, a number's type or what `address_table.declared` gives.
        result: type of the result, a number's or that of None.
        read: makes the result of its word.

    Raises:
        TypeError: an annotation says too little.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        hints = get_type_hints(function, include_extras=True)
        self.result = hints.pop("return")
        name = function.__qualname__
        self.fields = {
            argument: hint if hint in NUMBERS else declared_field(f"{name}: {argument}", hint)
            for argument, hint in hints.items()
        }
        if self.result not in _RESULTS:
            raise TypeError(f"result of {name} must be int, float, bool or None, got {self.result}")

        self.read = _RESULTS[self.result]
        self._row: Any = None

    def of(self, arguments: tuple[Any, ...]) -> Any:
        """Words of a call, the result's first, in an array of `ctypes`; None where an argument is not as annotated."""
        words = [0]
        try:
            for (name, field), argument in zip(self.fields.items(), arguments, strict=True):
                if field is int or field is bool:
                    words.append(operator.index(argument))
                elif field is float:
                    words += struct.unpack("<q", struct.pack("<d", argument))
                else:
                    words += argument_words(name, field, argument)
        except (ValueError, TypeError, AttributeError, struct.error):
            return None
        if self._row is None:
            self._row = ctypes.c_int64 * len(words)  # as many in every call
        return self._row(*words)
