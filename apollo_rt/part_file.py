"""Hidden files beside their targets, until they are complete: how they are called, and whose they are.

    .song.3f9a1c2e.flac.part    of song.flac

A part carries a lock while its writer lives, so that those which a killed run left can be told.
"""

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from types import ModuleType

try:
    import fcntl

    _locks: ModuleType | None = fcntl
except ImportError:  # Windows
    _locks = None

_LONGEST_STEM = 60
"""Bytes of the target's name in that of its part: enough to tell whose it is, and never beyond the 255 of a name."""

_LONGEST_SUFFIX = 12
_PART_NAME = re.compile(r"\..*\.[0-9a-f]{8}(\.[^.]+)?\.part", re.DOTALL)


def part_of(target: Path) -> Path:
    """A fresh hidden name beside a target, short whatever the target's is; ends with the target's suffix and .part."""
    suffix = target.suffix if len(os.fsencode(target.suffix)) <= _LONGEST_SUFFIX else ""
    return target.with_name(f".{short_stem(target.stem)}.{secrets.token_hex(4)}{suffix}.part")


def is_part(name: str) -> bool:
    """Whether a file is called as a part is."""
    return _PART_NAME.fullmatch(name) is not None


def leftovers(folder: Path) -> list[Path]:
    """Find the parts in a folder that no living writer holds: those of runs that were killed."""
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if is_part(path.name) and not _is_held(path))
    return []


def short_stem(stem: str) -> str:
    """The beginning of a name that fits into that of a part."""
    stem = stem[:_LONGEST_STEM]
    while len(os.fsencode(stem)) > _LONGEST_STEM:
        stem = stem[:-1]
    return stem


def lock(descriptor: int) -> None:
    """Hold an open part until it is closed, by us or by our death."""
    if _locks:
        with suppress(OSError):  # a file system without locks: leftovers can't be told there, and aren't named
            _locks.flock(descriptor, _locks.LOCK_EX | _locks.LOCK_NB)


def _is_held(path: Path) -> bool:
    """Whether a writer that lives has a part; who can't tell says so too."""
    if not _locks or not path.is_file():
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return True
    try:
        _locks.flock(descriptor, _locks.LOCK_SH | _locks.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
