"""Files that answer: a pipe or a device that has a file's name would let who reads it wait for ever."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading.

    Raises:
        OSError: it can't be opened, or is no regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # a pipe is opened at once, too
    number = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", os.fspath(path))
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def read_regular(path: Path, most_bytes: int = -1) -> bytes:
    """Content of a file, or its first bytes.

    Args:
        path: of the file.
        most_bytes: how much to read; -1: all of it.

    Raises:
        OSError: it can't be read, or is no regular file.
    """
    with open_regular(path) as file:
        return file.read(most_bytes)
