"""Decoding of audio files by FFmpeg (through PyAV), at the file's own rate and channels.

Everything comes out, each sample at its place: the encoder's delay and padding are cut where the file announces them,
links and joined files follow each other, and silence stands where something is missing. What is wrong with a file is an
`AudioFileError` where nothing useful can come of it, and a warning where the rest can still be used.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from apollo_rt.errors import AudioFileError
from apollo_rt.files.container_sound import ContainerSound
from apollo_rt.files.music_names import MUSIC_SUFFIXES
from apollo_rt.files.ogg_links import is_ours
from apollo_rt.files.ogg_sound import OggSound
from apollo_rt.files.raw_format import RawFormat
from apollo_rt.files.raw_sound import RawSound
from apollo_rt.files.run_sounds import RunSounds
from apollo_rt.files.sound import Samples, Sound, SoundSource
from apollo_rt.files.source_file import SourceFile
from apollo_rt.files.timeline import Timeline
from apollo_rt.network.address import Address


class AudioDecoder:
    """The samples of one file, block by block.

    Args:
        path: any file that FFmpeg decodes, or an address.
        track: which of its audio tracks, from 1; None for the best one, that is mono or stereo if there is such a one.
        raw: what its bytes are, where its name doesn't say that they have a header.

    Attributes:
        sample_rate: Hz, of the whole file's blocks.
        channels: names of their channels, such as ("FL", "FR").
        codec: FFmpeg's name of the first decoder.
        tags: what the file says about the music.
        n_announced: samples that the file's header promises, where it does.
        n_decoded: samples delivered so far.
        is_endless: a station, of which more comes for ever.
        warnings: one line for each thing wrong that did not stop us; complete after the last block.

    Raises:
        AudioFileError: the file can't be opened as audio.
    """

    def __init__(self, path: Path | Address, track: int | None = None, raw: RawFormat | None = None) -> None:
        """Open the file and read what its header says."""
        self.path = path
        self.warnings: list[str] = []
        self.n_decoded = 0
        self._is_interrupted = False
        self._source = _source(path, track, raw)
        self.is_endless = isinstance(self._source, RunSounds) and self._source.is_endless
        self._sounds = self._source.sounds()
        self._first = self._next_sound()  # a header may say something else
        self.sample_rate = self._first.sample_rate if self._first else self._source.sample_rate
        self.channels = self._first.channels if self._first else self._source.channels
        self.codec, self.tags = self._source.codec, self._source.tags
        n_announced = self._source.n_announced
        self._rate_ratio = self.sample_rate / self._source.sample_rate
        self.n_announced = None if n_announced is None else round(n_announced * self._rate_ratio)

    def blocks(self) -> Iterator[Samples]:
        """Decode the file from where it stands to its end.

        Yields:
            Blocks of whatever length the codec works with, full scale 1.0.

        Shape:
            `(samples, channels)`

        Raises:
            AudioFileError: nothing can be decoded, the file can't be read on, or a sample is not finite.
        """
        timeline = Timeline(self.sample_rate, self.channels)
        for samples in timeline.blocks(self._finite_sounds()):
            self.n_decoded += len(samples)
            yield samples
        if not self._is_interrupted:
            self._check_the_end(timeline)

    def interrupt(self) -> None:
        """Let a read of a pipe that waits end now, from another thread; nothing is said of the end then."""
        self._is_interrupted = True
        self._source.interrupt()

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _next_sound(self) -> Sound | None:
        try:
            return next(self._sounds, None)
        except OSError as error:
            self.close()
            raise AudioFileError(f"{self.path}: can't be read on: {error.strerror or error}") from None

    def _finite_sounds(self) -> Iterator[Sound]:
        sound = self._first
        while sound:
            self._refuse_not_finite(sound.samples)
            yield sound
            sound = self._next_sound()

    def _refuse_not_finite(self, samples: Samples) -> None:
        finite = np.isfinite(samples)
        if finite.all():
            return
        at, channel = np.argwhere(~finite)[0]
        raise AudioFileError(
            f"{self.path}: sample {self.n_decoded + at} of channel {channel + 1} is not a finite number "
            f"({samples[at, channel]})"
        )

    def _check_the_end(self, timeline: Timeline) -> None:
        """After the last packet: was this all there should have been?"""
        n_faults = self._source.n_faults
        if not self.n_decoded and n_faults:
            raise AudioFileError(f"{self.path}: nothing in it can be decoded as {self._source.codec}")
        lines = timeline.warnings()
        if n_faults:
            lines.append(f"damaged in {n_faults} place{'s' if n_faults > 1 else ''}, where nothing can be decoded")
        lines += self._source.end_warnings(round(self.n_decoded / self._rate_ratio))
        self.warnings += [f"{self.path}: {line}" for line in lines]


def _source(path: Path | Address, track: int | None, raw: RawFormat | None) -> SoundSource:
    """The file by what it begins with: our own reader for Ogg's links, FFmpeg's for everything else."""
    file = SourceFile(path)
    try:
        if raw and path.suffix.lower() not in MUSIC_SUFFIXES:  # else its name says what it is
            return RawSound(file, raw)
        return RunSounds(file, lambda run: _music(run, track)) if isinstance(path, Address) else _music(file, track)
    except BaseException:
        file.close()
        raise


def _music(file: SourceFile, track: int | None) -> SoundSource:
    return OggSound(file, track) if _is_ogg(file) else ContainerSound(file, track)


def _is_ogg(file: SourceFile) -> bool:
    """Whether our own reader takes it; of a pipe only where Ogg stands at its beginning."""
    return (file.is_seekable or file.at(0, 4) == b"OggS") and is_ours(file.first_bytes())
