"""A container's clock places each decoded frame, and the end of the sound.

The clocks count in ticks of 1 sample to 1/1000 s, so a place is taken from them only where the sound doesn't go on by
itself: at its beginning, behind a gap, and at its announced end.
"""

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
MATROSKA = "matroska,webm"

_WITH_CLOCK = frozenset((MP4, MATROSKA, "flac", "flv", "mpeg", "mpegts", "nut", "mxf"))
"""Formats that store times. In the others FFmpeg counts what it finds, or they are too rough to tell a gap (ASF)."""

_LEAST_LATE_S = 0.002
_LATEST_START_S = 30
"""What begins later than this is a piece of something longer, not late."""

_LONGEST_HOLE_S = 3600
"""A clock that leaps further began anew; an hour of silence would help nobody, and a forged one would fill the disk."""


class ContainerClock:
    """Follows one track's times.

    Args:
        container: opened.
        stream: the track.
    """

    def __init__(self, container: InputContainer, stream: AudioStream) -> None:
        """Nothing was decoded yet."""
        is_flac = container.format.name == "flac"
        # Without STREAMINFO, of FLAC begun in the middle, FFmpeg doesn't know what its clock counts.
        self._is_stored = container.format.name in _WITH_CLOCK and not (is_flac and not stream.codec_context.extradata)
        self._is_counted = is_flac and self._is_stored
        self._tick_s = float(stream.time_base or 0)
        self._origin_s = _origin_s(container)
        self._start_s: float | None = None
        self._heard_from_s = 0.0
        self._end_s = 0.0
        self._next_s: float | None = None
        self._n_owed = 0
        self._frame_length = self._longest_frame = 0
        # Of Vorbis in Matroska FFmpeg's own muxer puts a block up to half a block away from where it belongs.
        self._certain = 1.0 if stream.codec_context.name == "vorbis" else 0.5

    def note_packet(self, packet: "Packet[AudioStream]", delay_s: float) -> None:
        """Take a packet's time.

        Args:
            packet: the next of the track.
            delay_s: how much of its beginning is not to be heard, in seconds.
        """
        if packet.pts is None:
            return
        if self._start_s is None:
            self._start_s = packet.pts * self._tick_s + delay_s
        self._end_s = (packet.pts + (packet.duration or 0)) * self._tick_s

    def note_fault(self, n_frames: int) -> None:
        """Take note that so many frames are missing, where no time will tell."""
        if not self._is_stored:
            self._n_owed += n_frames * self._frame_length

    def missing_before(self, frame: AudioFrame) -> int:
        """Samples that are missing in front of the next frame, at its rate, 0 or more."""
        n_missing, self._n_owed = self._n_owed, 0
        if self._is_stored and frame.pts is not None:
            at_s = frame.pts * self._tick_s
            if self._next_s is None:
                late_s = self._late_s()
                n_missing, self._heard_from_s = round(late_s * frame.sample_rate), at_s
            else:
                n_missing = self._gap((at_s - self._next_s) * frame.sample_rate, frame)
            self._next_s = at_s
        if self._next_s is not None:
            self._next_s += frame.samples / frame.sample_rate
        self._frame_length = frame.samples
        return n_missing

    @property
    def begun_s(self) -> float:
        """Seconds of the announced length before the first packet: FLAC cut without a new header."""
        return (self._start_s or 0.0) if self._is_counted else 0.0

    def length_by_packets_s(self) -> float | None:
        """Seconds from the first packet's beginning to the last one's end, None where no times are stored."""
        return self._end_s - self._start_s if self._is_stored and self._start_s is not None else None

    def length_until_s(self, end_s: float) -> float:
        """Seconds from the first sample that was decoded to a time of the container's."""
        return end_s - self._heard_from_s

    def _late_s(self) -> float:
        late_s = (self._start_s or 0.0) - self._origin_s
        return late_s if _LEAST_LATE_S < late_s <= _LATEST_START_S else 0.0

    def _gap(self, leap: float, frame: AudioFrame) -> int:
        """The length of a gap, to the sample where it is made of whole frames; a leap in samples."""
        tick = self._tick_s * frame.sample_rate
        self._longest_frame = max(self._longest_frame, frame.samples)
        if leap <= max(self._certain * self._longest_frame, 2 * tick) or leap > _LONGEST_HOLE_S * frame.sample_rate:
            return 0
        whole = round(leap / frame.samples) * frame.samples
        is_whole = frame.samples == self._frame_length and abs(leap - whole) <= 1.5 * tick
        return whole if is_whole else round(leap)


def _origin_s(container: InputContainer) -> float:
    """The time that the place of everything is counted from, in seconds.

    MP4 and Matroska have a time 0, which stands for the presentation's beginning whether or not something begins there;
    elsewhere it is that of the earliest track.
    """
    starts_s = (container.start_time or 0) / 1_000_000
    is_absolute = container.format.name in (MP4, MATROSKA) and starts_s <= _LATEST_START_S
    return 0.0 if is_absolute else starts_s
