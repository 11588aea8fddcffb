"""A file at the output of a live run, which a full disk ends, but not the run: what fitted is kept, and said.

    out.flac            until the disk is full; complete, as long as it is
    out-2.flac          from when there was room again

Before the last megabytes are gone a file can still be completed; where a limit comes as a surprise (a quota, a disk
that is pulled), what can't be completed is removed, and nothing half-written takes the name.
"""

import shutil
from pathlib import Path

from apollo_rt.errors import AudioFileError
from apollo_rt.files.audio_reader import Samples
from apollo_rt.files.audio_writer import AudioWriter

_LEAST_FREE_BYTES, _ENOUGH_FREE_BYTES = 16 * 2**20, 32 * 2**20
"""With no more room than the first a file is completed; with the second the next one begins."""

_LOOK_S = 1.0


class Recording:
    """A `file_feed.Sink`, and a `file_ends.SurvivingSink`.

    Args:
        path: see `AudioWriter`; so `sample_rate`.

    Attributes:
        written: the files that are complete.
        n_lost: samples that no file has.

    Raises:
        AudioFileError: the first file can't be opened.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        """Open the first file."""
        self.written: list[Path] = []
        self.n_lost = 0
        self._path, self._rate = path, sample_rate
        self._folder = Path(path).resolve().parent
        self._writer: AudioWriter | None = AudioWriter(path, sample_rate)
        self._warnings: list[str] = []
        self._messages: list[str] = []
        self._n_until_look = 0
        self._n_parts = 1

    @property
    def warnings(self) -> list[str]:
        """As `AudioWriter.warnings`, of all files."""
        return self._warnings + (self._writer.warnings if self._writer else [])

    def write(self, samples: Samples) -> None:
        """Append samples, or count them as lost.

        Shape:
            `(samples, 2)`
        """
        self._n_until_look -= len(samples)
        if self._n_until_look <= 0:
            self._n_until_look = round(_LOOK_S * self._rate)
            self._look()
        if self._writer is None:
            self.n_lost += len(samples)
            return
        try:
            self._writer.write(samples)
        except AudioFileError as error:
            self.n_lost += len(samples)
            self._lose(self._writer, error)
            self.abort()

    def take_messages(self) -> list[str]:
        """What a user should know since the last call, one line each."""
        taken, self._messages = self._messages, []
        return taken

    def commit(self) -> None:
        """Complete the file.

        Raises:
            AudioFileError: it can't be completed.
        """
        writer, self._writer = self._writer, None
        if writer:
            self._complete(writer)
        if self.n_lost:
            self._messages.append(f"{self._path}: {self.n_lost / self._rate:.1f} s could not be written")

    def abort(self) -> None:
        """Throw away the file that is being written; those that are complete stay."""
        if self._writer:
            self._writer.abort()
            self._writer = None

    def _look(self) -> None:
        """Complete the file before the disk is full, or begin another when there is room again."""
        n_free = shutil.disk_usage(self._folder).free
        if self._writer and n_free < _LEAST_FREE_BYTES:
            self._end_part(self._writer)
        elif self._writer is None and n_free >= _ENOUGH_FREE_BYTES:
            self._begin_part()

    def _end_part(self, writer: AudioWriter) -> None:
        self._writer = None
        length_s = writer.n_samples / self._rate
        try:
            self._complete(writer)
        except AudioFileError as error:
            self._lose(writer, error)
            return
        self._messages.append(
            f"{writer.path}: the disk is full; the {length_s:.1f} s that fitted are kept, the run goes on without it"
        )

    def _complete(self, writer: AudioWriter) -> None:
        writer.commit()
        self._warnings += writer.warnings
        self.written.append(writer.path)

    def _lose(self, writer: AudioWriter, error: AudioFileError) -> None:
        self.n_lost += writer.n_samples
        self._messages.append(f"{error}; what was recorded of this file is lost, the run goes on without it")

    def _begin_part(self) -> None:
        self._n_parts += 1
        path = self._path.with_stem(f"{self._path.stem}-{self._n_parts}")
        try:
            self._writer = AudioWriter(path, self._rate)
        except AudioFileError:
            return
        self._messages.append(f"{path}: there is room again; recording goes on here")
