"""Where compiled code is kept between starts, so that code of an older version is never found.

Numba compiles a function together with those it calls, but looks only at the function's own file to see whether what it
keeps is still right. Here each function has a folder named after the contents of its file and of all files of this
package that it imports, directly or not.
"""

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from numba import config

_PACKAGE = Path(__file__).parents[1]
_SETTINGS: Any = config  # numba makes its attributes at run time, from the environment
_IMPORT = re.compile(
    r"^\s*from apollo_rt([.\w]*) import ([\w ,]+|\([^)]*\))|^\s*import apollo_rt([.\w]+)", re.MULTILINE
)


@contextmanager
def kept_by_sources(function: Callable[..., Any]) -> Iterator[None]:
    """Functions that are decorated with `njit(cache=True)` inside go to the folder that belongs to `function`."""
    before = _SETTINGS.CACHE_DIR
    _SETTINGS.CACHE_DIR = str(_base(before) / sources_digest(Path(function.__code__.co_filename)))
    try:
        yield
    finally:
        _SETTINGS.CACHE_DIR = before


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
def _base(wish: str) -> Path:
    """The first folder that can be written to: the one wished for, beside the package, the user's, a temporary one."""
    wishes = [Path(wish)] if wish else []
    for folder in (*wishes, _PACKAGE / "__pycache__", _user_cache() / "apollo-rt"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="apollo-rt-"))


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
