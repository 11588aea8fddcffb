"""Progress of something long: a bar by rich on a terminal, else a line when it begins to take long."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from apollo_rt.console.say import say
from apollo_rt.printable import printable

Report = Callable[[str, float, float | None], None]
"""Called with (what, done, total); the total is None where it isn't known."""

_PATIENCE_S = 1.5


@contextmanager
def progress_bar() -> Iterator[Report]:
    """Show on stderr how something goes on; the bar is gone at the end, as what counts is the result.

    Yields:
        What to call with the state of things.
    """
    if not sys.stderr.isatty():
        with _Lines() as lines:
            yield lines.report
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    console, on_terminal = Console(stderr=True), sys.stdout.isatty()
    with Progress(*columns, console=console, transient=True, redirect_stdout=on_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=printable(what), completed=done, total=total)


class _Lines:
    """Says what goes on, each thing once, from when the user might begin to wonder."""

    def __init__(self) -> None:
        self._what = self._said = ""
        self._impatient_s = time.monotonic() + _PATIENCE_S
        self._timer = threading.Timer(_PATIENCE_S, self._say)

    def report(self, what: str, _done: float, _total: float | None) -> None:
        self._what = what
        if time.monotonic() >= self._impatient_s:
            self._say()

    def __enter__(self) -> "_Lines":
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _say(self) -> None:
        what = self._what
        if what != self._said:
            self._said = what
            say(what, err=True)
