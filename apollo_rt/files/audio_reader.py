"""Audio files as sources of a stream: read in the stream's layout, at the stream's rate.

Inside a stream there are always two channels, interleaved `(samples, 2)`: mono is doubled by the reader and averaged by
the writer.
"""

import os
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from apollo_rt.files.audio_decoder import AudioDecoder
from apollo_rt.files.tags import Tags
from apollo_rt.stream.rate_converter import RateConverter

Samples = npt.NDArray[np.float32]


class AudioReader:
    """A file's audio as two-channel blocks at one sample rate, decoded as it is read.

    Args:
        path: any file that FFmpeg decodes, with one or two channels.
        sample_rate: rate of the blocks in Hz; a file of another rate is converted.

    Attributes:
        source_rate: the file's own rate in Hz.
        source_channels: the file's own channels, 1 or 2.

    Raises:
        AudioFileError: the file can't be opened as audio.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate: int = 44_100) -> None:
        """Open the file."""
        self.path = Path(path)
        self._decoder = AudioDecoder(self.path)
        self.source_rate = self._decoder.sample_rate
        self.source_channels = self._decoder.n_channels
        self._decoded = self._decoder.blocks()
        self._converter = RateConverter(self.source_rate, sample_rate, self.source_channels)
        self._pending: Samples = np.empty((0, self.source_channels), np.float32)
        self._at_end = False

    @property
    def n_source_samples(self) -> int | None:
        """Length at the file's own rate: as announced (None: it isn't), and once read to the end, as it was."""
        return self._decoder.n_decoded if self._at_end else self._decoder.n_announced

    @property
    def tags(self) -> Tags:
        """What the file says about the music: tags, cover and chapters."""
        return self._decoder.tags

    @property
    def warnings(self) -> list[str]:
        """One line for each thing wrong with the file that did not stop us; complete at the file's end."""
        return self._decoder.warnings

    def read(self, n_samples: int) -> Samples:
        """Read on.

        Args:
            n_samples: how many samples, 0 or more.

        Returns:
            That many samples, fewer only at the end of the file, and from then on none.

        Shape:
            `(samples, 2)`

        Raises:
            AudioFileError: nothing can be decoded, or a sample is not finite.
        """
        parts, n_ready = [self._pending], len(self._pending)
        while n_ready < n_samples and not self._at_end:
            parts.append(self._next_block())
            n_ready += len(parts[-1])
        ready = np.concatenate(parts)
        self._pending = ready[n_samples:].copy()
        return np.repeat(ready[:n_samples], 2 // self.source_channels, axis=1)

    def _next_block(self) -> Samples:
        block = next(self._decoded, None)
        if block is not None:
            return self._converter.convert(block)
        self._at_end = True
        return self._converter.convert(np.empty((0, self.source_channels), np.float32), last=True)

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()

    def __enter__(self) -> Self:
        """Close the file at the end of a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()
