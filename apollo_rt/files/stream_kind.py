"""The kind of a stream is told by its first frame, so that FFmpeg begins at once: left alone it reads 65 kB of MP3.

Pipes and radios begin anywhere: in the middle of a frame, behind a tag. A frame counts as one where the next follows
right behind it, with the same version, layer and rate.
"""

from dataclasses import dataclass, field

from apollo_rt.files.flac_frame import is_flac_frame
from apollo_rt.files.mpeg_audio import adts_length, frame_header, id3v2_length
from apollo_rt.files.source_file import At

_LONGEST_SEARCH = 16_384
"""Bytes in which two frames in a row must stand: several of the longest."""

_TS_SYNC, _TS_PACKET = b"G", 188
"""Each packet of an MPEG transport stream begins so, and has so many bytes (ISO/IEC 13818-1, 2.4.3.2)."""

_LONGEST_FLAC_FRAME = 40_000
"""Bytes in which a frame of FLAC must begin: 4608 samples of stereo with 24 bits, its subset's most, and some."""

_CONTAINERS = (b"OggS", b"\x1a\x45\xdf\xa3", b"FORM", b"caff", b"RF64", b"riff", b"FLV\x01", b"wvpk", b"TTA1", b"MAC ")
"""Beginnings that FFmpeg knows at once, and in which no MPEG frame is to be looked for."""

_SAME_MPEG, _SAME_ADTS = 0xFFFE_0C00, 0xFFFF_FC00
"""Bits of a header that two frames in a row have in common: sync, version, layer, rate; of ADTS the profile too."""

_SHORT_ANALYSIS = {"analyzeduration": "200000"}
"""Microseconds: FFmpeg's usual second and a half delays the first sound by as much (finding
`mp3-radio-without-its-type-opens-in-8-seconds`)."""


@dataclass(frozen=True)
class StreamKind:
    """Kind of a stream, as FFmpeg takes it.

    Attributes:
        format_name: FFmpeg's demuxer; None where FFmpeg shall find out.
        options: of that demuxer.
        begins_at: bytes in front of the first whole frame.
    """

    format_name: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    begins_at: int = 0


def kind_of_stream(at: At) -> StreamKind:
    """Find out what a stream is.

    Args:
        at: gives its first bytes, by position and number; waits for them.
    """
    head = at(0, 4)
    if head == b"RIFF" and at(8, 4) == b"WAVE":
        return StreamKind("wav", {"max_size": "1024"})  # bytes of one packet, for which FFmpeg waits
    if head == b"fLaC":
        return StreamKind("flac")
    is_ts = head[:1] == _TS_SYNC and at(_TS_PACKET, 1) == _TS_SYNC
    if is_ts or head in _CONTAINERS or at(4, 4) in (b"ftyp", b"styp", b"moof"):
        return StreamKind()
    return _mpeg_kind(at) or _flac_kind(at) or StreamKind()


def _flac_kind(at: At) -> StreamKind | None:
    """FLAC that is joined on its way, as icecast hands it on: its header was sent once, to who was there."""
    for position in range(_LONGEST_FLAC_FRAME):
        head = at(position, 16)
        if head[:4] == b"OggS":
            return None
        if head[:1] == b"\xff" and is_flac_frame(head):
            return StreamKind("flac", begins_at=position)
        if not head:
            return None
    return None


def _mpeg_kind(at: At) -> StreamKind | None:
    start = id3v2_length(at)
    for position in range(start, start + _LONGEST_SEARCH):
        header = at(position, 7)
        if len(header) < 7:
            return None
        if header[0] != 0xFF or header[1] < 0xE0:
            continue
        if (length := adts_length(header)) and _repeats(at, position, length, _SAME_ADTS):
            return StreamKind("aac", _SHORT_ANALYSIS, _behind_tag(start, position))
        frame = frame_header(header)
        if frame and (length := frame.length) and _repeats(at, position, length, _SAME_MPEG):
            return StreamKind("mp3", _SHORT_ANALYSIS, _behind_tag(start, position))
    return None


def _behind_tag(start: int, position: int) -> int:
    """Bytes to leave out: none where the first frame is where it should be, since FFmpeg reads the tag before it."""
    return position if position > start else 0


def _repeats(at: At, position: int, length: int, same: int) -> bool:
    """Whether the next frame is one of the same stream; what ends right behind a whole one may be one too."""
    one, other = at(position, 4), at(position + length, 4)
    if not other:
        return len(at(position, length)) == length
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")) & same == 0
