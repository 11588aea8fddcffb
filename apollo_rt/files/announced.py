"""Headers announce the length of the sound: edit lists, iTunSMPB, LAME's tag, and those that count samples."""

import re

from av.audio.stream import AudioStream
from av.container import InputContainer

from apollo_rt.files.container_clock import MATROSKA, MP4, ContainerClock
from apollo_rt.files.mp4_boxes import top_boxes
from apollo_rt.files.mpeg_audio import announced_samples
from apollo_rt.files.source_file import At

_COUNTED = frozenset(
    ("aiff", "ape", "au", "dsf", "flac", "mpc", "mpc8", "tak", "tta", "w64", "wav", "wv", MP4, MATROSKA)
)
"""Formats whose headers count samples; elsewhere FFmpeg guesses the length from the size of the file."""

_LONGEST_PADDING = 2 * 8192
"""Two of the longest blocks of any codec (Vorbis I, section 4.2.2): what lies further behind an end is no padding."""


_MATROSKA_TICK_S = 0.001
"""Matroska counts in milliseconds, so less than one beyond its end is none."""


class Announcement:
    """Length of one track, as its headers say it.

    Args:
        container: opened.
        stream: the track.
        at: reads the file's bytes, by position and number.
        codec: the decoder that is used; of integers in wav it may not be the one that FFmpeg counted with.

    Attributes:
        n_samples: at the track's rate, None where nothing is said.
        is_exact: it stands in a header and is not guessed.
    """

    def __init__(self, container: InputContainer, stream: AudioStream, at: At, codec: str) -> None:
        """Read the headers."""
        self._format = container.format.name
        self._stream = stream
        self._rate: int = stream.rate
        self._width_ratio = _pcm_bits(stream.codec_context.name) / _pcm_bits(codec)
        self._itunes = _itunes_length(container)
        self._tagged_s = _tagged_duration_s(stream)
        self._longest_padding = _LONGEST_PADDING
        self._movie_rate = _movie_rate(at) if self._format == MP4 else 0
        self.n_samples = self._length(at)
        self.is_exact = self._format in _COUNTED or (self._format == "mp3" and self.n_samples is not None)

    @property
    def may_cut(self) -> bool:
        """The end may lie before what is decoded last: what formats other than these announce is no end."""
        return (
            self._itunes is not None
            or self._format in (MP4, MATROSKA)
            or (self._format in ("caf", "mp3") and self.n_samples is not None)
        )

    def beyond_s(self, decoded_s: float, clock: ContainerClock, is_exact: bool) -> float:
        """After the end: how much of what was decoded lies behind the announced end, in seconds.

        Args:
            decoded_s: from the track's beginning on, gaps included.
            clock: the container's.
            is_exact: the codec or announced padding has seen to the end already.
        """
        end_s = self._end_s(clock, is_exact)
        beyond_s = 0.0 if end_s is None else decoded_s - end_s
        least_s = _MATROSKA_TICK_S if self._format == MATROSKA else 0.0
        return beyond_s if beyond_s > least_s and round(beyond_s * self._rate) <= self._longest_padding else 0.0

    def _length(self, at: At) -> int | None:
        if self._format == "mp3":
            # Where there is more than padding behind it, files were joined.
            n_samples, self._longest_padding = announced_samples(at) or (None, 0)
            return n_samples
        if self._itunes is not None:
            return self._itunes
        if self._format == MATROSKA:
            return None if self._tagged_s is None else round(self._tagged_s * self._rate)
        if self._stream.duration is None or self._stream.time_base is None:
            return None
        return round(self._stream.duration * self._stream.time_base * self._rate * self._width_ratio)

    def _end_s(self, clock: ContainerClock, is_exact: bool) -> float | None:
        """The announced length in seconds, as exactly as the format has it."""
        announced_s = None if self.n_samples is None else self.n_samples / self._rate
        if self._itunes is not None or self._format == "caf" or self._format == "mp3":
            return announced_s
        if self._format == MP4:
            return self._mp4_end_s(announced_s, clock.length_by_packets_s())
        if self._format == MATROSKA and not is_exact:
            return self._matroska_end_s(clock)
        return None

    def _mp4_end_s(self, edited_s: float | None, by_packets_s: float | None) -> float | None:
        """The last packet's end to the sample, or the edit list's, which is rounded to the movie's own time scale."""
        if by_packets_s is None or edited_s is None:
            return None
        rounding_s = max(1 / self._movie_rate if self._movie_rate else 0.0, 1 / self._rate)
        return by_packets_s if by_packets_s - edited_s < rounding_s else edited_s

    def _matroska_end_s(self, clock: ContainerClock) -> float | None:
        """The end by the track's DURATION tag."""
        return None if self._tagged_s is None else clock.length_until_s(self._tagged_s)


def _pcm_bits(codec: str) -> int:
    """Bits of one sample by the codec's name; 1 for all that isn't PCM."""
    match = re.fullmatch(r"pcm_[usf](\d+)\w*", codec)
    return int(match[1]) if match else 1


def _tagged_duration_s(stream: AudioStream) -> float | None:
    """Matroska's DURATION tag of a track, where its muxer wrote one."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", stream.metadata.get("DURATION", ""))
    if not match:
        return None
    hours, minutes, seconds = match.groups()
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def _itunes_length(container: InputContainer) -> int | None:
    """The length in `iTunSMPB`: after a zero the delay, the padding, and the samples between them, in hex."""
    tag = next((value for name, value in container.metadata.items() if name.lower() == "itunsmpb"), "")
    fields = tag.split()
    if len(fields) < 4 or not all(re.fullmatch("[0-9A-Fa-f]+", field) for field in fields[:4]):
        return None
    return int(fields[3], 16) or None


def _movie_rate(at: At) -> int:
    """The time scale of an MP4's movie header, in which its edits are counted; 0 where it isn't found."""
    found = (position for kind, position, _ in top_boxes(at) if kind == b"moov")
    position = next(found, None)
    return 0 if position is None else _scale_in(at(position + 8, 256))


def _scale_in(movie: bytes) -> int:
    """ISO/IEC 14496-12, 8.2.2: behind version and flags two dates of 4 bytes, or of 8 in version 1."""
    found = movie.find(b"mvhd")
    if found < 0:
        return 0
    is_long = movie[found + 4] == 1
    scale_at = found + 8 + (16 if is_long else 8)
    return int.from_bytes(movie[scale_at : scale_at + 4], "big")
