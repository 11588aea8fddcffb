"""Where a container's clock puts each frame, and where it says that the sound ends.

The clocks count in ticks of 1 sample to 1/1000 s, so a place is taken from them only where the sound doesn't go on by
itself: at its beginning, behind a hole, and at its announced end.
"""

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
MATROSKA = "matroska,webm"

_WITH_CLOCK = frozenset((MP4, MATROSKA, "flac", "flv", "mpeg", "mpegts", "nut", "mxf"))
"""Formats that store times. In the others FFmpeg counts what it finds, or they are too rough to tell a hole (ASF)."""

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
        self._rate: int = stream.rate
        self._is_stored = container.format.name in _WITH_CLOCK
        self._tick = float(stream.time_base or 0)
        self._origin_s = _origin_s(container)
        self._start: float | None = None  # all places in samples of the track's rate
        self._heard_from = 0.0
        self._next_place: float | None = None
        self._n_owed = 0
        self._frame_length = 0
        self._end_of_packets: float | None = None

    def note_packet(self, packet: "Packet[AudioStream]", n_cut: int) -> None:
        """Take a packet's time.

        Args:
            packet: the next of the track.
            n_cut: samples at its beginning that are not to be heard.
        """
        if packet.pts is None:
            return
        place = packet.pts * self._tick * self._rate
        if self._start is None:
            self._start = place + n_cut
        self._end_of_packets = place + (packet.duration or 0) * self._tick * self._rate

    def note_fault(self, n_frames: int = 1) -> None:
        """Take note that so many frames in a row are missing, where no time will tell."""
        if not self._is_stored:
            self._n_owed += n_frames * self._frame_length

    def missing_before(self, frame: AudioFrame) -> int:
        """Samples that are missing in front of the next frame, 0 or more."""
        n_missing, self._n_owed = self._n_owed, 0
        if not self._is_stored or frame.pts is None:
            self._frame_length = frame.samples
            return n_missing
        place = frame.pts * self._tick * self._rate
        if self._next_place is None:
            n_missing = self._late_start()
            self._heard_from = place
        else:
            n_missing = self._hole(place - self._next_place, frame.samples)
        self._next_place = place + frame.samples
        self._frame_length = frame.samples
        return n_missing

    def length_by_packets(self) -> int | None:
        """Samples from the first packet's beginning to the last one's end, None where no times are stored."""
        if not self._is_stored or self._start is None or self._end_of_packets is None:
            return None
        return round(self._end_of_packets - self._start)

    def length_until(self, end_s: float) -> int | None:
        """Samples from the first that was decoded to a time of the container's, in seconds."""
        return None if self._start is None else round(end_s * self._rate - self._heard_from)

    def _late_start(self) -> int:
        late_s = (self._start or 0.0) / self._rate - self._origin_s
        return round(late_s * self._rate) if _LEAST_LATE_S < late_s <= _LATEST_START_S else 0

    def _hole(self, leap: float, n_samples: int) -> int:
        """The length of a hole, to the sample where it is made of whole frames."""
        tick_length = self._tick * self._rate
        if leap <= max(n_samples / 2, 2 * tick_length) or leap > _LONGEST_HOLE_S * self._rate:
            return 0
        whole = round(leap / n_samples) * n_samples
        is_whole = n_samples == self._frame_length and abs(leap - whole) <= 1.5 * tick_length
        return whole if is_whole else round(leap)


def _origin_s(container: InputContainer) -> float:
    """The time that the place of everything is counted from, in seconds.

    MP4 and Matroska have a time 0, which stands for the presentation's beginning whether or not something begins there;
    elsewhere it is that of the earliest track.
    """
    starts_s = (container.start_time or 0) / 1_000_000
    is_absolute = container.format.name in (MP4, MATROSKA) and starts_s <= _LATEST_START_S
    return 0.0 if is_absolute else starts_s
