"""Records what comes in and what is heard, aligned to the sample, beside the audio path, which doesn't know of it.

    rings of the callback (`tap`) -> reading thread -> queue in memory -> writing thread
        -> DIR/20261125-104300-dry.flac, DIR/20261125-104300-wet.flac

Sample k of both files is one moment: dry is the input that the wet sample is made of. A file has its name when it is
complete; after an hour the next pair begins, without a gap. What a disk may do is `files.recording`'s: the music goes
on, and so does the recording when there is room again.
"""

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apollo_rt.errors import ApolloError
from apollo_rt.files.recording import Names, RecordingWriter
from apollo_rt.files.tags import Tags
from apollo_rt.live.monitoring.tap import Tap
from apollo_rt.system.guarded_thread import GuardedThread

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]
Titles = Callable[[], list[tuple[int, str]]]
"""Gives titles that were not told yet, with the output sample at which each begins."""

_PART_LENGTH = 8192
_POLL_S = 0.1
_MOST_PARTS = 160
"""In memory, 30 s: for so long a disk may make the writer wait."""
_LONGEST_S = 3600
_LONGEST_STOP_S = 10.0
KINDS = ("dry", "wet")
_SHORTEST_S = 5.0
"""A title that is shorter gets no files of its own: what a station sends must not fill a folder with names."""

_LONGEST_NAME = 80


class Recorder:
    """Records from `start` to `stop`.

    Args:
        folder: exists.
        tap: of the stream that is recorded.
        delay: D in samples: the output that is made of the first input sample is the first that is recorded.
        sample_rate: Hz.
        longest: samples of one pair of files; None: an hour.
        titles: each begins a pair of its own, with its title as tag and in its name; None: there are none.
    """

    def __init__(
        self,
        folder: Path,
        tap: Tap,
        delay: int,
        sample_rate: int,
        longest: int | None = None,
        titles: Titles | None = None,
    ) -> None:
        """Nothing is recorded before `start`."""
        self._folder, self._tap = folder, tap
        names = _timed(folder, lambda: self._title)
        self._title = ""
        self._recording = RecordingWriter(names, sample_rate, longest or _LONGEST_S * sample_rate)
        self._position = self._begun_at = delay
        self._titles, self._shortest = titles, round(_SHORTEST_S * sample_rate)
        self._next_titles: list[tuple[int, str]] = []
        self._has_titles = False
        self._n_missed = 0
        self._parts: queue.Queue[Pair | str | None] = queue.Queue(_MOST_PARTS)
        self._messages: list[str] = []
        self._stopping = threading.Event()
        self._has_ended = False
        self._reader = GuardedThread("recording", self._read)
        self._writer = GuardedThread("recording to disk", self._write)

    @property
    def written(self) -> list[Path]:
        """The files that are complete."""
        return self._recording.written

    def start(self) -> None:
        """Begin; the engine may start later."""
        self._reader.start()
        self._writer.start()

    def stop(self) -> None:
        """Record what has been heard to its end and complete the files; the engine has stopped."""
        self._stopping.set()
        for thread in (self._reader, self._writer):
            thread.join(_LONGEST_STOP_S)
        if self._reader.is_alive or self._writer.is_alive:
            self._has_ended = True
            self._messages.append(f"{self._folder}: the disk does not answer; the end of the recording is lost")

    def poll(self) -> list[str]:
        """Messages for the user, one line each; told once."""
        told, self._messages = self._messages + self._recording.take_messages(), []
        n_missed, self._n_missed = self._n_missed, 0
        if n_missed:
            told.append(f"{self._folder}: {n_missed} samples could not be recorded in time; there is silence instead")
        for thread in (self._reader, self._writer):
            if thread.error:
                told.append(f"{self._folder}: the recording has ended: {thread.error}")
                thread.error, self._has_ended = None, True
        return told

    def _read(self) -> None:
        try:
            while not self._has_ended:
                is_last = self._stopping.is_set()  # asked before reading: what was heard before the stop is recorded
                while self._tap.end - self._position >= (1 if is_last else _PART_LENGTH) and not self._has_ended:
                    self._take_part(min(_PART_LENGTH, self._tap.end - self._position))
                if is_last:
                    return
                self._stopping.wait(_POLL_S)
        finally:
            self._put(None)

    def _take_part(self, length: int) -> None:
        """Record so many samples, or those in front of the next title."""
        self._next_titles += self._titles() if self._titles else []
        while self._next_titles and self._next_titles[0][0] <= self._position:
            title = self._next_titles.pop(0)[1]
            if self._position - self._begun_at >= self._shortest or not self._has_titles:
                self._begun_at, self._has_titles = self._position, True
                self._put(title)
        if self._next_titles:
            length = min(length, self._next_titles[0][0] - self._position)
        before, after = np.zeros((2, length, 2), np.float32)
        if not self._tap.read(self._position, before, after):  # overwritten: silence keeps the time right
            before[:], after[:] = 0.0, 0.0
            self._n_missed += length
        self._position += length
        self._put((before, after))

    def _put(self, part: Pair | str | None) -> None:
        while not self._has_ended:
            with suppress(queue.Full):  # the disk is slow
                self._parts.put(part, timeout=_POLL_S)
                return

    def _begin_title(self, title: str) -> None:
        self._title = title
        self._recording.begin_next(_tags_of(title))

    def _write(self) -> None:
        try:
            while (part := self._parts.get()) is not None:
                if isinstance(part, str):
                    self._begin_title(part)
                else:
                    self._recording.write(*part)
            self._recording.commit()
            self._messages += self._recording.warnings
        except (ApolloError, OSError) as error:
            self._messages.append(f"{error}; the recording has ended, the music goes on")
        finally:
            self._has_ended = True
            self._recording.abort()


def _tags_of(title: str) -> Tags:
    """Tags of a title as radios say it: artist and title, where it has both."""
    artist, dash, name = title.partition(" - ")
    return Tags({"artist": artist.strip(), "title": name.strip()} if dash else {"title": title})


def _timed(folder: Path, title: Callable[[], str]) -> Names:
    """Names of pairs by the time they begin at, and their title."""

    def names() -> Iterator[tuple[Path, ...]]:
        words = re.sub(r"[^\w ,.&'()-]+", "_", title())[:_LONGEST_NAME].strip(" .")
        stamp = time.strftime("%Y%m%d-%H%M%S") + (f" {words}" if words else "")
        for stem in (stamp, *(f"{stamp}-{number}" for number in range(2, 10_000))):
            yield tuple(folder / f"{stem}-{kind}.flac" for kind in KINDS)

    return names
