"""The `fmt ` chunk of a wav file says what its numbers are.

FFmpeg takes the number of valid bits for the size of the container: 24 valid bits in 32, as WASAPI tools write them,
it reads as floats. The container is what the block alignment says (Microsoft's WAVEFORMATEXTENSIBLE).
"""

_PCM, _EXTENSIBLE = 1, 0xFFFE
_W64_FMT = bytes.fromhex("666d7420f3acd3118cd100c04f8edb8a")
_CODECS = {1: "pcm_u8", 2: "pcm_s16le", 3: "pcm_s24le", 4: "pcm_s32le", 8: "pcm_s64le"}


def integer_codec(head: bytes) -> str | None:
    """FFmpeg's decoder for a wav file of integers.

    Args:
        head: the file's first bytes, RIFF, RF64 or W64.

    Returns:
        Its name; None where the file holds something else.
    """
    marker, n_head = (_W64_FMT, 24) if head[:4] == b"riff" else (b"fmt ", 8)
    found = head.find(marker)
    fields = head[found + n_head : found + n_head + 26]
    if found < 0 or len(fields) < 16:
        return None
    tag, n_channels, alignment = (int.from_bytes(fields[i : i + 2], "little") for i in (0, 2, 12))
    subtype = int.from_bytes(fields[24:26], "little") if tag == _EXTENSIBLE else tag
    if subtype != _PCM or not n_channels or alignment % n_channels:
        return None
    return _CODECS.get(alignment // n_channels)
