"""Tags, cover and chapters of a music file, as plain values without an open file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_MAGIC = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG": "image/png",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
    b"RIFF": "image/webp",
}
"""How a picture of each kind begins."""


@dataclass(frozen=True)
class Chapter:
    """A named part of a file.

    Attributes:
        start_s: where it begins, in seconds.
        end_s: where it ends, in seconds.
        title: what it is called; empty where the file doesn't say.
    """

    start_s: float
    end_s: float
    title: str


@dataclass(frozen=True)
class Tags:
    """Tags, cover and chapters of one file.

    Attributes:
        values: text by lower-case name, in FFmpeg's generic names where it has one (`title`, `album_artist`, `track`,
            `disc`, `date`, ...) and in the file's own elsewhere (`replaygain_track_gain`); what describes the container
            and not the music is left out. Bytes that are no UTF-8 are replaced by U+FFFD.
        cover: the front cover's picture file, None where there is none.
        cover_mime: its type, such as "image/jpeg"; empty without one.
        chapters: in the order of the file.
    """

    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cover: bytes | None = None
    cover_mime: str = ""
    chapters: tuple[Chapter, ...] = ()

    @property
    def title(self) -> str:
        """Artist and title in one line, as radios say it; empty where neither is told."""
        return " - ".join(filter(None, (self.values.get("artist", "").strip(), self.values.get("title", "").strip())))


def picture_mime(picture: bytes) -> str:
    """Tell a picture's type by its first bytes; empty if it is of no kind that covers have."""
    return next((mime for magic, mime in _MAGIC.items() if picture.startswith(magic)), "")
