"""Headers of FLAC frames, so that a stream which is joined on its way can be read (RFC 9639, section 9.1).

sync 14 | 0 | strategy | block size 4 | rate 4 | channels 4 | depth 3 | 0 | number 8-56 | ... | CRC-8
"""

_LONGEST = 16
"""Bytes: two of sync, two of codes, seven of the number, two each of block size and rate, one of the checksum."""

_SAMPLE_RATE_BYTES = {12: 1, 13: 2, 14: 2}
_BLOCK_SIZE_BYTES = {6: 1, 7: 2}
_FORBIDDEN_RATE, _RATE_ELSEWHERE = 15, 0
_MOST_CHANNEL_CODES = 11
_DEPTH_CODES = (1, 2, 4, 5, 6, 7)
"""Those that say a depth; 0 is "as in STREAMINFO", which isn't there."""


def is_flac_frame(head: bytes) -> bool:
    """Whether bytes begin with a frame that says all about itself, by its checksum.

    Args:
        head: 16 bytes; fewer at the end of a stream.
    """
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        return False
    block_code, rate_code = head[2] >> 4, head[2] & 15
    channel_code, depth_code = head[3] >> 4, head[3] >> 1 & 7
    if block_code == 0 or rate_code in (_FORBIDDEN_RATE, _RATE_ELSEWHERE) or channel_code >= _MOST_CHANNEL_CODES:
        return False
    if depth_code not in _DEPTH_CODES or head[3] & 1:
        return False
    end = 4 + _number_bytes(head[4]) + _BLOCK_SIZE_BYTES.get(block_code, 0) + _SAMPLE_RATE_BYTES.get(rate_code, 0)
    return end < min(len(head), _LONGEST) and _crc_8(head[:end]) == head[end]


def _number_bytes(first: int) -> int:
    """Bytes of a number that is coded as UTF-8 codes letters."""
    return max(8 - (~first & 0xFF).bit_length(), 1)


def _crc_8(data: bytes) -> int:
    """RFC 9639, section 9.1.8: polynomial x^8 + x^2 + x + 1, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc
