"""Numba compiles functions: the one module by which the compiler comes into the process, with all our primitives."""

import ctypes
from collections.abc import Callable, Mapping
from typing import Any

from numba import cfunc, njit, types

from apollo_rt.compiled import native_lowering, record_lowering, table_lowering
from apollo_rt.compiled.functions import CompiledCallback
from apollo_rt.compiled.numba_cache import kept_by_sources
from apollo_rt.compiled.primitive_types import stand_in_type as type_of

__all__ = ["c_callback", "c_type", "dispatcher", "native_lowering", "record_lowering", "table_lowering", "type_of"]

OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
"""Of every function; who builds kept code changes them."""


def dispatcher(function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Numba's dispatcher of a function, which compiles it for what it is called with."""
    with kept_by_sources(function):
        return njit(**OPTIONS | dict(options))(function)


def c_callback(callback: CompiledCallback) -> Any:
    """Numba's C callback, compiled as `realtime` functions are; its `address` is what a C library wants."""
    signature = c_type(callback.result)(*map(c_type, callback.arguments))
    with kept_by_sources(callback.body):
        return cfunc(signature, cache=True, error_model="numpy", _nrt=False)(callback.body)  # type: ignore[call-arg]  # as `realtime`


def c_type(kind: Any) -> Any:
    """Numba's type of a C integer."""
    is_signed = kind(-1).value < 0
    return getattr(types, f"{'' if is_signed else 'u'}int{8 * ctypes.sizeof(kind)}")
