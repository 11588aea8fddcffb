"""The terminal while a screen is drawn on it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def size_of_the_moment() -> Iterator[None]:
    """Follow the window: Textual believes `COLUMNS` and `LINES`, the size at which a shell exported them."""
    former = {name: os.environ.pop(name) for name in ("COLUMNS", "LINES") if name in os.environ and _knows_its_size()}
    try:
        yield
    finally:
        os.environ.update(former)


def _knows_its_size() -> bool:
    """Whether the terminal itself tells it."""
    try:
        return sys.__stdout__ is not None and 0 not in os.get_terminal_size(sys.__stdout__.fileno())
    except (ValueError, OSError):
        return False


@contextmanager
def terminal_to_ourselves() -> Iterator[None]:
    """Keep C libraries from the screen: Textual draws on stderr, where ALSA also reports every underrun."""
    if sys.__stderr__ is None:
        yield
        return
    sys.__stderr__.flush()
    before, nowhere = sys.__stderr__, os.open(os.devnull, os.O_WRONLY)
    screen = os.fdopen(os.dup(before.fileno()), "w", encoding=before.encoding)
    os.dup2(nowhere, before.fileno())
    sys.__stderr__ = screen  # type: ignore[misc]  # this is where Textual looks for its terminal
    try:
        yield
    finally:
        sys.__stderr__ = before  # type: ignore[misc]
        screen.flush()
        os.dup2(screen.fileno(), before.fileno())
        screen.close()
        os.close(nowhere)
