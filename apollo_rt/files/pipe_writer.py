"""Sound into a pipe: stdout or a named pipe gets a wav of unknown length, or raw samples, each as soon as it is there.

What has left can't be taken back: unlike a file, a pipe has everything that came before an error. A pipe that is full
makes the writer wait; where nobody reads any more, that is the end.
"""

import os
import select
import stat
import sys
import time
from pathlib import Path

import numpy as np

from apollo_rt.atomic_file import CommittedAtEnd
from apollo_rt.errors import AudioFileError, PipeClosedError
from apollo_rt.files.pcm import encode, loud_lines
from apollo_rt.files.raw_format import RawFormat
from apollo_rt.files.sound import Samples
from apollo_rt.standard_streams import STDOUT, open_stdout
from apollo_rt.stream.rate_converter import RateConverter

_PIECE_BYTES = getattr(select, "PIPE_BUF", 512)
"""What a pipe that says it has room takes without letting us wait (POSIX)."""

_LOOK_S = 0.1
_PATIENCE_S = 1.0
_UNKNOWN = 0xFFFF_FFFF
_PCM, _FLOAT = 1, 3


class PipeWriter(CommittedAtEnd):
    """A `file_feed.Sink` and the writer of a restored file, where the target is a pipe.

    Args:
        path: `STDOUT`, or a named pipe, which is opened when somebody reads it.
        sample_rate: Hz, of the samples.
        channels: those of the source: 1 is written as one, from the average of the two that `write` gets.
        raw: written without a header, at its rate and with its channels; None: a wav.
        float_wav: a wav of floats, not of 24 bits.
        quality: of the conversion to another rate, see `RateConverter`.

    Attributes:
        path: as given.
        sample_rate: Hz, of the samples that it gets.
        n_samples: so many it got.

    Raises:
        AudioFileError: it can't be opened, is a terminal, or channels don't fit.
    """

    def __init__(
        self,
        path: Path,
        sample_rate: int,
        channels: int = 2,
        raw: RawFormat | None = None,
        float_wav: bool = False,
        quality: str = "VHQ",
    ) -> None:
        self.path, self.sample_rate, self.n_samples = path, sample_rate, 0
        self._form = raw or RawFormat("f32le" if float_wav else "s24le", sample_rate, channels)
        self._channels = channels
        if self._form.channels not in (channels, 1, 2) or (channels > 2 and self._form.channels != channels):
            raise AudioFileError(f"{path}: {self._form} has {self._form.channels} channels, the source {channels}")
        self._converter = RateConverter(sample_rate, self._form.sample_rate, self._form.channels, quality)
        self._n_loud = self._n_bytes = 0
        self._hurried_s: float | None = None
        self._is_wav = raw is None
        self._descriptor = _opened(path)
        kind = os.fstat(self._descriptor).st_mode
        self._may_fill = not stat.S_ISREG(kind) and sys.platform != "win32"
        if self._is_wav:
            self._put(wav_header(self._form, None))

    @property
    def warnings(self) -> list[str]:
        """One line for what went beyond full scale."""
        return loud_lines(self.path, self._n_loud, is_clipped=not self._form.is_float)

    def write(self, samples: Samples) -> None:
        """Write samples; waits while the pipe is full.

        Args:
            samples: full scale is 1.0.

        Shape:
            `(samples, 2)`; with more than two channels `(samples, channels)`

        Raises:
            PipeClosedError: nobody reads any more.
            AudioFileError: it can't be written.
        """
        self.n_samples += len(samples)
        self._put_samples(self._converter.convert(self._in_channels(samples)))

    def hurry(self) -> None:
        """Wait no longer than a second for a reader that takes nothing, from another thread: the run shall end."""
        self._hurried_s = time.monotonic()

    def commit(self) -> None:
        """Write what the converter still holds, and the length where it is a file after all (`> out.wav`)."""
        if self._descriptor < 0:
            return
        self._put_samples(self._converter.convert(np.empty((0, self._form.channels), np.float32), last=True))
        if self._is_wav and not self._may_fill and os.lseek(self._descriptor, 0, os.SEEK_CUR) == self._n_bytes:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._put(wav_header(self._form, self._n_bytes))
        self.abort()

    def abort(self) -> None:
        """Close it; what was written is gone."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _in_channels(self, samples: Samples) -> Samples:
        if self._form.channels == 1:
            mono: Samples = samples.mean(axis=1, dtype=np.float32)[:, np.newaxis]
            return mono
        return samples

    def _put_samples(self, samples: Samples) -> None:
        self._n_loud += int(np.count_nonzero(np.abs(samples) > 1.0))
        self._put(encode(self._form, samples))

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                self._wait()
                n_written = os.write(self._descriptor, rest[:_PIECE_BYTES] if self._may_fill else rest)
                self._n_bytes += n_written
                rest = rest[n_written:]
        except BrokenPipeError:
            raise PipeClosedError(f"{self.path}: nobody reads any more") from None
        except OSError as error:
            raise AudioFileError(f"{self.path}: can't be written: {error.strerror}") from None

    def _wait(self) -> None:
        """Wait until the pipe has room."""
        while self._may_fill and not select.select((), (self._descriptor,), (), _LOOK_S)[1]:
            if self._hurried_s is not None and time.monotonic() - self._hurried_s > _PATIENCE_S:
                raise PipeClosedError(f"{self.path}: its reader took nothing for {_PATIENCE_S:g} s")


def wav_header(form: RawFormat, n_bytes: int | None) -> bytes:
    """Header of a wav file; its lengths are the greatest there are where they aren't known, as FFmpeg and sox do it.

    Args:
        form: of the samples.
        n_bytes: of the whole file; None: not known.
    """
    length = _UNKNOWN if n_bytes is None else min(n_bytes, _UNKNOWN)
    fields = (
        (_FLOAT if form.is_float else _PCM, 2),
        (form.channels, 2),
        (form.sample_rate, 4),
        (form.sample_rate * form.sample_bytes, 4),
        (form.sample_bytes, 2),
        (form.bits, 2),
    )
    chunk = b"".join(value.to_bytes(n_wide, "little") for value, n_wide in fields)
    head = b"WAVEfmt " + len(chunk).to_bytes(4, "little") + chunk + b"data"
    riff, data = (_UNKNOWN, _UNKNOWN) if length == _UNKNOWN else (length - 8, length - 12 - len(head))
    return b"RIFF" + riff.to_bytes(4, "little") + head + data.to_bytes(4, "little")


def _opened(path: Path) -> int:
    try:
        descriptor = open_stdout() if path == STDOUT else os.open(path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise AudioFileError(f"{path}: can't be opened: {error.strerror}") from None
    if os.isatty(descriptor):
        os.close(descriptor)
        raise AudioFileError(f"{path}: is a terminal; lead the sound into a program or a file: `| ffplay -`, `> a.wav`")
    return descriptor
