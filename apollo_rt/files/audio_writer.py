"""Audio files as ends of a stream: a writer that never leaves half a file, and never replaces one unasked.

Inside a stream there are always two channels, interleaved `(samples, 2)`: mono is doubled by the reader and averaged by
the writer. What is written how stands in `output_format`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import numpy as np

from apollo_rt.atomic_file import AtomicFile, CommittedAtEnd
from apollo_rt.errors import AudioFileError, ExistingFileError
from apollo_rt.file_names import refuse_irregular
from apollo_rt.files.audio_reader import Samples
from apollo_rt.files.av_encoder import AvEncoder
from apollo_rt.files.output_format import OutputFormat, OutputSettings, format_of
from apollo_rt.files.pcm import loud_lines
from apollo_rt.files.tag_carrying import carry, made_by
from apollo_rt.files.tags import Tags
from apollo_rt.files.vorbis_encoder import VorbisEncoder
from apollo_rt.standard_streams import STDOUT
from apollo_rt.stream.rate_converter import RateConverter


class _Encoder(Protocol):
    def write(self, samples: Samples) -> None: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...


class AudioWriter(CommittedAtEnd):
    """A file that appears under its name only when it is complete; until then it is a hidden `.part` beside it.

    Samples beyond full scale are counted and reported in `warnings`; formats of whole numbers clip them. These have 24
    bits, rounded without dither: the error of that is 144 dB below full scale.

    Args:
        path: the suffix picks the format, see `output_format`. A link is followed.
        sample_rate: Hz, of the samples; a format that has only one is converted to.
        channels: 1 stores the average of the two that `write` gets, 2 both; more get samples of so many columns.
        settings: quality, and bits of wav files.
        tags: what the source says about the music; what the format holds of it is carried over.
        model: name of the model that made the sound, for the tags.
        n_expected: length in samples, where it is known; what can't be held is refused before anything is written.
        overwrite: a file that has the name is replaced at the end.

    Attributes:
        path: as given, or the name that was taken.
        sample_rate: Hz.

    Raises:
        AudioFileError: unknown suffix, a place that can't be written to, or a rate, length, bit rate or number of
            channels that the format can't hold.
        ExistingFileError: the name is taken.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int,
        channels: int = 2,
        settings: OutputSettings | None = None,
        tags: Tags | None = None,
        model: str = "",
        n_expected: int | None = None,
        overwrite: bool = False,
    ) -> None:
        """Open the `.part` file."""
        self.path = Path(path)
        settings = settings or OutputSettings()
        self._form = format_of(self.path, settings)
        rate = self._form.rates[0] if len(self._form.rates) == 1 else sample_rate
        self._form.check(self.path, rate, channels, n_expected)
        kbps = self._form.kbps_for(self.path, settings, rate, channels)
        self._converter = RateConverter(sample_rate, rate, channels)
        self.sample_rate, self._channels = sample_rate, channels
        self._n_loud = self._n_samples = 0
        carried, self._left_out = carry(tags or Tags(), self._form, made_by(model))
        with self._explained():
            _refuse_unwritable(self.path)
            self._file = AtomicFile(self.path, overwrite)
        with self._undone():
            self._encoder = _open_encoder(self._file, self._form, rate, channels, kbps, carried)

    @property
    def warnings(self) -> list[str]:
        """One line for what went beyond full scale, and one for each thing of the tags that could not be kept."""
        left_out = [f"{self.path}: {what}; left out" for what in self._left_out]
        return left_out + loud_lines(self.path, self._n_loud, self._form.clips)

    @property
    def n_samples(self) -> int:
        """Samples written so far."""
        return self._n_samples

    @property
    def most_samples(self) -> int:
        """Samples that the file can hold."""
        return self._form.most_samples(self._channels)

    def write(self, samples: Samples) -> None:
        """Append samples.

        Args:
            samples: full scale is 1.0.

        Shape:
            `(samples, 2)`; with more than two channels `(samples, channels)`

        Raises:
            AudioFileError: the disk is full or gone, or the file would pass the limit of its format.
        """
        stored = samples.mean(axis=1, dtype=np.float32)[:, np.newaxis] if self._channels == 1 else samples
        if self._n_samples + len(stored) > self.most_samples:
            raise AudioFileError(f"{self.path}: {self._form.name} ends at 4 GB; write to a .wav or .flac file instead")
        self._n_loud += int(np.count_nonzero(np.abs(stored) > 1.0))
        with self._explained():
            self._encoder.write(self._converter.convert(stored))
        self._n_samples += len(stored)

    def finish(self) -> None:
        """Write the end, and make sure that all of it has reached the disk.

        Raises:
            AudioFileError: it can't be written; nothing is left.
        """
        with self._undone():
            self._encoder.write(self._converter.convert(np.empty((0, self._channels), np.float32), last=True))
            self._encoder.finish()
            self._file.finish()

    def take_name(self, path: Path) -> None:
        """Give the finished file a name in its folder.

        Raises:
            FileExistsError: it is taken, and may not be replaced; the file can still take another.
            AudioFileError: the name can't be taken.
        """
        with self._explained(but=FileExistsError):
            self._file.take_name(os.path.realpath(path))
        self.path = path

    def give_back_name(self) -> None:
        """Undo `take_name`: the file is hidden again, and can take another."""
        with self._explained():
            self._file.give_back_name(os.path.realpath(self.path))

    def commit(self) -> None:
        """Finish the file and give it its name; a second time does nothing.

        Raises:
            AudioFileError: the last bytes can't be written, or the name can't be taken; nothing is left.
            ExistingFileError: the name is taken by now.
        """
        if self._file.is_done:
            return
        self.finish()
        with self._undone():
            self._file.commit()

    def abort(self) -> None:
        """Remove what was written; a file that had the name before keeps it, untouched."""
        self._encoder.close()
        self._file.abort()

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """As `_explained`; after an error nothing is left."""
        try:
            with self._explained():
                yield
        except BaseException:
            self._file.abort()
            raise

    @contextmanager
    def _explained(self, but: type[OSError] | tuple[()] = ()) -> Iterator[None]:
        """Errors of the system become one line."""
        try:
            yield
        except but:
            raise
        except FileExistsError:
            raise ExistingFileError(f"{self.path}: is there already; --overwrite replaces it") from None
        except OSError as error:
            reason = " ".join(str(error.strerror or error).split()).rstrip(".")
            raise AudioFileError(f"{self.path}: can't be written: {reason}") from None


def _open_encoder(
    file: AtomicFile, form: OutputFormat, sample_rate: int, channels: int, kbps: int, tags: Tags
) -> _Encoder:
    if form.codec == "vorbis":
        return VorbisEncoder(file, sample_rate, channels, kbps, tags)
    return AvEncoder(file, form, sample_rate, channels, kbps, tags)


def refuse_same_file(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Refuse to overwrite the very file that is being read, through links too.

    Raises:
        AudioFileError: both names lead to one file.
    """
    source, target = Path(source), Path(target)
    is_same = False
    with suppress(OSError, ValueError):  # one isn't there, or can't be, with such a name
        is_same = target != STDOUT and source.samefile(target)
    if is_same:
        raise AudioFileError(f"{target}: is the input itself; choose another name for the output")


def _refuse_unwritable(path: Path) -> None:
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise AudioFileError(f"{path}: no such folder: {folder}")
    if not os.access(folder, os.W_OK):
        raise AudioFileError(f"{path}: no permission to write in {folder}")
    try:
        refuse_irregular(path)
    except OSError as error:
        raise AudioFileError(f"{path}: {error.strerror}") from None
