"""Headers of MPEG audio: one frame's, and the Xing and LAME tag in the first that says how long the file is.

ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3, ISO/IEC 13818-3, and for MPEG 2.5 (8, 11.025 and 12 kHz) what every decoder does.
The tag: http://gabriel.mp3-tech.org/mp3infotag.html.
"""

from dataclasses import dataclass

from apollo_rt.files.source_file import At

_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by index less one, for each version (2.5 is as 2) and layer."""

_RATES = (44_100, 48_000, 32_000)
_RATE_SHIFTS = {0: 2, 2: 1, 3: 0}
"""How often the rate is halved, by the version's bits: MPEG 2.5, 2, 1."""

_DECODER_DELAY = 529
"""Samples that every layer III decoder is late; LAME's delay is counted without them."""


@dataclass(frozen=True)
class FrameHeader:
    """Header of a frame, its first four bytes.

    Attributes:
        sample_rate: Hz.
        n_samples: in each channel.
        length: bytes of the whole frame; 0 where the frame doesn't say (free format).
        side_length: bytes of side information behind the header (layer III).
    """

    sample_rate: int
    n_samples: int
    length: int
    side_length: int


def frame_header(data: bytes) -> FrameHeader | None:
    """Read a header; None where the bytes begin with none."""
    bits = int.from_bytes(data[:4], "big")
    version, layer = bits >> 19 & 3, 4 - (bits >> 17 & 3)
    kbps_index, rate_index = bits >> 12 & 15, bits >> 10 & 3
    if len(data) < 4 or bits >> 21 != 0x7FF or version == 1 or layer == 4 or kbps_index == 15 or rate_index == 3:
        return None
    is_first = version == 3
    rate = _RATES[rate_index] >> _RATE_SHIFTS[version]
    n_samples = 384 if layer == 1 else 1152 if layer == 2 or is_first else 576
    kbps = _KBPS[1 if is_first else 2, layer][kbps_index - 1] if kbps_index else 0
    n_units = n_samples // 8 // (4 if layer == 1 else 1) * 1000 * kbps // rate + (bits >> 9 & 1 if kbps else 0)
    is_mono = bits >> 6 & 3 == 3
    side = (17 if is_mono else 32) if is_first else (9 if is_mono else 17)
    return FrameHeader(rate, n_samples, n_units * (4 if layer == 1 else 1), side)


def adts_length(data: bytes) -> int:
    """Bytes of an AAC frame by its ADTS header (ISO/IEC 13818-7, 6.2), 0 where the bytes begin with none."""
    if len(data) < 7 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        return 0
    return (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5


def announced_samples(at: At) -> tuple[int, int] | None:
    """Length that an MP3 announces: from its Xing tag, less the delay and padding that LAME wrote there.

    Args:
        at: gives bytes at a position, by position and number.

    Returns:
        Samples, and how many behind them are only padding; None where the file doesn't say.
    """
    start = id3v2_length(at)
    data = at(start, 256)
    header = frame_header(data)
    if header is None:
        return None
    tag = data[4 + header.side_length :]
    if tag[:4] not in (b"Xing", b"Info") or not tag[7] & 1:
        return None
    n_samples = int.from_bytes(tag[8:12], "big") * header.n_samples
    lame = tag[8 + sum(size for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)) if tag[7] & bit) :]
    if lame[:4] not in (b"LAME", b"Lavf", b"Lavc"):
        return n_samples, 0
    trims = int.from_bytes(lame[21:24], "big")
    delay, padding = trims >> 12, trims & 0xFFF
    n_behind = max(padding - _DECODER_DELAY, 0)
    return max(n_samples - delay - _DECODER_DELAY - n_behind, 0), n_behind


def is_info_frame(data: bytes) -> bool:
    """Tell whether a layer III frame is no music but holds a Xing or LAME tag, as a joined file's first one does."""
    header = frame_header(data)
    at = 4 + header.side_length if header else 0
    return data[at : at + 4] in (b"Xing", b"Info") or data[36:40] == b"VBRI"


def tag_length(data: bytes) -> int:
    """Bytes of a tag that stands between joined files, 0 where the bytes begin with none."""
    if data[:3] == b"ID3" and len(data) >= 10:
        return _id3v2_size(data)
    if data[:8] == b"APETAGEX" and len(data) >= 24:  # either end of the tag; the length counts all but its header
        return 32 + (int.from_bytes(data[12:16], "little") if int.from_bytes(data[20:24], "little") >> 29 & 1 else 0)
    return 128 if data[:3] == b"TAG" else 0


def _id3v2_size(head: bytes) -> int:
    size = sum((byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    return 10 + size + (10 if head[5] & 16 else 0)


def id3v2_length(at: At) -> int:
    """Bytes of ID3v2 tags in front of the music; several stand in a row where a program added one."""
    start = 0
    while (head := at(start, 10))[:3] == b"ID3" and len(head) == 10:
        start += _id3v2_size(head)
    return start
