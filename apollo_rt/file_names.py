"""Names in a folder: what has one, how a finished file takes it, and that the disk keeps it."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
_NOT_SYNCED_THERE = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system answers that has no such thing."""


def refuse_irregular(target: Path) -> None:
    """Refuse what can't be replaced by a file.

    Raises:
        OSError: a folder, a named pipe, a device or a socket has the name; `strerror` says which.
    """
    regular_at(Path(os.path.realpath(target)))


def regular_at(path: Path, folder_allowed: bool = False) -> os.stat_result | None:
    """Status of what is there, None for nothing.

    Raises:
        OSError: it is no regular file, nor a folder where that is allowed.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISREG(found.st_mode) or (folder_allowed and stat.S_ISDIR(found.st_mode)):
        return found
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
    raise OSError(errno.EINVAL, f"is {kind}, not a regular file", os.fspath(path))


def take_over(descriptor: int, before: os.stat_result) -> None:
    """Owner, where we may, and mode of the file that will be replaced."""
    if hasattr(os, "fchown"):
        with suppress(OSError):
            os.fchown(descriptor, before.st_uid, before.st_gid)
        with suppress(OSError):  # a file system without modes
            os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def take_name(part: Path, final: Path, replace: bool) -> None:
    """Give a finished file its name.

    Args:
        part: the file, in the same folder.
        final: the name.
        replace: a file that has it may go.

    Raises:
        OSError: it can't be had; `FileExistsError` where a file has it and stays.
    """
    if replace:
        regular_at(final)
        part.replace(final)
    elif os.name == "nt":
        part.rename(final)  # fails there where the name exists
    else:
        _link(part, final)
    sync(final.parent)


def _link(part: Path, final: Path) -> None:
    """Take a name that must be free: by a second link, else by an empty file that only one can create."""
    try:
        final.hardlink_to(part)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(final, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        part.replace(final)
    else:
        part.unlink()


def sync(path: Path) -> None:
    """Flush what was written of a file, or the names in a folder.

    Raises:
        OSError: the disk refuses.
    """
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SYNCED_THERE:
            raise
    finally:
        os.close(descriptor)
