"""Audio files as sources of a stream: read in the stream's layout, at the stream's rate.

Inside a stream there are always two channels, interleaved `(samples, 2)`: mono is doubled by the reader and averaged by
the writer. More channels become two, or are read pair by pair, side by side: `(samples, 2 * pairs)`.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from apollo_rt.config import SAMPLE_RATES
from apollo_rt.errors import AudioFileError
from apollo_rt.files.audio_decoder import AudioDecoder
from apollo_rt.files.channel_layout import STEREO, mixing, pairs
from apollo_rt.files.raw_format import RawFormat
from apollo_rt.files.sound import Samples as Samples
from apollo_rt.files.tags import Tags
from apollo_rt.network.address import Address, place_of
from apollo_rt.stream.rate_converter import RateConverter


@dataclass(frozen=True)
class ReadSettings:
    """Choice of what of a file is restored.

    Attributes:
        track: which of its audio tracks, from 1; None for the best one, that is mono or stereo if there is such a one.
        downmix: True makes stereo of more than two channels, False leaves them what they are.
        raw: what its bytes are, where its name doesn't say that they have a header.
    """

    track: int | None = None
    downmix: bool = False
    raw: RawFormat | None = None


class AudioReader:
    """A file's audio as two-channel blocks at one sample rate, decoded as it is read.

    Args:
        path: any file that FFmpeg decodes, a named pipe, `standard_streams.STDIN`, or an address.
        sample_rate: rate of the blocks in Hz; a file of another rate is converted.
        track: which of its audio tracks, from 1; None for the best one, that is mono or stereo if there is such a one.
        downmix: make stereo of more than two channels: None does so with a warning, False reads them in pairs.
        raw: what its bytes are, where its name doesn't say that they have a header.

    Attributes:
        codec: FFmpeg's name of the first decoder.
        source_rate: the file's own rate in Hz.
        source_channels: channels that a file like this one has: 1, 2, or all there are if they are read in pairs.
        channel_pairs: which of the source's channels stand in which two columns; one alone is doubled.

    Raises:
        AudioFileError: the file can't be opened as audio.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Address,
        sample_rate: int = 44_100,
        track: int | None = None,
        downmix: bool | None = None,
        raw: RawFormat | None = None,
    ) -> None:
        """Open the file."""
        self.path = place_of(path)
        self._decoder = AudioDecoder(self.path, track, raw)
        self.codec, self.source_rate = self._decoder.codec, self._decoder.sample_rate
        refuse_rate(self.path, self.source_rate)
        n_channels = len(self._decoder.channels)
        is_mixed = n_channels > 2 and downmix is not False
        if is_mixed and downmix is None:
            self._decoder.warnings.append(f"{self.path}: its {n_channels} channels are mixed down to stereo")
        self._mixing = mixing(self._decoder.channels, STEREO) if is_mixed else None
        self.source_channels = 2 if is_mixed else n_channels
        self.channel_pairs = pairs(STEREO if is_mixed else self._decoder.channels)
        self._columns = [index for group in self.channel_pairs for index in (group[0], group[-1])]
        self._decoded = self._decoder.blocks()
        self._converter = RateConverter(self.source_rate, sample_rate, self.source_channels)
        self._pending: Samples = np.empty((0, self.source_channels), np.float32)
        self._at_end = False

    @property
    def n_source_samples(self) -> int | None:
        """Length at the file's own rate: as announced (None: it isn't), and once read to the end, as it was."""
        n_decoded, n_announced = self._decoder.n_decoded, self._decoder.n_announced
        if self._at_end:
            return n_decoded
        return n_announced if n_announced is not None and n_announced >= n_decoded else None

    @property
    def is_endless(self) -> bool:
        """Whether it is a station, of which more comes for ever."""
        return self._decoder.is_endless

    @property
    def tags(self) -> Tags:
        """Tags, cover and chapters of the file."""
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
            `(samples, 2 * pairs)`: `(samples, 2)` unless more channels are read in pairs.

        Raises:
            AudioFileError: nothing can be decoded, or a sample is not finite.
        """
        return self._read(n_samples, n_samples)

    def read_some(self, n_samples: int) -> Samples:
        """Read on, as soon as there is anything: what a pipe has brought is not kept back until more comes.

        Args:
            n_samples: the most, 1 or more.

        Returns:
            At least one sample, and none at the end of the file. Shape and errors: see `read`.
        """
        return self._read(n_samples, 1)

    def _read(self, n_samples: int, n_least: int) -> Samples:
        parts, n_ready = [self._pending], len(self._pending)
        while n_ready < n_least and not self._at_end:
            parts.append(self._next_block())
            n_ready += len(parts[-1])
        ready = np.concatenate(parts)
        self._pending = ready[n_samples:].copy()
        return np.ascontiguousarray(ready[:n_samples, self._columns])

    def _next_block(self) -> Samples:
        block = next(self._decoded, None)
        if block is not None:
            return self._converter.convert(block if self._mixing is None else block @ self._mixing)
        self._at_end = True
        return self._converter.convert(np.empty((0, self.source_channels), np.float32), last=True)

    def interrupt(self) -> None:
        """Let a read of a pipe that waits end now, from another thread; the file is at its end then."""
        self._decoder.interrupt()

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()

    def __enter__(self) -> Self:
        """Close the file at the end of a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()


def refuse_rate(name: Path | Address, rate: int) -> None:
    """Refuse a rate whose conversion would have no bound: 50 kB of FLAC "at 1 Hz" are gigabytes at the model's rate.

    Raises:
        AudioFileError: it is beyond `config.SAMPLE_RATES`.
    """
    low, high = SAMPLE_RATES
    if not low <= rate <= high:
        raise AudioFileError(f"{name}: has a sample rate of {rate} Hz; from {low} to {high} can be read")
