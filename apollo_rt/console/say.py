"""The one door for lines on stdout and stderr: safe to show, in whatever the terminal can show, read or not."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from apollo_rt.printable import printable

_COPIES: list[Callable[[str], None]] = []
"""Get every line that is said, too."""


@contextmanager
def copied_to(write: Callable[[str], None]) -> Iterator[None]:
    """Hand every line that is said to somebody else too, until the end of the `with` block."""
    _COPIES.append(write)
    try:
        yield
    finally:
        _COPIES.remove(write)


def say(*lines: object, err: bool = False) -> None:
    r"""Print lines.

    A reader that has gone (`| head -1`), a full disk behind `>` and a terminal that knows few characters end nothing:
    what is worked on matters more than what is said of it.

    Args:
        lines: each becomes one line, control characters of whatever it names included (as `\x1b`).
        err: to stderr.
    """
    stream = sys.stderr if err else sys.stdout
    texts = [printable(line) for line in lines]
    for write in _COPIES:
        for text in texts:
            write(text)
    for text in texts:
        try:
            click.echo(text, err=err)
        except UnicodeEncodeError:
            click.echo(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding), err=err)
        except (OSError, ValueError):  # ValueError: the stream is closed
            _unread(err)
            return


def open_closed_streams() -> None:
    """Lead streams that the program was started without (`2>&-`) to nowhere, before any file is opened.

    The next file that is opened would take a closed one's number, and what libraries say on stderr would be written
    into it: into somebody's music.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()


def _unread(err: bool) -> None:
    """Lead a stream that nobody reads to nowhere, or Python fails on what is still in its buffer when it ends."""
    nowhere = _nowhere()
    stream = sys.stderr if err else sys.stdout
    try:
        os.dup2(nowhere.fileno(), stream.fileno())
    except (OSError, ValueError):  # a stream without a file, as in a test
        if err:
            sys.stderr = nowhere
        else:
            sys.stdout = nowhere


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")  # closed when the program ends
