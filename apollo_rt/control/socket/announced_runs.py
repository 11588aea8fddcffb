"""Announced runs: a run with a control socket leaves port and token in a file that only its user can read.

So `apollo-rt ctl` and a shortcut of the desktop find it without either. A file of a process that has gone is removed by
who looks next.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from apollo_rt.errors import ControlError
from apollo_rt.own_folders import own_folder
from apollo_rt.regular_file import read_regular

_LONGEST_BYTES = 4096


@dataclass(frozen=True)
class AnnouncedRun:
    """A run that may be controlled.

    Attributes:
        port: of its control socket, on loopback.
        token: that it wants to see.
    """

    port: int
    token: str


def runs_folder() -> Path:
    """Folder of the files, one for each process; it needs not exist."""
    return own_folder("cache") / "runs"


@contextmanager
def announced(run: AnnouncedRun) -> Iterator[None]:
    """Announce a run of this process until the end of the `with` block.

    Raises:
        ControlError: the file can't be written.
    """
    path = runs_folder() / f"{os.getpid()}-{run.port}.json"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            path.unlink()  # of a process that had our number
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"port": run.port, "token": run.token}, file)
    except OSError as error:
        raise ControlError(f"{path}: the run can't be announced: {error.strerror}") from None
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def announced_runs() -> list[AnnouncedRun]:
    """Find the runs of processes that are there, the newest first."""
    found = []
    for path in runs_folder().glob("*.json"):
        number = path.stem.partition("-")[0]
        if number.isdecimal() and not _is_there(int(number)):
            with suppress(OSError):
                path.unlink()
            continue
        with suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads(read_regular(path, _LONGEST_BYTES))
            found.append((path.stat().st_mtime, AnnouncedRun(int(said["port"]), str(said["token"]))))
    return [run for _, run in sorted(found, key=lambda dated: -dated[0])]


def _is_there(number: int) -> bool:
    """Whether a process of that number runs; on Windows, where asking would end it, it may."""
    if os.name != "posix":
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # somebody else's: not the one that wrote the file
        return False
    return True
