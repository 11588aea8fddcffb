"""Playlists lead to streams and files: M3U, PLS and XSPF; what they say is bounded, and never obeyed beyond that."""

import re
from dataclasses import dataclass
from urllib.parse import urljoin

from apollo_rt.errors import NetworkError
from apollo_rt.network.station_text import lines_of, text_of

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
        is_quoted: the place is a URI, in which a space is `%20`, even where it is a path.
    """

    place: str
    title: str = ""
    is_quoted: bool = False


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
    text = text_of(data).strip()
    if text.startswith("<"):
        found = _xspf(data)
    elif text.lower().startswith("[playlist]"):
        found = _pls(text)
    else:
        found = _m3u(text)
    return found[:_MOST_ENTRIES]


def _m3u(text: str) -> list[PlaylistEntry]:
    entries, title = [], ""
    for line in lines_of(text):
        if line.upper().startswith("#EXTINF:"):
            title = line.partition(",")[2].strip()
        elif line and not line.startswith("#"):
            entries.append(PlaylistEntry(line, title))
            title = ""
    return entries


def _pls(text: str) -> list[PlaylistEntry]:
    places: dict[int, str] = {}
    titles: dict[int, str] = {}
    for line in lines_of(text):
        if match := re.match(r"\s*(File|Title)(\d{1,6})\s*=\s*(.*?)\s*$", line, re.IGNORECASE):
            (places if match[1].lower() == "file" else titles)[int(match[2])] = match[3]
    return [PlaylistEntry(place, titles.get(number, "")) for number, place in sorted(places.items()) if place]


def _xspf(data: bytes) -> list[PlaylistEntry]:
    """Tracks of an XSPF, in the encoding that it declares; where it is in another, as any text of a station is read."""
    from xml.parsers import expat  # late: few playlists need it

    tried = ((data.lstrip(), None), (text_of(data).strip().encode(), "utf-8"))
    for number, (document, encoding) in enumerate(tried):
        tracks = _Tracks()
        parser = expat.ParserCreate(encoding)
        parser.StartElementHandler, parser.EndElementHandler = tracks.start, tracks.end
        parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = tracks.collect, _refuse_doctype
        try:
            parser.Parse(document, True)
        except (expat.ExpatError, LookupError, ValueError) as error:
            if number == len(tried) - 1:
                raise NetworkError(f"is a playlist that can't be understood: {error}") from None
        else:
            break
    return tracks.entries


class _Tracks:
    """Tracks of a document (https://www.xspf.org/spec): locations, creators and titles.

    Attributes:
        entries: so far.
    """

    def __init__(self) -> None:
        self.entries: list[PlaylistEntry] = []
        self._texts: dict[str, str] = {}
        self._open: list[tuple[str, str]] = []  # elements, each with the base of its locations

    def start(self, name: str, attributes: dict[str, str]) -> None:
        base = self._open[-1][1] if self._open else ""
        name = name.rpartition(":")[2].lower()
        self._open.append((name, _joined(base, attributes.get("xml:base", ""))))
        if name == "track":
            self._texts.clear()

    def collect(self, text: str) -> None:
        name = self._open[-1][0]
        if name in ("location", "creator", "title") and ("track" in (above for above, _ in self._open)):
            self._texts[name] = self._texts.get(name, "") + text
            self._texts.setdefault("base", self._open[-1][1])

    def end(self, _: str) -> None:
        name, _ = self._open.pop()
        if name == "track" and (place := self._texts.get("location", "").strip()):
            words = (self._texts.get(word, "").strip() for word in ("creator", "title"))
            place = _joined(self._texts["base"], place)
            self.entries.append(PlaylistEntry(place, " - ".join(filter(None, words)), is_quoted=True))


def _joined(base: str, place: str) -> str:
    try:
        return urljoin(base, place)
    except ValueError:  # no address, which whoever asks for it will say
        return place


def _refuse_doctype(*_: object) -> None:
    """A document that declares entities can be a bomb."""
    raise NetworkError("is an XSPF playlist that declares a document type, which none needs")
