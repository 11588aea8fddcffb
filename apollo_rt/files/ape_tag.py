"""APEv2 tags at the end of a file, as MP3s by foobar2000, mp3gain and Monkey's Audio have them.

FFmpeg reads them in APE, Musepack and WavPack, not behind MP3. The layout is that of
https://wiki.hydrogenaudio.org/index.php?title=APEv2_specification.

```
 ... music | [header 32] items | footer 32: "APETAGEX" version size count flags | [ID3v1 128: "TAG"]
```
"""

from dataclasses import dataclass, field

from apollo_rt.files.source_file import At

_FOOTER_LENGTH = 32
_ID3V1_LENGTH = 128
_LONGEST = 64 << 20
"""Bytes of tag that we are willing to read: a cover has a few MB."""

_HAS_HEADER = 1 << 31
_KIND_BINARY = 1
_GENERIC_NAMES = {"album artist": "album_artist", "year": "date", "record date": "date"}
"""APE's names where FFmpeg's generic ones differ."""


@dataclass(frozen=True)
class ApeTag:
    """The items of one tag.

    Attributes:
        length: bytes at the end of the file that are no music: this tag, and an ID3v1 tag behind it.
        values: text by lower-case name; several values are joined by "; ".
        cover: the front cover's picture file, or whichever is there.
    """

    length: int = 0
    values: dict[str, str] = field(default_factory=dict)
    cover: bytes | None = None


def read_ape_tag(at: At, size: int) -> ApeTag:
    """Read the tag at a file's end; it is empty where there is none or it is damaged.

    Args:
        at: reads the file's bytes, by position and number.
        size: of the file, in bytes.
    """
    n_behind = _ID3V1_LENGTH if at(size - _ID3V1_LENGTH, 3) == b"TAG" else 0
    end = size - n_behind
    footer = at(end - _FOOTER_LENGTH, _FOOTER_LENGTH)
    if footer[:8] != b"APETAGEX":
        return ApeTag(n_behind)
    n_body, n_items, flags = (int.from_bytes(footer[at : at + 4], "little") for at in (12, 16, 20))
    n_items_bytes = n_body - _FOOTER_LENGTH
    if not 0 <= n_items_bytes <= min(_LONGEST, end - _FOOTER_LENGTH):
        return ApeTag(n_behind)
    values, cover = _items(at(end - n_body, n_items_bytes), n_items)
    return ApeTag(n_behind + n_body + (_FOOTER_LENGTH if flags & _HAS_HEADER else 0), values, cover)


def _items(data: bytes, n_items: int) -> tuple[dict[str, str], bytes | None]:
    """Each item is: length of the value, flags, name, 0, value."""
    values: dict[str, str] = {}
    covers: dict[str, bytes] = {}
    for _ in range(n_items):
        end_of_name = data.find(b"\0", 8)
        if end_of_name < 0:
            break
        n_value, flags = int.from_bytes(data[:4], "little"), int.from_bytes(data[4:8], "little")
        name = data[8:end_of_name].decode("ascii", "replace").lower()
        value, data = data[end_of_name + 1 :][:n_value], data[end_of_name + 1 + n_value :]
        kind = flags >> 1 & 3
        if kind == _KIND_BINARY and name.startswith("cover art"):
            covers[name] = value.partition(b"\0")[2]
        elif kind == 0:
            values[_GENERIC_NAMES.get(name, name)] = value.decode("utf-8", "replace").replace("\0", "; ")
    return values, covers.get("cover art (front)", next(iter(covers.values()), None))
