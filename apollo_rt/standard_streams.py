"""Standard streams are ends of a run: `-` is stdin where something is read, stdout where something is written.

Where sound leaves through stdout, every word goes to stderr, those of libraries too:

    before      stdout -> the reader of the pipe           stderr -> the terminal
    meanwhile   stdout -> the terminal, as stderr          a descriptor of its own -> the reader of the pipe
"""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DASH = "-"
STDIN, STDOUT = Path("/dev/stdin"), Path("/dev/stdout")
"""Stand for the streams wherever a path is asked for; where a system has no such files, too."""

_STDIN, _STDOUT, _STDERR = range(3)
_kept: list[int] = []
"""The descriptor of the real stdout, while words are kept away from it."""


def input_path(word: str | os.PathLike[str]) -> Path:
    """Path of an input that the user named; `-` is stdin, and a file of that name is `./-`."""
    return STDIN if os.fspath(word) == DASH else Path(word)


def output_path(word: str | os.PathLike[str]) -> Path:
    """Path of an output that the user named; `-` is stdout, and a file of that name is `./-`."""
    return STDOUT if os.fspath(word) == DASH else Path(word)


def is_pipe(path: str | os.PathLike[str]) -> bool:
    """Whether what is written there leaves at once and has no name to take: stdout, or a named pipe."""
    path = Path(path)
    try:
        return path == STDOUT or stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def is_fed_by_others(path: str | os.PathLike[str]) -> bool:
    """Whether what is read there comes as another program writes it: from stdin, or a named pipe."""
    path = Path(path)
    try:
        return path == STDIN or stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def open_stdin() -> int:
    """A descriptor of its own that reads stdin's bytes as they are.

    Raises:
        OSError: it is closed.
    """
    return _binary(os.dup(_STDIN))


def open_stdout() -> int:
    """A descriptor of its own that writes to stdout, whatever the words are led to.

    Raises:
        OSError: it is closed.
    """
    return _binary(os.dup(_kept[-1] if _kept else _STDOUT))


@contextmanager
def words_on_stderr(is_wanted: bool = True) -> Iterator[None]:
    """Lead what is said on stdout to stderr, by whichever library, in a `with` block.

    Args:
        is_wanted: else nothing is done.
    """
    if not is_wanted:
        yield
        return
    sys.stdout.flush()
    _kept.append(os.dup(_STDOUT))
    os.dup2(_STDERR, _STDOUT)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(_kept[-1], _STDOUT)
        os.close(_kept.pop())


def _binary(descriptor: int) -> int:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(descriptor, os.O_BINARY)
    return descriptor
