"""Types that Numba takes our primitives for: each has a stand-in among Numba's own objects."""

import importlib
from collections.abc import Callable
from typing import Any

from numba.core.registry import cpu_target
from numba.extending import intrinsic

from apollo_rt.compiled.primitives import Primitive

_STAND_INS: dict[int, Any] = {}
"""By identity: a primitive lives as long as the process."""


def implements(primitive: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say what a primitive compiles to, as Numba's `intrinsic` does."""

    def register(definition: Callable[..., Any]) -> Callable[..., Any]:
        _STAND_INS[id(primitive)] = intrinsic(definition)
        return definition

    return register


def stand_in(primitive: Any) -> Callable[..., Any]:
    """A function of its own for `type_callable` and `lower_builtin`, which say what a primitive compiles to."""

    def function(*_: Any) -> None:
        raise NotImplementedError

    function.__name__ = primitive.__name__  # errors of the compiler name it
    _STAND_INS[id(primitive)] = function
    return function


def stand_in_type(primitive: Primitive) -> Any:
    """Numba's type of what stands for a primitive."""
    if primitive.source and id(primitive) not in _STAND_INS:
        _STAND_INS[id(primitive)] = getattr(importlib.import_module(primitive.source), primitive.__name__)  # type: ignore[attr-defined]  # by update_wrapper
    typing_context = cpu_target.typing_context
    typing_context.refresh()
    return typing_context.resolve_value_type(_STAND_INS[id(primitive)])
