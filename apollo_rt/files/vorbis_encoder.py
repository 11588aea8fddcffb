"""Encoding of Ogg Vorbis by libsndfile: FFmpeg's own encoder is experimental, and its wheel has no other."""

import os
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import soundfile

from apollo_rt.atomic_file import AtomicFile
from apollo_rt.files.ogg_comments import OggComments
from apollo_rt.files.tag_carrying import comments
from apollo_rt.files.tags import Tags

_KBPS = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)
"""libvorbis' nominal bit rates of stereo at 44.1 kHz for the qualities 0 to 10 (vorbisenc, `vorbis_rate_mapping`)."""


class VorbisEncoder:
    """Samples to one file; see `AvEncoder`.

    Args:
        file: written from its beginning.
        sample_rate: Hz, one that the format holds.
        channels: 1 or 2.
        kbps: nominal bit rate of all channels.
        tags: what to say about the music.

    Raises:
        OSError: it can't be written.
    """

    def __init__(self, file: AtomicFile, sample_rate: int, channels: int, kbps: int, tags: Tags) -> None:
        """Write the header."""
        self._file, self._pages = file, _Pages(file, tags)
        quality = float(np.interp(kbps * 2 / channels, _KBPS, np.linspace(0.0, 1.0, len(_KBPS))))
        self._encoder = soundfile.SoundFile(
            self._pages, "w", sample_rate, channels, "VORBIS", format="OGG", compression_level=1.0 - quality
        )

    def write(self, samples: npt.NDArray[np.float32]) -> None:
        """Append samples, full scale 1.0.

        Shape:
            `(samples, channels)`

        Raises:
            OSError: they can't be written.
        """
        with suppress(AssertionError, soundfile.SoundFileError):  # how soundfile says what the file has remembered
            self._encoder.write(samples)
        self._raise_what_was_dropped()

    def finish(self) -> None:
        """Write what the encoder holds back.

        Raises:
            OSError: it can't be written.
        """
        self.close()
        self._raise_what_was_dropped()

    def close(self) -> None:
        """Let go of the file, whatever becomes of it."""
        with suppress(soundfile.SoundFileError):
            self._encoder.close()

    def _raise_what_was_dropped(self) -> None:
        if self._file.error:
            raise self._file.error


class _Pages:
    """A file that libsndfile writes to: it may not raise, since libsndfile drops the errors of its last pages."""

    def __init__(self, file: AtomicFile, tags: Tags) -> None:
        self._ogg, self._n_bytes = OggComments(file, comments(tags)), 0

    def write(self, data: bytes) -> int:
        with suppress(OSError):
            self._n_bytes += self._ogg.write(bytes(data))
            return len(data)
        return 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._n_bytes

    def tell(self) -> int:
        return self._n_bytes
