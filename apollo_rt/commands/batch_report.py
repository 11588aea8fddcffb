"""`restore --report FILE`: what became of each file, for programs; a line of JSON as soon as it is known.

```
{"source": "a.mp3", "target": "out/a.flac", "outcome": "restored", "seconds": 215.4, "elapsed": 4.3, "warnings": []}
{"source": "b.mp3", "target": "out/b.flac", "outcome": "left"}
{"source": "c.mp3", "target": "out/c.flac", "outcome": "failed", "error": "c.mp3: the file is empty"}
{"source": "cover.jpg", "outcome": "no music", "error": "no music by its name"}
```
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from apollo_rt.errors import ApolloError
from apollo_rt.existing import Existing, is_there, refuse_existing
from apollo_rt.files.jobs import Outcome
from apollo_rt.files.plan import LeftOut


class BatchReport:
    r"""Writes the lines, each whole before the next, so that a killed run has told what it did.

    Names that are no UTF-8 are written as JSON's `\udcXX`, as Python reads them.

    Args:
        path: None: nothing is written.
        existing: a report that is there is refused, replaced, or gone on with: `skip` goes on where a run stopped.
        echo: is given each line, too; None: nobody is.

    Attributes:
        error: why its end is missing, once it can't be written; empty while all is well.

    Raises:
        ExistingFileError: it is there.
        ApolloError: it can't be written.
    """

    def __init__(
        self, path: Path | None, existing: Existing = "error", echo: Callable[[str], None] | None = None
    ) -> None:
        self.error = ""
        self._path, self._echo = path, echo
        self._file: IO[str] | None = None
        if path is None:
            return
        goes_on = existing == "skip"
        refuse_existing(path, existing != "error", "--overwrite replaces it, --skip-existing goes on with it")
        try:
            begins_anew = not (goes_on and is_there(path) and _is_cut(path))
            self._file = path.open("a" if goes_on else "w", encoding="ascii")
        except OSError as error:
            raise ApolloError(self._failed(error)) from None
        if not begins_anew:
            self._write_text("\n")

    def add(self, outcome: Outcome) -> None:
        """Tell what became of a file."""
        line: dict[str, Any] = {"source": str(outcome.job.source), "target": str(outcome.job.target)}
        if report := outcome.report:
            line |= {"outcome": "restored", "seconds": round(report.duration_s, 3)}
            line |= {"elapsed": round(report.elapsed_s, 3), "warnings": list(report.warnings)}
        else:
            line |= {"outcome": "left"} if outcome.is_left else {"outcome": "failed", "error": outcome.error}
        self._write_line(line)

    def add_left_out(self, thing: LeftOut) -> None:
        """Tell of something that is not restored."""
        outcome = "failed" if thing.is_fault else "no music"
        line = {"source": str(thing.path), "outcome": outcome, "error": thing.reason}
        self._write_line(line)

    def __enter__(self) -> Self:
        """Close the file at the end of a `with` block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Close the file."""
        if self._file:
            with suppress(OSError):  # said already
                self._file.close()

    def _write_line(self, line: dict[str, Any]) -> None:
        text = json.dumps(line)
        if self._echo:
            self._echo(text)
        self._write_text(text + "\n")

    def _write_text(self, text: str) -> None:
        if self._file is None or self.error:
            return
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:  # a full disk, say: the music is worth more than what is told of it
            self.error = self._failed(error)

    def _failed(self, error: OSError) -> str:
        return f"{self._path}: can't be written: {error.strerror}"


def _is_cut(path: Path) -> bool:
    """Whether the last line has no end: a machine that went off."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
