"""A cache keeps compiled code between starts; code of an older version is never found in it.

Numba compiles a function together with those it calls, but looks only at the function's own file to see whether what it
keeps is still right. Here each function has a folder named after the contents of its file and of all files of this
package that it imports, directly or not.

What lies there is run, so a folder is taken only where nobody else can have put anything; and what can't be read, a
file that a full disk or a cut of the power left empty, is dropped and compiled anew.
"""

import hashlib
import os
import re
import shutil
import stat
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from numba import config
from numba.core import ccallback as _ccallback
from numba.core import dispatcher as _dispatcher
from numba.core.caching import FunctionCache, NullCache

_PACKAGE = Path(__file__).parents[1]
_SETTINGS: Any = config  # numba makes its attributes at run time, from the environment
_USERS: tuple[Any, ...] = _dispatcher, _ccallback
"""Numba's modules that keep code: functions that Python calls, and those that C does."""
_IMPORT = re.compile(
    r"^\s*from apollo_rt([.\w]*) import ([\w ,]+|\([^)]*\))|^\s*import apollo_rt([.\w]+)", re.MULTILINE
)


class _KeptCode(FunctionCache):
    """Numba's own, but what can't be read or written costs time and nothing else."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled code for a signature; None where there is none that can be used."""
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception as error:  # a cut file raises whatever the cut made of it
            _warn(
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
    base = _base(_SETTINGS.CACHE_DIR)
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
    _warn(f"can't keep compiled code in {base} ({reason}); the next start compiles anew")


def _warn(what: str) -> None:
    warnings.warn(what, RuntimeWarning, stacklevel=3)


@cache
def sources_digest(source: Path) -> str:
    """Twenty hexadecimal digits that change with a source file and everything of this package that it needs."""
    digest = hashlib.sha256()
    for path in sorted(_with_imports(source)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]


def _with_imports(source: Path) -> set[Path]:
    found, waiting = set(), {source}
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= _imports(path) - found
    return found


@cache
def _imports(source: Path) -> frozenset[Path]:
    matches = _IMPORT.findall(source.read_text(encoding="utf-8")) if source.is_file() else []
    names = {
        name
        for module, members, direct in matches
        for name in (module, direct, *(f"{module}.{member}" for member in re.findall(r"\w+", members)))
    }
    paths = (_PACKAGE.joinpath(*name.split(".")).with_suffix(".py") for name in names)
    return frozenset(path for path in paths if path.is_file())


@cache
def _base(wish: str) -> Path | None:
    """The first folder that will do: the one wished for, beside the package, the user's. None: nothing is kept."""
    wishes = [Path(wish)] if wish else []
    reasons = []
    for folder in (*wishes, _PACKAGE / "__pycache__", _user_cache()):
        if folder is None:
            reasons.append("there is no home folder")
        elif reason := _unfit(folder):
            reasons.append(f"{folder} {reason}")
        else:
            return folder
    _warn(
        f"no folder for compiled code ({', '.join(reasons)}), so each start compiles for a minute; name one of your "
        "own with NUMBA_CACHE_DIR"
    )
    return None


def _unfit(folder: Path) -> str:
    """Reason why compiled code can't be kept in a folder, which is made if it is missing; empty if it can."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        return f"can't be made: {error.strerror}"
    if not os.access(folder, os.W_OK):
        return "can't be written to"
    if hasattr(os, "geteuid"):
        if status.st_uid != os.geteuid():
            return "belongs to another user"
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return "can be written to by other users"
    return ""


def _user_cache() -> Path | None:
    """The folder of the user's caches that is ours; None where the user has no home."""
    try:
        if sys.platform == "win32":
            caches = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
        elif sys.platform == "darwin":
            caches = Path.home() / "Library/Caches"
        else:
            caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no HOME, and no such user
        return None
    return caches / "apollo-rt"
