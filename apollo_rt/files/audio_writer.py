"""Audio files as ends of a stream: a writer that never leaves half a file.

Inside a stream there are always two channels, interleaved `(samples, 2)`: mono is doubled by the reader and averaged by
the writer. Encoding is libsndfile's.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Self

import numpy as np
import soundfile

from apollo_rt.errors import AudioFileError
from apollo_rt.files.audio_reader import Samples

_ENCODINGS = {
    ".wav": ("WAV", "PCM_24"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
"""libsndfile's format and encoding by suffix. 24 bits, because the result of our arithmetic is finer than 16."""

WRITABLE_SUFFIXES = tuple(_ENCODINGS)

_WAV_LIMIT_BYTES = 2**32 - 2**16
"""Lengths in a wav file have 32 bits; 64 KiB are left for the headers."""


class AudioWriter:
    """A file that appears under its name only when it is complete; until then it is a hidden `.part` beside it.

    wav and flac are written with 24 bits, ogg as Vorbis, mp3 by LAME, both at libsndfile's default quality. Samples
    beyond full scale are counted and reported in `warnings`; formats of whole numbers clip them.

    Args:
        path: the suffix picks the format: .wav, .flac, .ogg or .mp3. A link is followed; an existing file is replaced
            at the end.
        sample_rate: Hz.
        channels: 1 or 2; 1 stores the average of both channels.
        float_wav: write a wav file of 32-bit floats, which don't clip.

    Raises:
        AudioFileError: unknown suffix, a place that can't be written to, or a rate that the format can't hold.
    """

    def __init__(
        self, path: str | os.PathLike[str], sample_rate: int, channels: int = 2, float_wav: bool = False
    ) -> None:
        """Open the `.part` file."""
        self.path = Path(path)
        container, encoding = encoding_of(self.path)
        self._encoding = "FLOAT" if float_wav and container == "WAV" else encoding
        self._is_wav = container == "WAV"
        self._channels = channels
        self._n_loud = 0
        self._n_samples = 0
        self._final = Path(os.path.realpath(self.path))
        self._part = self._final.with_name(f".{self._final.name}.{os.getpid()}.part")
        _refuse_unwritable(self._final)
        try:
            self._file = soundfile.SoundFile(self._part, "w", sample_rate, channels, self._encoding, format=container)
        except (soundfile.SoundFileError, OSError) as error:
            self._part.unlink(missing_ok=True)
            raise AudioFileError(f"{self.path}: can't be written: {_reason(error)}") from None

    @property
    def warnings(self) -> list[str]:
        """One line if samples went beyond full scale."""
        if not self._n_loud:
            return []
        what = "were clipped" if self._encoding == "PCM_24" else "may clip when played"
        return [f"{self.path}: {self._n_loud} samples beyond full scale {what}"]

    @property
    def n_samples(self) -> int:
        """Samples written so far."""
        return self._n_samples

    def write(self, samples: Samples) -> None:
        """Append samples.

        Args:
            samples: full scale is 1.0.

        Shape:
            `(samples, 2)`

        Raises:
            AudioFileError: the disk is full or gone, or a wav file would pass its limit of 4 GB.
        """
        stored = samples.mean(axis=1, dtype=np.float32)[:, np.newaxis] if self._channels == 1 else samples
        self._n_loud += int(np.count_nonzero(np.abs(stored) > 1.0))
        bytes_per_sample = self._channels * (4 if self._encoding == "FLOAT" else 3)
        if self._is_wav and (self._n_samples + len(stored)) * bytes_per_sample > _WAV_LIMIT_BYTES:
            raise AudioFileError(f"{self.path}: a wav file ends at 4 GB; write to a .flac file instead")
        try:
            self._file.write(stored)
        except (soundfile.SoundFileError, OSError, AssertionError) as error:
            # soundfile asserts that all was written: that assertion is how a full disk shows.
            raise AudioFileError(f"{self.path}: can't be written: {_reason(error)}") from None
        self._n_samples += len(stored)

    def commit(self) -> None:
        """Finish the file and give it its name; a second time does nothing.

        Raises:
            AudioFileError: the last bytes can't be written, or the name can't be taken.
        """
        if self._file.closed:
            return
        try:
            self._file.close()
            self._part.replace(self._final)
        except (soundfile.SoundFileError, OSError) as error:
            self.abort()
            raise AudioFileError(f"{self.path}: can't be written: {_reason(error)}") from None

    def abort(self) -> None:
        """Remove what was written; a file that had the name before keeps it, untouched."""
        with suppress(soundfile.SoundFileError):  # what a full disk has spoilt goes anyway
            self._file.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Commit at the end of a `with` block, abort if it raises."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Commit, or abort after an exception."""
        if kind is None:
            self.commit()
        else:
            self.abort()


def encoding_of(path: Path) -> tuple[str, str]:
    """Format and encoding, in libsndfile's words, of a file to write.

    Raises:
        AudioFileError: the suffix is none that can be written.
    """
    try:
        return _ENCODINGS[path.suffix.lower()]
    except KeyError:
        raise AudioFileError(
            f"{path}: can't write this kind of file; use one of {' '.join(WRITABLE_SUFFIXES)}"
        ) from None


def refuse_same_file(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Refuse to overwrite the very file that is being read, through links too.

    Raises:
        AudioFileError: both names lead to one file.
    """
    source, target = Path(source), Path(target)
    if source.exists() and target.exists() and source.samefile(target):
        raise AudioFileError(f"{target}: is the input itself; choose another name for the output")


def _refuse_unwritable(target: Path) -> None:
    if not target.parent.is_dir():
        raise AudioFileError(f"{target}: no such folder: {target.parent}")
    if target.is_dir():
        raise AudioFileError(f"{target}: is a folder")
    if not os.access(target.parent, os.W_OK):
        raise AudioFileError(f"{target}: no permission to write in {target.parent}")


def _reason(error: Exception) -> str:
    """What went wrong, on one line."""
    if isinstance(error, AssertionError):
        return "the disk is full"
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return " ".join(text.split()).rstrip(".")
