"""A recording, which can't be had again, is written to files in step: whatever the disk does, what fitted is kept.

    out.flac                              until the disk is full, or the format's limit is reached; complete
    out-2.flac                            without a gap, or from when there was room again
    20261125-104300-dry.flac  ...-wet.flac   two tracks: sample k of both is one moment

Before the last megabytes are gone a file can still be completed; where a limit comes as a surprise (a quota, a disk
that is pulled), what can't be completed is removed, and nothing half-written takes the name. No recording ever
replaces another file: where a name is taken meanwhile, the next one is.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from apollo_rt.errors import ApolloError, AudioFileError, ExistingFileError
from apollo_rt.files.audio_reader import Samples
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.files.tags import Tags

Names = Callable[[], Iterator[tuple[Path, ...]]]
"""Called for each part: gives names for its tracks, further ones where those are taken."""

_LEAST_FREE_BYTES, _ENOUGH_FREE_BYTES = 32 * 2**20, 64 * 2**20
"""With no more room than the first the files are completed; with the second the next ones begin."""

_POLL_S = 0.1
_WAIT_AFTER_LOSS_S = 10.0


class RecordingWriter:
    """A `file_feed.Sink` for one track, and a `file_endpoints.SurvivingSink`.

    Args:
        names: of the files, one for each track.
        sample_rate: Hz.
        longest: samples of one part; None: what its format holds.
        overwrite: the first part may replace files.

    Attributes:
        written: the files that are complete.
        n_lost: samples that no file has.
    """

    def __init__(self, names: Names, sample_rate: int, longest: int | None = None, overwrite: bool = False) -> None:
        """Nothing is opened before `begin` or the first samples."""
        self.written: list[Path] = []
        self.n_lost = 0
        self._names, self._rate, self._longest = names, sample_rate, longest
        self._overwrite = overwrite
        self._tags = Tags()
        self._writers: list[AudioWriter] = []
        self._others: Iterator[tuple[Path, ...]] = iter(())
        self._folder = Path(os.path.realpath(next(names())[0])).parent
        self._warnings: list[str] = []
        self._messages: list[str] = []
        self._n_until_poll = 0
        self._has_room = True

    @property
    def warnings(self) -> list[str]:
        """As `AudioWriter.warnings`, of all files."""
        return self._warnings + [line for writer in self._writers for line in writer.warnings]

    @property
    def n_samples(self) -> int:
        """Samples in the part that is being written."""
        return self._writers[0].n_samples if self._writers else 0

    def begin(self) -> None:
        """Open the first part now, so that what is wrong with its name is said at once.

        Raises:
            AudioFileError: it can't be opened.
            ExistingFileError: its name is taken.
        """
        self._others = self._names()
        self._open(next(self._others), self._overwrite)

    def write(self, *tracks: Samples) -> None:
        """Append samples to each track, or count them as lost.

        Shape:
            `(samples, 2)` each
        """
        self._n_until_poll -= len(tracks[0])
        if self._n_until_poll <= 0:
            self._n_until_poll = round(_POLL_S * self._rate)
            self._poll()
        begin = 0
        while begin < len(tracks[0]):
            if not (self._writers or (self._has_room and self._begin_part())):
                self.n_lost += len(tracks[0]) - begin
                return
            end = begin + self._n_left()
            self._append([track[begin:end] for track in tracks])
            begin = end
            if self._writers and not self._n_left():
                self._end_part()

    def begin_next(self, tags: Tags) -> None:
        """Complete the part that is being written; what follows goes into another, which has these tags."""
        self._tags = tags
        if self.n_samples:
            self._end_part()
        else:
            self.abort()

    def take_messages(self) -> list[str]:
        """Messages for the user since the last call, one line each."""
        taken, self._messages = self._messages, []
        return taken

    def commit(self) -> None:
        """Complete the files.

        Raises:
            AudioFileError: they can't be completed; those before stay.
        """
        try:
            self._complete()
        except AudioFileError:
            self.n_lost += self.n_samples
            self.abort()
            raise
        if self.n_lost:
            self._messages.append(f"{self._folder}: {self.n_lost / self._rate:.1f} s could not be written")

    def abort(self) -> None:
        """Throw away what is being written; the parts that are complete stay."""
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.abort()

    def _n_left(self) -> int:
        """Samples that the part still holds."""
        most = self._writers[0].most_samples
        return min(most, self._longest or most) - self.n_samples

    def _append(self, tracks: list[Samples]) -> None:
        n_after = self.n_samples + len(tracks[0])
        try:
            for writer, samples in zip(self._writers, tracks, strict=True):
                writer.write(samples)
        except AudioFileError as error:
            self._lose(error, n_after)

    def _poll(self) -> None:
        """Complete the files before the disk is full, or go on when there is room again."""
        n_free = shutil.disk_usage(self._folder).free
        if n_free < _LEAST_FREE_BYTES:
            if self._writers:
                self._end_part("the disk is full; ")
            self._has_room = False
        elif not self._has_room and n_free >= _ENOUGH_FREE_BYTES:
            self._has_room = True
            if self._begin_part():
                self._messages.append(f"{self._writers[0].path}: there is room again; recording goes on here")

    def _begin_part(self) -> bool:
        """Open files under the next names that are free; returns whether that went well."""
        self._others = self._names()
        for paths in self._others:
            try:
                self._open(paths)
            except ExistingFileError:
                continue
            except AudioFileError as error:
                self._lose(error, 0)
                return False
            return True
        return False

    def _open(self, paths: tuple[Path, ...], overwrite: bool = False) -> None:
        try:
            for path in paths:
                self._writers.append(AudioWriter(path, self._rate, tags=self._tags, overwrite=overwrite))
        except ApolloError:
            self.abort()
            raise

    def _end_part(self, why: str = "") -> None:
        path, length_s = self._writers[0].path, self.n_samples / self._rate
        try:
            self._complete()
        except AudioFileError as error:
            self._lose(error, self.n_samples)
            return
        if why:
            self._messages.append(f"{path}: {why}the {length_s:.1f} s that fitted are kept, the run goes on without it")

    def _complete(self) -> None:
        """Give the files of this part their names: all of them, or none.

        Raises:
            AudioFileError: one can't be completed; the part is left for `_lose` or `abort` to remove.
        """
        for writer in self._writers:
            writer.finish()
        if self._writers:
            self._take_names([writer.path for writer in self._writers])
        for writer in self._writers:
            self._warnings += writer.warnings
            self.written.append(writer.path)
        self._writers = []

    def _take_names(self, paths: list[Path]) -> None:
        """Take these names, or the next that are free."""
        taken: list[AudioWriter] = []
        try:
            for writer, path in zip(self._writers, paths, strict=True):
                writer.take_name(path)
                taken.append(writer)
        except FileExistsError:
            for writer in taken:
                writer.give_back_name()
            others = next(self._others)
            self._messages.append(f"{paths[0]}: is taken by now; the recording is {others[0]}")
            self._take_names(list(others))
        except AudioFileError:
            for writer in taken:
                writer.give_back_name()
            raise

    def _lose(self, error: AudioFileError, n_samples: int) -> None:
        """Count what is lost with the files of this part, and wait a while before the next."""
        self.n_lost += n_samples
        self.abort()
        self._has_room = False
        self._n_until_poll = round(_WAIT_AFTER_LOSS_S * self._rate)
        self._messages.append(f"{error}; what was recorded of this file is lost, the run goes on without it")


def numbered(path: Path) -> Names:
    """Names of a recording of one track: `out.flac`, `out-2.flac`, ..."""

    def names() -> Iterator[tuple[Path, ...]]:
        yield (path,)
        yield from ((path.with_stem(f"{path.stem}-{number}"),) for number in count(2))

    return names
