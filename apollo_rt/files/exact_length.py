"""The exact length in a file's header, where FFmpeg's muxers put a wrong one.

Wave64: FFmpeg 8.1 counts the padding after the sound as sound. MP3: it counts at most one frame of padding; where its
encoder flushed two, which is so for 4 % of all lengths, up to 46 samples too many would be played. The header is LAME's
(http://gabriel.mp3-tech.org/mp3infotag.html):

    frame header, side information | "Xing" or "Info" 120 bytes | "Lavf...": ... 21 delay and padding ... 34 CRC
"""

from typing import Final

from apollo_rt.atomic_file import AtomicFile

_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_W64_CHUNK_HEAD: Final = 24
"""Its name, and 8 bytes of length, which counts them."""

_W64_LENGTH_AT: Final = 16

_LONGEST_SIDE = 64
"""More than the bytes in front of "Xing": frame header and side information."""

_FRAMES_AT: Final = 8
_PADDING_AT: Final = 141
_CRC_AT: Final = 154


def correct_mp3(file: AtomicFile, n_samples: int, frame_length: int) -> None:
    """Set the padding so that decoders play as much as was encoded.

    Args:
        file: a complete MP3 by FFmpeg's muxer.
        n_samples: that were encoded.
        frame_length: samples of one frame: 1152, or 576 below 32 kHz.

    Raises:
        OSError: it can't be read or written.
    """
    begin, head = _first_frame(file)
    at = max(head.find(b"Xing", 0, _LONGEST_SIDE), head.find(b"Info", 0, _LONGEST_SIDE))
    if at < 0:
        return
    n_frames = int.from_bytes(head[at + _FRAMES_AT : at + _FRAMES_AT + 4], "big")
    delay, padding = divmod(int.from_bytes(head[at + _PADDING_AT : at + _PADDING_AT + 3], "big"), 4096)
    right = n_frames * frame_length - delay - n_samples
    if right == padding or not 0 <= right < 4096:
        return
    head[at + _PADDING_AT : at + _PADDING_AT + 3] = (delay * 4096 + right).to_bytes(3, "big")
    head[at + _CRC_AT : at + _CRC_AT + 2] = _crc16(head[: at + _CRC_AT]).to_bytes(2, "big")
    file.seek(begin)
    file.write(head[: at + _CRC_AT + 2])


def correct_w64(file: AtomicFile, n_bytes: int) -> None:
    """Set the length of the sound, and cut off the padding behind it, which libsndfile takes for sound too.

    Args:
        file: a complete Wave64 file by FFmpeg's muxer, which ends with its sound.
        n_bytes: of sound.

    Raises:
        OSError: it can't be read or written.
    """
    with file.part.open("rb") as part:
        at = part.read(512).find(_W64_DATA)
    if at >= 0:
        file.seek(at + len(_W64_DATA))
        file.write((_W64_CHUNK_HEAD + n_bytes).to_bytes(8, "little"))
        length = at + _W64_CHUNK_HEAD + n_bytes
        file.seek(_W64_LENGTH_AT)
        file.write(length.to_bytes(8, "little"))
        file.truncate(length)


def _first_frame(file: AtomicFile) -> tuple[int, bytearray]:
    """Place of the first frame, behind an ID3v2 tag, and its beginning."""
    with file.part.open("rb") as part:
        head = part.read(10)
        size = sum((byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))
        begin = 10 + size if head[:3] == b"ID3" else 0
        part.seek(begin)
        return begin, bytearray(part.read(_LONGEST_SIDE + _CRC_AT + 2))


def _crc16(data: bytes | bytearray) -> int:
    """CRC-16 with the polynomial 0x8005, lowest bit first."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
