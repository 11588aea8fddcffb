"""Decoding of audio files by FFmpeg (through PyAV), at the file's own rate and channel count.

Gapless as FFmpeg is: the encoder's delay and padding are cut where the file announces them. What is wrong with a file
is an `AudioFileError` where nothing useful can come of it, and a warning where the rest can still be used.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.codec.context import Flags2
from av.container import InputContainer

from apollo_rt.errors import AudioFileError
from apollo_rt.files.ape_tag import ApeTag, read_ape_tag
from apollo_rt.files.tag_reading import read_tags

_MISSING_TOLERANCE_S = 0.1
"""How much less than announced a file may hold before we call it cut off: encoders round by a few of their frames."""

_LONGEST_VORBIS_PADDING = 2 * 8192
"""Two of the longest blocks (Vorbis I, section 4.2.2): what lies further behind the announced end is not padding."""

_MP3_KBPS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}
"""Bit rate by MPEG version and index, layer III: ISO/IEC 11172-3, 2.4.2.3, and ISO/IEC 13818-3, 2.4.2.3."""


class AudioDecoder:
    """The samples of one file, block by block.

    Args:
        path: any file that FFmpeg decodes, with one or two channels.

    Attributes:
        sample_rate: Hz.
        n_channels: 1 or 2.
        n_announced: samples that the file's header promises, where it does.
        n_decoded: samples delivered so far.
        tags: what the file says about the music.
        warnings: one line for each thing wrong that did not stop us; complete after the last block.

    Raises:
        AudioFileError: the file can't be opened as audio.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and read what its header says."""
        self.path = path
        self.warnings: list[str] = []
        self.n_decoded = 0
        self._n_faults = 0
        self._n_beyond = 0
        self._last_packet = b""
        self._container = _open(path)
        try:
            self._stream = _audio_stream(self._container, path)
        except AudioFileError:
            self._container.close()
            raise
        self.tags, self._demuxed = read_tags(self._container, self._stream, self._container.demux(), _ape_tag(path))
        self.sample_rate: int = self._stream.rate
        self.n_channels: int = self._stream.channels
        self.n_announced = _announced_length(self._stream)
        self._is_vorbis = self._container.format.name == "ogg" and self._stream.codec_context.name == "vorbis"
        if self._is_vorbis:
            # FFmpeg loses 128 samples of a file of a single page (1.5 s), so both ends are cut here.
            self._stream.codec_context.flags2 |= Flags2.skip_manual

    def blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """Decode the file from where it stands to its end.

        Yields:
            Blocks of whatever length the codec works with, full scale 1.0.

        Shape:
            `(samples, n_channels)`

        Raises:
            AudioFileError: nothing can be decoded, the layout changes on the way, or a sample is not finite.
        """
        frames = self._frames()
        if self._is_vorbis:
            next(frames, None)  # the first block only fills the overlap: Vorbis I, section 1.3.2
        for frame in frames:
            if (frame.sample_rate, frame.layout.nb_channels) != (self.sample_rate, self.n_channels):
                raise AudioFileError(f"{self.path}: sample rate or channels change inside the file")
            samples = _as_float(frame)
            if self._is_vorbis and self.n_announced is not None:
                n_wanted = max(self.n_announced - self.n_decoded, 0)
                self._n_beyond += len(samples[n_wanted:])
                samples = samples[:n_wanted]
            self._refuse_not_finite(samples)
            self.n_decoded += len(samples)
            yield samples
        self._check_the_end()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _frames(self) -> Iterator[av.AudioFrame]:
        """What can be decoded; a damaged packet is counted and gives nothing."""
        for packet in self._packets():
            try:
                yield from packet.decode()
            except av.FFmpegError:
                self._n_faults += 1

    def _packets(self) -> Iterator["av.Packet[AudioStream]"]:
        """The file's packets; one that can't be read ends the file, as it would end a player's."""
        while True:
            try:
                packet = next(self._demuxed, None)
            except av.FFmpegError:
                self._n_faults += 1
                return
            if packet is None:
                return
            if packet.stream.index != self._stream.index:
                continue
            if packet.size:
                self._last_packet = bytes(packet)
            yield packet

    def _refuse_not_finite(self, samples: npt.NDArray[np.float32]) -> None:
        finite = np.isfinite(samples)
        if finite.all():
            return
        at, channel = np.argwhere(~finite)[0]
        raise AudioFileError(
            f"{self.path}: sample {self.n_decoded + at} of channel {channel + 1} is not a finite number "
            f"({samples[at, channel]})"
        )

    def _check_the_end(self) -> None:
        """After the last packet: was this all there should have been?"""
        if not self.n_decoded and self._n_faults:
            raise AudioFileError(f"{self.path}: nothing in it can be decoded as {self._stream.codec_context.name}")
        if self._n_faults:
            self.warnings.append(f"{self.path}: damaged in {self._n_faults} places, which are left out")
        if self._n_beyond > _LONGEST_VORBIS_PADDING:
            self.warnings.append(f"{self.path}: holds several songs in a row, of which only the first is read")
        missing_s = ((self.n_announced or 0) - self.n_decoded) / self.sample_rate
        if missing_s > _MISSING_TOLERANCE_S and _announces_exactly(self._container, self._stream):
            self.warnings.append(f"{self.path}: cut off: the last {missing_s:.1f} s of what it announces are missing")
        elif self._is_cut_off():
            self.warnings.append(f"{self.path}: cut off: it ends in the middle of a block")

    def _is_cut_off(self) -> bool:
        """Whether the file ends before its last block does, where the file's format lets us see that."""
        if self._stream.codec_context.name.startswith("mp3"):
            return 0 < len(self._last_packet) < _mp3_packet_length(self._last_packet)
        return self._container.format.name == "wav" and _wav_is_cut_off(self.path)


def _open(path: Path) -> InputContainer:
    if not path.exists():
        raise AudioFileError(f"{path}: no such file")
    if path.is_dir():
        raise AudioFileError(f"{path}: is a folder, not an audio file")
    if path.is_file() and path.stat().st_size == 0:
        raise AudioFileError(f"{path}: the file is empty")
    try:
        return av.open(os.fspath(path), metadata_errors="replace")
    except av.InvalidDataError:
        raise AudioFileError(f"{path}: not an audio file, or of a kind that can't be read") from None
    except (av.FFmpegError, OSError) as error:
        raise AudioFileError(f"{path}: can't be opened: {error.strerror or error}") from None


def _ape_tag(path: Path) -> ApeTag:
    if not path.is_file():
        return ApeTag()
    with path.open("rb") as file:
        return read_ape_tag(file)


def _audio_stream(container: InputContainer, path: Path) -> AudioStream:
    """The file's audio stream (the one FFmpeg thinks best of several); pictures and video beside it don't matter."""
    stream = container.streams.best("audio")
    if not isinstance(stream, AudioStream):
        raise AudioFileError(f"{path}: holds no audio")
    if stream.channels > 2:
        raise AudioFileError(
            f"{path}: has {stream.channels} channels; only mono and stereo can be restored, so mix it down first"
        )
    if stream.channels < 1 or stream.rate < 1:
        raise AudioFileError(f"{path}: not an audio file, or of a kind that can't be read")
    return stream


def _announced_length(stream: AudioStream) -> int | None:
    """The file's length in samples as its header gives it."""
    if stream.duration is None or stream.time_base is None:
        return None
    return round(stream.duration * stream.time_base * stream.rate)


def _announces_exactly(container: InputContainer, stream: AudioStream) -> bool:
    """Whether the announced length stands in a header; elsewhere FFmpeg guesses it from the size of the file."""
    if container.format.name == "mp3":
        return bool(stream.start_time)  # only a LAME header, which also gives the length, makes the start differ from 0
    return container.format.name == "flac" or "mp4" in container.format.name


def _as_float(frame: av.AudioFrame) -> npt.NDArray[np.float32]:
    """One decoded frame as `(samples, channels)`, full scale 1.0."""
    values: npt.NDArray[np.generic] = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)
    if values.dtype.kind == "f":
        return np.ascontiguousarray(values).astype(np.float32, copy=False)
    bits = 8 * values.dtype.itemsize
    middle = 2 ** (bits - 1) if values.dtype.kind == "u" else 0
    exact: npt.NDArray[np.float64] = (values.astype(np.float64) - middle) / 2 ** (bits - 1)
    return exact.astype(np.float32)


def _mp3_packet_length(packet: bytes) -> int:
    """Length in bytes that a layer III packet announces, 0 if it does not (ISO/IEC 11172-3, 2.4.3.1)."""
    header = int.from_bytes(packet[:4], "big")
    version = 1 if header >> 19 & 3 == 3 else 2
    rate_index = header >> 10 & 3
    if header >> 21 != 0x7FF or header >> 17 & 3 != 1 or rate_index == 3:
        return 0
    sample_rate = (44_100, 48_000, 32_000)[rate_index] >> (3, 0, 1, 0)[header >> 19 & 3]
    bits_per_s = 1000 * _MP3_KBPS[version][header >> 12 & 15]
    return (144 if version == 1 else 72) * bits_per_s // sample_rate + (header >> 9 & 1)


def _wav_is_cut_off(path: Path) -> bool:
    """Whether a wav file's header promises more bytes than it has; 0 and all ones stand for "unknown"."""
    with path.open("rb") as file:
        tag, length = file.read(4), int.from_bytes(file.read(4), "little")
    return tag == b"RIFF" and 0 < length < 0xFFFF_FFFF and length + 8 > path.stat().st_size
