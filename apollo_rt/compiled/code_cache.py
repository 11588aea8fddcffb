"""A cache keeps compiled code between starts; code of an older version is never found in it.

What lies there is run, so a folder is taken only where nobody else can have put anything. What is kept is named after
the contents of the sources that it was made of.
"""

import hashlib
import os
import re
import stat
import sys
import warnings
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_IMPORT = re.compile(
    r"^\s*from apollo_rt([.\w]*) import ([\w ,]+|\([^)]*\))|^\s*import apollo_rt([.\w]+)", re.MULTILINE
)


def warn(what: str) -> None:
    """Warn of what costs time and nothing else."""
    warnings.warn(what, RuntimeWarning, stacklevel=3)


@cache
def sources_digest(source: Path) -> str:
    """Twenty hexadecimal digits that change with a source file and everything of this package that it needs."""
    digest = hashlib.sha256()
    ours = set(_PACKAGE.glob("compiled/*.py"))  # what primitives compile to is imported late
    for path in sorted(_with_imports(source) | ours):
        digest.update(path.name.encode() + b"\0" + _content_digest(path))
    return digest.hexdigest()[:20]


@cache
def _content_digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


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
def base_folder(wish: str) -> Path | None:
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
    warn(
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
