"""Playlists lead to streams and files: M3U, PLS and XSPF; what they say is bounded, and never obeyed beyond that."""

import re
from dataclasses import dataclass

from apollo_rt.errors import NetworkError
from apollo_rt.network.station_text import text_of

MOST_BYTES = 2**20
_MOST_ENTRIES = 10_000
_HLS = re.compile(r"^#EXT-X-(TARGETDURATION|STREAM-INF)", re.MULTILINE)
_SUFFIXES = (".m3u", ".m3u8", ".pls", ".xspf")


@dataclass(frozen=True)
class PlaylistEntry:
    """One entry.

    Attributes:
        place: an address, or a file's path, as it stands there.
        title: empty where none is told.
    """

    place: str
    title: str = ""


def is_playlist(head: bytes) -> bool:
    """Whether a text is one, by its first bytes; HLS is one, too."""
    text = text_of(head[:512]).lstrip("\ufeff \r\n\t").lower()
    return text.startswith(("#extm3u", "[playlist]")) or ("<playlist" in text and text.startswith("<"))


def is_named_playlist(name: str) -> bool:
    """Whether a name's suffix says so: a plain M3U begins like any text."""
    return name.lower().split("?")[0].endswith(_SUFFIXES)


def is_hls(text: str) -> bool:
    """Whether an M3U lists segments of one stream, or its variants, and not titles."""
    return bool(_HLS.search(text))


def entries_of(data: bytes) -> list[PlaylistEntry]:
    """The entries of a playlist.

    Raises:
        NetworkError: it can't be understood.
    """
    text = text_of(data).lstrip("\ufeff").strip()
    if text.startswith("<"):
        found = _xspf(text)
    elif text.lower().startswith("[playlist]"):
        found = _pls(text)
    else:
        found = _m3u(text)
    return found[:_MOST_ENTRIES]


def _m3u(text: str) -> list[PlaylistEntry]:
    entries, title = [], ""
    for line in map(str.strip, text.splitlines()):
        if line.upper().startswith("#EXTINF:"):
            title = line.partition(",")[2].strip()
        elif line and not line.startswith("#"):
            entries.append(PlaylistEntry(line, title))
            title = ""
    return entries


def _pls(text: str) -> list[PlaylistEntry]:
    places: dict[int, str] = {}
    titles: dict[int, str] = {}
    for line in text.splitlines():
        if match := re.match(r"\s*(File|Title)(\d{1,6})\s*=\s*(.*?)\s*$", line, re.IGNORECASE):
            (places if match[1].lower() == "file" else titles)[int(match[2])] = match[3]
    return [PlaylistEntry(place, titles.get(number, "")) for number, place in sorted(places.items()) if place]


def _xspf(text: str) -> list[PlaylistEntry]:
    """Tracks' locations and titles; a document that declares entities is refused, since they can be bombs."""
    from xml.parsers import expat  # late: few playlists need it

    entries: list[PlaylistEntry] = []
    texts: dict[str, str] = {}
    path: list[str] = []

    def start(name: str, _: object) -> None:
        path.append(name.rpartition(":")[2].lower())
        if path[-1] == "track":
            texts.clear()

    def end(_: str) -> None:
        if path.pop() == "track" and texts.get("location"):
            entries.append(PlaylistEntry(texts["location"].strip(), texts.get("title", "").strip()))

    def collect(data: str) -> None:
        if "track" in path and path[-1] in ("location", "title"):
            texts[path[-1]] = texts.get(path[-1], "") + data

    def refuse(*_: object) -> None:
        raise NetworkError("is an XSPF playlist that declares a document type, which none needs")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = collect, refuse
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise NetworkError(f"is a playlist that can't be understood: {error}") from None
    return entries
