"""A playlist's files as one program: one after the other without a gap, each with its title.

Those that can't be read are said and passed over. Unlike a station a file waits: it is read ahead, as any other.
"""

import threading
from collections import deque
from collections.abc import Sequence

import numpy as np

from apollo_rt.errors import AudioFileError
from apollo_rt.files.audio_reader import AudioReader, Samples
from apollo_rt.files.local_playlist import ListedFile
from apollo_rt.live.endpoints.live_source import RadioState
from apollo_rt.printable import printable
from apollo_rt.radio.title_marks import TitleMarks

_ENDING_S = 2.0


class PlaylistSource:
    """A `file_feed.Source` and a `live_source.TellingSource`.

    Args:
        name: of the playlist, for people.
        files: in order.
        sample_rate: Hz, of what is read.
        n_most: samples, after which it ends; None: all there are.

    Raises:
        AudioFileError: none of the files can be read.
    """

    def __init__(self, name: str, files: Sequence[ListedFile], sample_rate: int, n_most: int | None = None) -> None:
        """Open the first that can be read."""
        self._name, self._rate, self._n_left = name, sample_rate, n_most
        self._waiting = deque(files)
        self._messages: deque[str] = deque(maxlen=64)
        self._titles = TitleMarks()
        self._n_given = 0
        self._reading, self._stopping = threading.Lock(), threading.Event()
        self._reader = self._next_reader()
        if self._reader is None:
            raise AudioFileError(f"{name}: none of the {len(files)} files that it lists can be read; {self._reason}")

    _reason = "it lists nothing"

    def read(self, n_samples: int) -> Samples:
        """The next samples, `(samples, 2)`; none only at the end."""
        n_wanted = n_samples if self._n_left is None else min(n_samples, self._n_left)
        with self._reading:
            while self._reader is not None and n_wanted and not self._stopping.is_set():
                part = self._part_of(self._reader, n_wanted)
                if len(part):
                    self._n_given += len(part)
                    self._n_left = None if self._n_left is None else self._n_left - len(part)
                    return part
                self._messages += self._reader.warnings
                self._reader.close()
                self._reader = self._next_reader()
        return np.empty((0, 2), np.float32)

    def interrupt(self) -> None:
        """End; from another thread."""
        self._stopping.set()
        if reader := self._reader:
            reader.interrupt()
        if self._reading.acquire(timeout=_ENDING_S):
            if self._reader:
                self._reader.close()
                self._reader = None
            self._reading.release()

    def state(self, n_heard: int) -> RadioState:
        """State of what is heard."""
        reader = self._reader
        return RadioState(
            url=self._name,
            station="",
            title=self._titles.heard(n_heard),
            codec=reader.codec if reader else "",
            sample_rate=reader.source_rate if reader else 0,
            channels=reader.source_channels if reader else 0,
        )

    def take_titles(self, n_taken: int) -> list[tuple[int, str]]:
        """Titles of what the engine has taken, with the number of their first sample; told once."""
        return self._titles.take(n_taken)

    def take_messages(self) -> list[str]:
        """Messages for the user since the last call, one line each."""
        return [self._messages.popleft() for _ in range(len(self._messages))]

    def _part_of(self, reader: AudioReader, n_samples: int) -> Samples:
        """Samples of the file; none at its end, which may come by a fault."""
        try:
            return reader.read_some(n_samples)
        except AudioFileError as error:
            self._messages.append(f"{error}; going on with the next")
            return np.empty((0, 2), np.float32)

    def _next_reader(self) -> AudioReader | None:
        """The next file that can be read, with a mark where it begins."""
        while self._waiting and not self._stopping.is_set():
            file = self._waiting.popleft()
            try:
                reader = AudioReader(file.path, self._rate)
            except AudioFileError as error:
                self._reason = str(error)
                self._messages.append(f"{error}; passed over")
                continue
            self._titles.note(self._n_given, printable(reader.tags.title or file.title or file.path.stem))
            return reader
        return None
