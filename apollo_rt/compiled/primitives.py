"""Primitives: what compiled code can do and Python can't say, by names that cost no compiler.

A module names a primitive, and only where a function that uses it is compiled does Numba come into the process, with
what the `..._lowering` modules make of it. A run whose code is kept never needs them.
"""

import importlib
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])

COMPILER = "apollo_rt.compiled.numba_functions"
"""A name, and not an import: Numba and LLVM are 60 MB, and a third of a second."""


class Primitive:
    """Stands for an instruction in compiled code; in Python it does what its function does.

    Args:
        function: with the primitive's name and description.
        source: module of another package that has the primitive itself, by the same name; empty for ours.
    """

    def __init__(self, function: Callable[..., Any], source: str = "") -> None:
        update_wrapper(self, function)
        self.source = source
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        """Do it from Python, where that can be."""
        return self._function(*arguments)

    @property
    def _numba_type_(self) -> Any:  # Numba asks any object for this that compiled code refers to
        return importlib.import_module(COMPILER).type_of(self)


def primitive(function: Function) -> Function:
    """Name a primitive of ours, see `primitive_types.implements`."""
    return cast("Function", Primitive(function))


def primitive_of(source: str) -> Callable[[Function], Function]:
    """Name a primitive of another package, whose module `source` is imported where it is compiled."""

    def name(function: Function) -> Function:
        return cast("Function", Primitive(function, source))

    return name
