"""Encoding and muxing by FFmpeg (through PyAV) into a file object: all formats but Vorbis.

Lengths are kept to the sample where the container can say so: MP3 by LAME's header, m4a by an edit list in units of a
sample, Opus by its pre-skip and its last page.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.container import OutputContainer

from apollo_rt.atomic_file import AtomicFile
from apollo_rt.files.container_head import append_id3, write_head
from apollo_rt.files.exact_length import correct_mp3, correct_w64
from apollo_rt.files.output_format import OutputFormat
from apollo_rt.files.tag_carrying import chapter_comments, comments
from apollo_rt.files.tags import Tags

_BUFFER_BYTES = 32_768
"""What a run that is killed loses at most, beside what its encoder holds."""

_MPEG_1_HZ = 32_000
_HIGHEST_AUDIBLE_HZ = 20_500
"""Encoders keep everything below; left alone, they cut at 16 to 20 kHz."""


_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""FFmpeg's name for what a number of channels usually is, in the order of wav files: FL FR FC LFE BL BR ..."""


class AvEncoder:
    """Samples to one file.

    Args:
        file: written from its beginning.
        form: how.
        sample_rate: Hz, one that the format holds.
        channels: 1 to 8.
        kbps: bit rate; 0 where nothing is lost.
        tags: what to say about the music.

    Raises:
        OSError: it can't be written.
    """

    def __init__(
        self, file: AtomicFile, form: OutputFormat, sample_rate: int, channels: int, kbps: int, tags: Tags
    ) -> None:
        """Write the header."""
        self._file, self._form, self._tags = file, form, tags
        self._layout = _LAYOUTS[channels]
        self._rate, self._n_samples = sample_rate, 0
        options = _muxer_options(form.container, sample_rate)
        with self._checked():
            self._container: OutputContainer = av.open(
                _Quiet(file), "w", format=form.container, options=options, buffer_size=_BUFFER_BYTES
            )
            self._stream = self._add_stream(kbps)
            self._write_head()

    def write(self, samples: npt.NDArray[np.float32]) -> None:
        """Append samples, full scale 1.0.

        Shape:
            `(samples, channels)`

        Raises:
            OSError: they can't be written.
        """
        if not len(samples):
            return
        values: npt.NDArray[Any] = _as_int24(samples) if self._form.clips else samples
        packed: npt.NDArray[Any] = np.ascontiguousarray(values).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format=self._form.sample_format, layout=self._layout)
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), self._n_samples
        self._n_samples += len(samples)
        with self._checked():
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder holds back, and the end.

        Raises:
            OSError: it can't be written.
        """
        with self._checked():
            self._container.mux(self._stream.encode(None))
            self._container.close()
        if self._form.container == "mp3":
            correct_mp3(self._file, self._n_samples, 1152 if self._rate >= _MPEG_1_HZ else 576)
        elif self._form.container == "w64":
            correct_w64(self._file, self._n_samples * self._stream.channels * (3 if self._form.clips else 4))
        elif self._form.container in ("wav", "aiff") and self._n_samples:  # what follows no sound is taken for some
            append_id3(self._file, self._form.container, self._tags)

    def close(self) -> None:
        """Let go of the file, whatever becomes of it."""
        with suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()

    @contextmanager
    def _checked(self) -> Iterator[None]:
        """Errors of the file, which FFmpeg may drop, and FFmpeg's own as the system's."""
        try:
            yield
        except av.FFmpegError as error:
            raise self._file.error or OSError(error.errno or errno.EIO, error.strerror or str(error)) from None
        if self._file.error:
            raise self._file.error

    def _add_stream(self, kbps: int) -> AudioStream:
        stream = self._container.add_stream(
            self._form.codec, self._rate, _encoder_options(self._form.codec, self._rate), layout=self._layout
        )
        assert isinstance(stream, AudioStream)
        if kbps:
            stream.bit_rate = 1000 * kbps
        if self._form.codec == "flac":
            stream.format = "s32"  # of its formats, the one that holds 24 bits
        return stream

    def _write_head(self) -> None:
        container, tags = self._form.container, self._tags
        if container == "opus":
            self._stream.metadata["encoder"] = tags.values.get("encoded_by", "")
            write_head(self._container, comments(tags), Tags())
        elif container == "flac":
            write_head(
                self._container,
                {**tags.values, **chapter_comments(tags)},
                Tags(cover=tags.cover, cover_mime=tags.cover_mime),
            )
        elif container in ("wav", "aiff"):
            write_head(self._container, dict(tags.values), Tags())
        else:
            write_head(self._container, dict(tags.values), tags)


class _Quiet:
    """A file that FFmpeg writes to: it gets a number for an error, since PyAV prints a second one that is raised."""

    def __init__(self, file: AtomicFile) -> None:
        self._file = file
        self.tell = file.tell

    def write(self, data: bytes) -> int:
        with suppress(OSError):
            return self._file.write(data)
        return -errno.EIO

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with suppress(OSError):
            return self._file.seek(offset, whence)
        return -errno.EIO


def _as_int24(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Rounded to 24 bits, clipped at full scale, in the upper bits of 32."""
    scaled = np.rint(samples * np.float32(2**23))
    whole: npt.NDArray[np.int32] = np.clip(scaled, -(2**23), 2**23 - 1).astype(np.int32)
    return whole << 8


def _muxer_options(container: str, sample_rate: int) -> dict[str, str]:
    if container == "wav":
        return {"rf64": "auto"}
    if container == "mp4":  # durations in units of a sample; its usual unit of a millisecond would cut or add some
        return {"movie_timescale": str(sample_rate), "brand": "M4A "}
    return {}


def _encoder_options(codec: str, sample_rate: int) -> dict[str, str]:
    if codec in ("libmp3lame", "aac"):
        return {"cutoff": str(min(_HIGHEST_AUDIBLE_HZ, sample_rate // 2))}
    return {}
