"""Artist and title in an ID3v2 tag, as HLS segments have them in front (https://id3.org/id3v2.4.0-structure)."""

from apollo_rt.network.station_text import text_of

_ENCODINGS = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}


def title_of_tag(tag: bytes) -> str:
    """Artist and title in one line; empty where neither is told, or the tag is not all there.

    Args:
        tag: bytes that begin with the tag.
    """
    if tag[:3] != b"ID3" or len(tag) < 10 or len(tag) < 10 + _size(tag[6:10], 7):
        return ""
    bits, at, end = 7 if tag[3] >= 4 else 8, 10, 10 + _size(tag[6:10], 7)
    texts: dict[bytes, str] = {}
    while at + 10 <= end and tag[at : at + 4].strip(b"\0"):
        length = _size(tag[at + 4 : at + 8], bits)
        texts[tag[at : at + 4]] = _text(tag[at + 10 : at + 10 + length])
        at += 10 + length
    return " - ".join(filter(None, (texts.get(b"TPE1", ""), texts.get(b"TIT2", ""))))


def _size(data: bytes, bits: int) -> int:
    return sum(byte << bits * (3 - number) for number, byte in enumerate(data))


def _text(frame: bytes) -> str:
    if not frame:
        return ""
    encoding = _ENCODINGS.get(frame[0])
    text = text_of(frame[1:]) if encoding in (None, "utf-8", "latin-1") else frame[1:].decode(encoding, "replace")
    return text.strip("\0 \ufeff")
