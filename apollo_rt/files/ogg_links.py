"""The links of an Ogg file or network stream: each is a stream of its own, with its own codec, layout and clock.

A radio begins a new link with every title, and `cat a.ogg b.ogg` makes a file of two. FFmpeg ends for good where a link
changes layout or rate, and primes a Vorbis decoder wrongly; so links are told apart here, and each is decoded afresh.

```
 link 1: [begin-of-stream pages] [header pages] [pages ...]   link 2: [begin-of-stream pages] ...
```
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from apollo_rt.files.ogg_pages import OggPage, OggPages

_HEADERS = {b"\x01vorbis": ("vorbis", 3), b"OpusHead": ("opus", 2), b"\x7fFLAC": ("flac", 2), b"Speex   ": ("speex", 2)}
"""How the first packet begins, the codec, and its number of header packets (FLAC, Speex: see `_n_headers`)."""


@dataclass(frozen=True)
class LinkPage:
    """The packets that end on one page.

    Attributes:
        packets: whole ones, in order; empty ones left out.
        granule: the link's clock at the end of the last of them, None where none ends.
        ends: the link is complete with it.
        follows_loss: something before it is missing.
        n_skipped: bytes right in front of it that were no whole page.
    """

    packets: list[bytes]
    granule: int | None
    ends: bool
    follows_loss: bool
    n_skipped: int


@dataclass
class Link:
    """One link's chosen stream.

    Attributes:
        codec: "vorbis", "opus", "flac" or "speex".
        headers: its header packets.
        raw_headers: the pages that hold them, and one more, without which FFmpeg doesn't open them.
        pages: what follows; to be read to its end before the next link is asked for.
    """

    codec: str
    headers: list[bytes]
    raw_headers: bytes
    pages: Iterator[LinkPage] = field(default_factory=lambda: iter(()))


class OggLinks:
    """Finds the links in pages.

    Args:
        pages: in the order of the file or the network.
        track: which audio stream of each link, from 0; the last where there are fewer.

    Attributes:
        n_headless: pages whose link has no beginning, so that they can't be decoded.
        n_streams: audio streams in the first link.
    """

    def __init__(self, pages: Iterable[OggPage], track: int = 0) -> None:
        """Nothing is read yet."""
        self.n_headless = 0
        self.n_streams = 0
        self._pages = iter(pages)
        self._track = track
        self._next: OggPage | None = None

    def __iter__(self) -> Iterator[Link]:
        """Each link, when the one before has been read."""
        while begins := self._begin_pages():
            known = [page for page in begins if _codec(page.body)]
            if not known:
                continue
            self.n_streams = self.n_streams or len(known)
            first = known[min(self._track, len(known) - 1)]
            if link := self._with_headers(first, begins):
                yield link
                for _ in link.pages:  # whoever left early shall find the next link all the same
                    pass

    def _take(self) -> OggPage | None:
        """The next page, the one put back first."""
        page, self._next = self._next or next(self._pages, None), None
        return page

    def _begin_pages(self) -> list[OggPage]:
        """The pages that begin the next link's streams; none at the end."""
        begins: list[OggPage] = []
        while page := self._take():
            if page.begins:
                begins.append(page)
            elif begins:
                self._next = page
                break
            else:
                self.n_headless += 1
        return begins

    def _with_headers(self, first: OggPage, begins: list[OggPage]) -> Link | None:
        """The link that begins with a page, its headers read; None where they are not all there."""
        codec, n_headers = _codec(first.body) or ("", 0)
        stream, raw = _Packets(first), b"".join(page.raw for page in begins)
        packets = stream.packets_of(first)
        n_headers = _n_headers(codec, packets[0], n_headers)
        while len(packets) < n_headers:
            page = self._take()
            if page is None or page.begins:
                self._next = page
                return None
            raw += page.raw
            if page.serial == first.serial:
                packets += stream.packets_of(page)
        headers, left = packets[:n_headers], packets[n_headers:]
        self._next = self._take()
        if self._next and not self._next.begins:
            raw += self._next.raw
        link = Link(codec, headers, raw)
        link.pages = self._pages_of(stream, left, {page.serial for page in begins})
        return link

    def _pages_of(self, stream: "_Packets", left: list[bytes], serials: set[int]) -> Iterator[LinkPage]:
        if left:  # no encoder does so, but a page may hold both headers and sound
            yield LinkPage(left, None, False, False, 0)
        n_skipped = 0
        while (page := self._take()) and not page.begins:
            if page.serial != stream.serial:
                self.n_headless += page.serial not in serials
                continue
            packets, n_skipped = stream.packets_of(page), n_skipped + page.n_skipped
            if packets or page.ends:
                yield LinkPage(packets, page.granule, page.ends, stream.take_loss(), n_skipped)
                n_skipped = 0
        self._next = page


class _Packets:
    """Joins one stream's packets across its pages."""

    def __init__(self, first: OggPage) -> None:
        self.serial = first.serial
        self._expected = first.sequence
        self._begun: bytes | None = None  # the packet that goes on on the next page, as far as it is there
        self._is_lossy = False

    def packets_of(self, page: OggPage) -> list[bytes]:
        """The packets that end on the page; one of which a part is missing is dropped."""
        if page.sequence != self._expected:
            self._is_lossy, self._begun = True, None
        self._expected = page.sequence + 1
        if page.is_continued == (self._begun is None):
            self._is_lossy = True
        whole = self._begun if page.is_continued else b""
        packets = []
        for part, is_complete in page.packet_parts():
            whole = None if whole is None else whole + part
            if is_complete and whole:
                packets.append(whole)
            whole = b"" if is_complete else whole
        self._begun = whole or None
        return packets

    def take_loss(self) -> bool:
        """Whether something was missing since it was asked last."""
        was_lossy, self._is_lossy = self._is_lossy, False
        return was_lossy


def _codec(body: bytes) -> tuple[str, int] | None:
    return next((found for start, found in _HEADERS.items() if body.startswith(start)), None)


def _n_headers(codec: str, first: bytes, n_headers: int) -> int:
    """FLAC says how many follow its first (https://xiph.org/flac/ogg_mapping.html), 0 for unknown: one comment then.

    Speex counts those beyond its usual two (https://www.speex.org/docs/manual/speex-manual/node8.html).
    """
    if codec == "speex":
        return n_headers + int.from_bytes(first[68:72], "little")
    return 1 + max(int.from_bytes(first[7:9], "big"), 1) if codec == "flac" else n_headers


def is_ours(read: Callable[[int], bytes]) -> bool:
    """Tell whether a file is Ogg with Vorbis, Opus, FLAC or Speex in it.

    Args:
        read: gives its first bytes, none behind them; pages of a link whose beginning is missing may come first.
    """
    head, has_begun = read(4), False
    parts = [head]
    for page in OggPages(lambda n_bytes: parts.pop() if parts else read(n_bytes)):
        if page.begins and _codec(page.body):
            return True
        has_begun |= page.begins
    return head == b"OggS" and not has_begun
