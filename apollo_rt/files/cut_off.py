"""A cut-off file ends before its own header says that it does: half a download, a full disk."""

from apollo_rt.files.mp4_boxes import top_boxes
from apollo_rt.files.mpeg_audio import tag_length
from apollo_rt.files.source_file import At

_UNKNOWN_32 = (0, 0xFFFF_FFFF, 0x7FFF_FFFF, 0x8000_0000)
"""What writers that can't go back put where the length should be."""

_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_LEVEL_1 = {_CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367}
"""Parts of a segment: clusters, and seek head, info, tracks, cues, attachments, chapters, tags (RFC 9559)."""


def announced_size(at: At, size: int) -> int | None:
    """Size in bytes that a file's header promises.

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
    if head[:16] == _ASF_HEADER:
        return _asf_size(at, head)
    return _matroska_size(at, size) if int.from_bytes(head[:4], "big") == _EBML else None


def has_another_behind(at: At, size: int) -> bool:
    """Tell whether a second file of its kind stands behind a file's end, of which FFmpeg reads nothing.

    Args:
        at: reads the file.
        size: bytes that it has.
    """
    head = at(0, 12)
    if head[4:8] == b"ftyp":
        return sum(kind == b"ftyp" for kind, _, _ in top_boxes(at)) > 1
    if head[:4] == b"wvpk":
        return _has_second_wavpack(at)
    end = announced_size(at, size) if head[:4] in (b"riff", b"FORM") or head[8:12] == b"WAVE" else None
    behind = (
        b"" if end is None else at(end, 13)
    )  # all but its length is as in the first, perhaps behind a byte to fill up
    return any((part[:4], part[8:12]) == (head[:4], head[8:12]) for part in (behind[:12], behind[1:]))


def _has_second_wavpack(at: At) -> bool:
    """Blocks, each with its length and the number of its first sample, which begins anew in another file."""
    position, number = 0, 0
    while length := _wavpack_part_length(head := at(position, 32)):
        position += length
        if head[:4] == b"wvpk":
            before, number = number, int.from_bytes(head[16:20], "little")
            if number < before:
                return True
    return False


def _wavpack_part_length(head: bytes) -> int:
    """Bytes of a block, or of a tag between joined files."""
    return 8 + int.from_bytes(head[4:8], "little") if head[:4] == b"wvpk" else tag_length(head)


def _asf_size(at: At, head: bytes) -> int | None:
    """The file's size in the header's File Properties (ASF specification, 3.2)."""
    length = min(int.from_bytes(head[16:24], "little"), 65_536)
    header = at(0, length)
    found = header.find(_ASF_PROPERTIES)
    is_broadcast = found >= 0 and header[found + 88 : found + 89] not in (b"", b"\0", b"\2")
    return None if found < 0 or is_broadcast else int.from_bytes(header[found + 40 : found + 48], "little") or None


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
