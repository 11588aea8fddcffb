"""Compiled functions, which cost no compiler until one is compiled.

A function that is marked as an `entry` is called from Python in every run: its machine code is made once for what its
signature says, and kept whole (`kept_code`). All others, and entries that are given something else, are compiled by
Numba where they are called, which then comes into the process.
"""

import ctypes
import importlib
from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any, TypeVar, cast

from apollo_rt.compiled.entry_words import EntryWords
from apollo_rt.compiled.kept_code import entry_address, entry_function
from apollo_rt.compiled.primitives import COMPILER

Function = TypeVar("Function", bound=Callable[..., Any])


class CompiledFunction:
    """Compiles a function where that is needed; calling it runs machine code.

    Args:
        function: in the part of Python that Numba compiles.
        options: of Numba's `njit`.

    Attributes:
        py_func: as given.
        options: as given.
        is_entry: its code is kept whole.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        update_wrapper(self, function)
        self.py_func, self.options, self.is_entry = function, options, False

    @cached_property
    def dispatcher(self) -> Any:
        """Numba's dispatcher of this function."""
        return importlib.import_module(COMPILER).dispatcher(self.py_func, self.options)

    @cached_property
    def words(self) -> EntryWords:
        """Words of a call of the kept code."""
        return EntryWords(self.py_func)

    @cached_property
    def _kept(self) -> Callable[[int], int] | None:
        return entry_function(self.py_func.__module__, self.py_func.__qualname__) if self.is_entry else None

    def __call__(self, *arguments: Any) -> Any:
        """Run it.

        Raises:
            RuntimeError: the kept code of an entry raised something.
        """
        kept = self._kept
        words = self.words.of(arguments) if kept else None
        if kept is None or words is None:
            return self.dispatcher(*arguments)
        if kept(ctypes.addressof(words)):
            raise RuntimeError(f"{self.py_func.__qualname__} failed in compiled code")
        return self.words.read(words[0])

    @property
    def _numba_type_(self) -> Any:  # Numba asks any object for this that compiled code refers to
        return self.dispatcher._numba_type_

    def __getattr__(self, name: str) -> Any:
        """All else that a dispatcher has: `stats`, `inspect_llvm` and the like."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.dispatcher, name)


def compiled(function: Function) -> Function:
    """Compile a function for the real-time path: without the GIL, without raising on division, kept on disk."""
    return cast("Function", CompiledFunction(function))


def realtime(function: Function) -> Function:
    """Compile a function that the audio callback may call: as `compiled`, and what would allocate does not compile.

    Numba's run time (`_nrt`), which owns all memory that compiled code allocates, is left out.
    """
    return cast("Function", CompiledFunction(function, _nrt=False))


def realtime_sum(function: Function) -> Function:
    """Compile a function as `realtime` does, with additions in any order: a sum then uses vector instructions."""
    return cast("Function", CompiledFunction(function, _nrt=False, fastmath={"reassoc", "contract"}))


def entry(function: Function) -> Function:
    """Mark a compiled function that Python calls in every run, with a signature that says all its types."""
    cast("CompiledFunction", function).is_entry = True
    return function


class CompiledCallback:
    """Compiles a function that C calls, by its address.

    Args:
        body: takes and returns integers.
        arguments: C types, integers of `ctypes`.
        result: the same.
        is_kept: its code is kept whole, as that of an `entry`: for a function that a module of ours holds by the name
            `body` has.
    """

    def __init__(self, body: Callable[..., int], arguments: tuple[Any, ...], result: Any, is_kept: bool) -> None:
        self.body, self.arguments, self.result, self.is_kept = body, arguments, result, is_kept

    @cached_property
    def address(self) -> int:
        """Address of its machine code; compiled, or read from the disk, the first time."""
        kept = entry_address(self.body.__module__, self.body.__qualname__) if self.is_kept else None
        return kept or int(self.in_numba.address)

    @cached_property
    def in_numba(self) -> Any:
        """Numba's C callback."""
        return importlib.import_module(COMPILER).c_callback(self)
