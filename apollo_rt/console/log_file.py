"""A log file keeps what a program says, each line with its time; it is turned over before it fills a disk."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from apollo_rt.console.say import copied_to
from apollo_rt.errors import ApolloError
from apollo_rt.printable import printable

_LONGEST_BYTES = 10_000_000
"""Some five days of a line every five seconds; the file before it is kept, with `.1` behind its name."""


@contextmanager
def log_file(path: Path) -> Iterator[Callable[[str], None]]:
    """Write every line that is said into a file too, behind what it holds already.

    Args:
        path: its folder exists.

    Yields:
        To be called with a line that only the file gets.

    Raises:
        ApolloError: it can't be written.
    """
    try:
        handler = RotatingFileHandler(path, maxBytes=_LONGEST_BYTES, backupCount=1, encoding="utf-8")
    except OSError as error:
        raise ApolloError(f"--log-file {path}: can't be written: {error.strerror}") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.Logger("said")  # belongs to no tree
    log.addHandler(handler)
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk ends no music

    def write(line: str) -> None:
        log.info("%s", printable(line))

    try:
        with copied_to(write):
            yield write
    finally:
        handler.close()
