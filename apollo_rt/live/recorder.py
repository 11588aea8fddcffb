"""Records what comes in and what is heard, aligned to the sample, beside the audio path, which doesn't know of it.

    rings of the callback (`heard`) -> reading thread -> queue in memory -> writing thread
        -> DIR/20261125-104300-dry.flac, DIR/20261125-104300-wet.flac

Sample k of both files is one moment: dry is the input that the wet sample is made of. A file has its name when it is
complete; after an hour the next pair begins, without a gap. Whatever the disk does, the music goes on.
"""

import queue
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apollo_rt.errors import AudioFileError
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.guarded_thread import GuardedThread
from apollo_rt.live.heard import Heard

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]

_PART_LENGTH = 8192
_POLL_S = 0.1
_MOST_PARTS = 160
"""In memory, 30 s: for so long a disk may make the writer wait."""
_LEAST_FREE_BYTES = 32 * 2**20
"""Where a disk has no more room than that, a recording ends while both files can still be completed."""
_LONGEST_S = 3600
_LONGEST_STOP_S = 10.0
KINDS = ("dry", "wet")


class Recorder:
    """Records from `start` to `stop`.

    Args:
        folder: exists.
        heard: of the line that is recorded.
        delay: D in samples: the output that is made of the first input sample is the first that is recorded.
        sample_rate: Hz.
        longest: samples of one pair of files; None: an hour.

    Attributes:
        written: the files that are complete.
    """

    def __init__(self, folder: Path, heard: Heard, delay: int, sample_rate: int, longest: int | None = None) -> None:
        """Nothing is recorded before `start`."""
        self.written: list[Path] = []
        self._folder, self._heard, self._rate = folder, heard, sample_rate
        self._longest = longest or _LONGEST_S * sample_rate
        self._position = delay
        self._n_lost = 0
        self._parts: queue.Queue[Pair | None] = queue.Queue(_MOST_PARTS)
        self._writers: list[AudioWriter] = []
        self._messages: list[str] = []
        self._stopping = threading.Event()
        self._has_ended = False
        self._reader = GuardedThread("recording", self._read)
        self._writer = GuardedThread("recording to disk", self._write)

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

    def look(self) -> list[str]:
        """What a user should know, one line each; told once."""
        told, self._messages = self._messages, []
        for thread in (self._reader, self._writer):
            if thread.error:
                told.append(f"{self._folder}: the recording has ended: {thread.error}")
                thread.error, self._has_ended = None, True
        return told

    def _read(self) -> None:
        try:
            while not self._has_ended:
                is_last = self._stopping.is_set()  # asked before reading: what was heard before the stop is recorded
                while self._heard.end - self._position >= (1 if is_last else _PART_LENGTH) and not self._has_ended:
                    self._take_part(min(_PART_LENGTH, self._heard.end - self._position))
                if is_last:
                    return
                self._stopping.wait(_POLL_S)
        finally:
            self._put(None)

    def _take_part(self, length: int) -> None:
        before, after = np.zeros((2, length, 2), np.float32)
        if not self._heard.read(self._position, before, after):  # overwritten: silence keeps the time right
            before[:], after[:] = 0.0, 0.0
            self._n_lost += length
        self._position += length
        self._put((before, after))

    def _put(self, part: Pair | None) -> None:
        while not self._has_ended:
            with suppress(queue.Full):  # the disk is slow
                self._parts.put(part, timeout=_POLL_S)
                return

    def _write(self) -> None:
        try:
            while (part := self._parts.get()) is not None:
                self._write_part(part)
            self._complete()
        except (AudioFileError, OSError) as error:
            self._messages.append(f"{error}; the recording has ended, the music goes on")
        finally:
            self._has_ended = True
            self._discard()

    def _write_part(self, part: Pair) -> None:
        n_free = shutil.disk_usage(self._folder).free
        if n_free < _LEAST_FREE_BYTES:
            self._complete()
            raise AudioFileError(f"{self._folder}: the disk is full but for {n_free // 2**20} MB")
        begin = 0
        while begin < len(part[0]):
            if not self._writers:
                self._open()
            n_left = self._longest - self._writers[0].n_samples
            for writer, samples in zip(self._writers, part, strict=True):
                writer.write(samples[begin : begin + n_left])
            begin += n_left
            if self._writers[0].n_samples >= self._longest:
                self._complete()

    def _open(self) -> None:
        stem = name = time.strftime("%Y%m%d-%H%M%S")
        number = 1
        while any((self._folder / f"{name}-{kind}.flac").exists() for kind in KINDS):
            number += 1
            name = f"{stem}-{number}"
        for kind in KINDS:
            self._writers.append(AudioWriter(self._folder / f"{name}-{kind}.flac", self._rate))

    def _complete(self) -> None:
        """Give both files their names."""
        writers, self._writers = self._writers, []
        try:
            for writer in writers:
                writer.commit()
                self.written.append(writer.path)
                self._messages += writer.warnings
        except AudioFileError:
            self._writers = writers
            raise
        if self._n_lost:
            self._messages.append(
                f"{self._folder}: {self._n_lost} samples could not be recorded in time; there is silence instead"
            )
            self._n_lost = 0

    def _discard(self) -> None:
        """Remove what could not be completed; of a pair, both."""
        for writer in self._writers:
            writer.abort()
            writer.path.unlink(missing_ok=True)
            if writer.path in self.written:
                self.written.remove(writer.path)
        self._writers = []
