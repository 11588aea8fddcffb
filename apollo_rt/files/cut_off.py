"""Whether a file ends before its own header says that it does: half a download, a full disk."""

from apollo_rt.files.source_file import At

_UNKNOWN_32 = (0, 0xFFFF_FFFF, 0x7FFF_FFFF, 0x8000_0000)
"""What writers that can't go back put where the length should be."""

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_LEVEL_1 = {_CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367}
"""Parts of a segment: clusters, and seek head, info, tracks, cues, attachments, chapters, tags (RFC 9559)."""


def announced_size(at: At, size: int) -> int | None:
    """How many bytes a file's header promises.

    Args:
        at: reads the file.
        size: bytes that it has.

    Returns:
        Bytes, None where the format, or this writer, doesn't say.
    """
    head = at(0, 64)
    if head[:4] in (b"RIFF", b"FORM", b"RIFX"):
        return _known(8, head[4:8], "little" if head[:4] == b"RIFF" else "big")
    if head[:4] in (b"RF64", b"BW64") and head[12:16] == b"ds64":
        return _known(8, head[20:28], "little")
    if head[:4] == b"riff":
        return _known(0, head[16:24], "little")
    if head[:4] == b".snd":
        return _known(int.from_bytes(head[4:8], "big"), head[8:12], "big")
    if head[:4] == b"caff":
        return _caf_size(at, size)
    return _matroska_size(at, size) if int.from_bytes(head[:4], "big") == _EBML else None


def _known(before: int, field: bytes, order: str) -> int | None:
    length = int.from_bytes(field, "little" if order == "little" else "big")
    is_unknown = length in _UNKNOWN_32 or length >= 1 << 62
    return None if is_unknown else before + length


def _caf_size(at: At, size: int) -> int | None:
    """Chunks, each with its length; that of the sound may be -1, for "to the end"."""
    position = 8
    while len(head := at(position, 12)) == 12:
        length = int.from_bytes(head[4:12], "big", signed=True)
        if length < 0:
            return None
        position += 12 + length
        if position > size:
            return position
    return position


def _matroska_size(at: At, size: int) -> int | None:
    """The segment's end; of one without a length, as live recorders write it, that of its last part."""
    _, n_head, n_ebml = _element(at, 0)
    position = n_head + (n_ebml or 0)
    kind, n_head, length = _element(at, position)
    if kind != _SEGMENT:
        return None
    if length is not None:
        return position + n_head + length
    position += n_head
    while position < size:
        kind, n_head, length = _element(at, position)
        if kind not in _LEVEL_1 or length is None:
            return None
        position += n_head + length
    return position


def _element(at: At, position: int) -> tuple[int, int, int | None]:
    """An element's identifier, the length of its head, and that of its body (None: unknown); RFC 8794, section 4."""
    data = at(position, 12)
    if len(data) < 2 or not data[0]:
        return 0, 0, None
    n_id = 9 - data[0].bit_length()
    if len(data) <= n_id or not data[n_id]:
        return 0, 0, None
    n_length = 9 - data[n_id].bit_length()
    field = int.from_bytes(data[n_id : n_id + n_length], "big") & ((1 << 7 * n_length) - 1)
    unknown = field == (1 << 7 * n_length) - 1
    return int.from_bytes(data[:n_id], "big"), n_id + n_length, None if unknown else field
