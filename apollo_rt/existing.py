"""Existing files are not replaced without being asked, whichever command writes: here it is decided."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from apollo_rt.errors import ExistingFileError
from apollo_rt.standard_streams import STDOUT

Existing = Literal["error", "overwrite", "skip"]
"""What becomes of a file that has the name of one to be written: it is refused, replaced, or left and counted."""


def is_there(target: str | os.PathLike[str]) -> bool:
    """Whether a regular file has that name, through links too; pipes and devices are for the writer to refuse."""
    return Path(target) != STDOUT and os.path.isfile(target)  # noqa: PTH113  # `Path.is_file` raises where a folder can't be looked into


def refuse_existing(
    target: str | os.PathLike[str], overwrite: bool = False, ways: str = "--overwrite replaces it"
) -> None:
    """Refuse to replace what is there; whoever writes asks before any work.

    Args:
        target: the file to write.
        overwrite: the user wants it replaced.
        ways: what the user can do about it.

    Raises:
        ExistingFileError: it is there, and is not to be replaced.
    """
    if not overwrite and is_there(target):
        raise ExistingFileError(f"{os.fspath(target)}: is there already; {ways}")


def refuse_named_twice(target: str | os.PathLike[str], others: Iterable[str | os.PathLike[str]], what: str) -> None:
    """Refuse to write what is read, or is written too, whatever the user wants replaced.

    Args:
        target: the file to write.
        others: inputs, and other files to write.
        what: the target for people: `the report`.

    Raises:
        ExistingFileError: one of them leads to the same file, through links too.
    """
    place = os.path.realpath(target)
    for other in others:
        if os.path.realpath(other) == place or _is_same(target, other):
            raise ExistingFileError(
                f"{os.fspath(target)}: can't be {what}: it is a file that this run reads or writes; choose another name"
            )


def _is_same(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121  # takes names as they are
    except (OSError, ValueError):  # one isn't there
        return False
