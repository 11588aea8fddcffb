"""Numba's own cache, where functions are compiled one by one: in the folders that `code_cache` allows.

Numba compiles a function together with those it calls, but looks only at the function's own file to see whether what it
keeps is still right. Here each function has a folder named after the contents of its file and of all files of this
package that it imports, directly or not. What can't be read is dropped and compiled anew.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from numba import config
from numba.core import ccallback as _ccallback
from numba.core import dispatcher as _dispatcher
from numba.core.caching import FunctionCache, NullCache

from apollo_rt.compiled import code_cache
from apollo_rt.compiled.code_cache import sources_digest, warn

_SETTINGS: Any = config  # numba makes its attributes at run time, from the environment
_USERS: tuple[Any, ...] = _dispatcher, _ccallback
"""Numba's modules that keep code: functions that Python calls, and those that C does."""


class _KeptCode(FunctionCache):
    """Numba's own, but what can't be read or written costs time and nothing else."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled code for a signature; None where there is none that can be used."""
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception as error:  # a cut file raises whatever the cut made of it
            warn(
                f"{self.cache_path}: the compiled code kept there is damaged ({type(error).__name__}); it is dropped "
                "and compiled anew"
            )
            shutil.rmtree(self.cache_path, ignore_errors=True)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the compiled code for a signature, where there is room."""
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        except OSError as error:
            _warn_not_kept(Path(self.cache_path).parents[1], str(error.strerror))


@contextmanager
def kept_by_sources(function: Callable[..., Any]) -> Iterator[None]:
    """Functions that are decorated with `njit(cache=True)` inside go to the folder that belongs to `function`."""
    before = _SETTINGS.CACHE_DIR, _SETTINGS.CACHE_LOCATOR_CLASSES
    base = code_cache.base_folder(_SETTINGS.CACHE_DIR)
    if base:
        _SETTINGS.CACHE_DIR = str(base / sources_digest(Path(function.__code__.co_filename)))
    _SETTINGS.CACHE_LOCATOR_CLASSES = "UserProvidedCacheLocator"  # else numba looks for other places by itself
    for module in _USERS:
        module.FunctionCache = _kept if base else _nothing_kept
    try:
        yield
    finally:
        _SETTINGS.CACHE_DIR, _SETTINGS.CACHE_LOCATOR_CLASSES = before
        for module in _USERS:
            module.FunctionCache = FunctionCache


def _kept(function: Callable[..., Any]) -> Any:
    try:
        return _KeptCode(function)  # type: ignore[no-untyped-call]
    except RuntimeError:  # numba tries whether the folder can be written to
        _warn_not_kept(Path(_SETTINGS.CACHE_DIR).parent, "not writable")
        return NullCache()


def _nothing_kept(_: Callable[..., Any]) -> Any:
    return NullCache()


@cache
def _warn_not_kept(base: Path, reason: str) -> None:
    """Say it once, not for each function."""
    warn(f"can't keep compiled code in {base} ({reason}); the next start compiles anew")
