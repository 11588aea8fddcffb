"""The boxes that an MP4 consists of, without a look into them (ISO/IEC 14496-12, 4.2)."""

from collections.abc import Iterator

from apollo_rt.files.source_file import At


def top_boxes(at: At) -> Iterator[tuple[bytes, int, int]]:
    """Go from box to box as far as their lengths lead.

    Args:
        at: reads the file's bytes, by position and number.

    Yields:
        Kind, position, and length in bytes, which may reach beyond the file's end.
    """
    position = 0
    while len(head := at(position, 16)) >= 8:
        length = int.from_bytes(head[:4], "big")
        length = int.from_bytes(head[8:16], "big") if length == 1 else length
        yield head[4:8], position, length
        if length < 8:  # 0 is "to the end"; less than a head is damage
            return
        position += length
