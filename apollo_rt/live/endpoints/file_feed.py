"""Threads between files and the queues of the audio path: they decode ahead, write behind, and may be late."""

import threading
import time
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from apollo_rt.errors import AudioFileError
from apollo_rt.live.endpoints.live_source import LiveSource
from apollo_rt.live.realtime.ring import UNKNOWN, Ring, end_of, mark_end, n_queued, put, take
from apollo_rt.system.guarded_thread import GuardedThread

Samples = NDArray[np.float32]
"""`(samples, 2)`, full scale 1.0."""

_PART_LENGTH = 4096
_POLL_S = 0.002
_LISTEN_S = 0.01
"""Between two polls of a live source, which keeps ten times as much in the queue: each poll takes Python's time."""

_PREFILL_S = 2.0
"""How long the start waits for a source: a file takes no time; what a pipe has not brought by then may never come."""

_READING_S, _WRITING_S = 5.0, 30.0
"""How long the end waits for a file: what is still to be read is not wanted, what is to be written is."""


class Source(Protocol):
    """A source of samples, `session.opened_source.AsItComes` for one."""

    def read(self, n_samples: int) -> Samples:
        """The next samples, `(samples, 2)`: as many as asked for, or those that are there; none only at the end."""


@runtime_checkable
class WaitingSource(Protocol):
    """A source that may wait for somebody else, as a pipe does, has this beside the rest."""

    def interrupt(self) -> None:
        """Let a read that waits end now, from another thread; then the source is at its end."""


@runtime_checkable
class WaitingSink(Protocol):
    """A sink that may wait for somebody else, as a pipe does, has this beside the rest."""

    def hurry(self) -> None:
        """Wait no longer than a moment from now on, whatever is lost by it; from another thread."""


class Sink(Protocol):
    """A sink of samples, `audio_writer.AudioWriter` for one."""

    def write(self, samples: Samples) -> None:
        """Append `(samples, 2)`."""

    def commit(self) -> None:
        """Everything is written."""

    def abort(self) -> None:
        """Throw away what was written."""


class Silence:
    """A source of so many samples.

    Args:
        n_samples: 0 or more.
    """

    def __init__(self, n_samples: int) -> None:
        """All of it is still to be read."""
        self._n_left = n_samples

    def read(self, n_samples: int) -> Samples:
        """The next samples, `(samples, 2)`."""
        n_read = min(n_samples, self._n_left)
        self._n_left -= n_read
        return np.zeros((n_read, 2), np.float32)


class Nowhere:
    """A sink that keeps nothing."""

    def write(self, samples: Samples) -> None:
        """Drop `(samples, 2)`."""

    def commit(self) -> None:
        """Nothing is to be done."""

    def abort(self) -> None:
        """Nothing is to be done."""


class SourceFeed:
    """Decodes ahead into a queue.

    Args:
        source: read to its end, or live.
        queue: filled as far as it goes; its end is marked when the source is through, or broke off.

    Attributes:
        thread: holds the error if the source broke off.
    """

    def __init__(self, source: Source | LiveSource, queue: Ring) -> None:
        """Nothing is read before `start`."""
        self.thread = GuardedThread("source", self._run)
        self._stopping = threading.Event()
        self._source = source
        self._queue = queue

    def start(self, n_samples: int) -> None:
        """Start decoding; returns when so many samples, or all there are, can be taken, or none come for a while."""
        if isinstance(self._source, LiveSource):
            self._source.start()
            self.thread.start()
            return
        self.thread.start()
        give_up_s = time.monotonic() + _PREFILL_S
        while n_queued(self._queue) < n_samples and self.thread.is_alive and time.monotonic() < give_up_s:
            self._stopping.wait(_POLL_S)

    def stop(self) -> None:
        """End the thread, at the file's end or not; a file that does not answer is left behind."""
        self._stopping.set()
        if isinstance(self._source, WaitingSource):  # live ones, too
            self._source.interrupt()
        self.thread.join(_READING_S)

    def _run(self) -> None:
        try:
            if isinstance(self._source, LiveSource):
                self._listen(self._source)
            else:
                self._read(self._source)
        finally:
            mark_end(self._queue)

    def _read(self, source: Source) -> None:
        while len(part := source.read(_PART_LENGTH)) and not self._stopping.is_set():
            self._put_all(np.ascontiguousarray(part, np.float32))

    def _listen(self, source: LiveSource) -> None:
        while not self._stopping.is_set() and (part := source.take(n_queued(self._queue))) is not None:
            self._put_all(np.ascontiguousarray(part, np.float32))
            if not len(part):
                self._stopping.wait(_LISTEN_S)

    def _put_all(self, part: Samples) -> None:
        while len(part := part[put(self._queue, part) :]):
            if self._stopping.wait(_POLL_S):
                return


class SinkFeed:
    """Writes behind from a queue, aligned with the input.

    Args:
        sink: gets the samples; neither committed nor aborted.
        queue: read until the feed is stopped and the queue is empty.
        n_leading: samples to drop at the beginning: the latency.
        source: queue whose end, once known, is the length of what is written; one without end where there is none.

    Attributes:
        thread: holds the error if the sink failed.
    """

    def __init__(self, sink: Sink, queue: Ring, n_leading: int, source: Ring) -> None:
        """Nothing is written before `start`."""
        self.thread = GuardedThread("sink", self._run)
        self._stopping = threading.Event()
        self._sink = sink
        self._queue = queue
        self._source = source
        self._position = -n_leading

    @property
    def has_written(self) -> bool:
        """True once the sink has got samples."""
        return self._position > 0

    def start(self) -> None:
        """Start writing."""
        self.thread.start()

    def stop(self, is_wanted: bool) -> None:
        """Write what is queued and end the thread; nothing may be queued any more.

        Args:
            is_wanted: somebody waits for the end; else a sink that doesn't take it is given up.

        Raises:
            AudioFileError: the disk does not answer; what was written is left as it is.
        """
        self._stopping.set()
        if isinstance(self._sink, WaitingSink):
            if not is_wanted:
                self._sink.hurry()
            self.thread.join()  # whoever reads may rest as long as he wants
        self.thread.join(_WRITING_S)
        if self.thread.is_alive:
            raise AudioFileError(f"the disk took nothing for {_WRITING_S:g} s; the end of what was written is lost")

    def _run(self) -> None:
        part = np.empty((_PART_LENGTH, 2), np.float32)
        while True:
            is_last = self._stopping.is_set()  # asked before the queue: what came before the stop is written
            n_taken = take(self._queue, part)
            self._write(part[:n_taken])
            if n_taken == 0:
                if is_last:
                    return
                self._stopping.wait(_POLL_S)

    def _write(self, part: Samples) -> None:
        end = end_of(self._source)
        n_before = max(-self._position, 0)
        n_within = len(part) if end == UNKNOWN else max(end - self._position, 0)
        self._position += len(part)
        if len(inside := part[n_before:n_within]):
            self._sink.write(inside.copy())
