"""The pages of an Ogg stream, cut out of bytes that may be damaged, joined anywhere, or come from a network.

The layout is RFC 3533, section 6:

```
 0 "OggS"   5 flags: 1 continues a packet, 2 begins a stream, 4 ends it   6 granule   14 serial   18 sequence
 22 CRC     26 number of segments, then the length of each, then their bytes
```
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_CAPTURE = b"OggS"
_HEADER_LENGTH = 27
_READ_LENGTH = 65_536
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class OggPage:
    """One page.

    Attributes:
        serial: number of the stream that it belongs to.
        sequence: its own number in that stream.
        granule: the stream's clock at the end of the last packet that ends here, None where none does.
        begins: it is its stream's first.
        ends: it is its stream's last.
        is_continued: its first packet began on the page before.
        segments: lengths, as laced: a packet ends with the first that is less than 255.
        body: the segments' bytes.
        raw: the page as it was read.
        n_skipped: bytes in front of it that were no whole page.
    """

    serial: int
    sequence: int
    granule: int | None
    begins: bool
    ends: bool
    is_continued: bool
    segments: bytes
    body: bytes
    raw: bytes
    n_skipped: int

    def packet_parts(self) -> Iterator[tuple[bytes, bool]]:
        """The parts of packets in it, each with whether the packet ends with it."""
        start = end = 0
        for length in self.segments:
            end += length
            if length < 255:
                yield self.body[start:end], True
                start = end
        if start < end:
            yield self.body[start:], False


class OggPages:
    """Reads pages one after another.

    Args:
        read: gives up to so many bytes, none at the end.

    Attributes:
        n_cut_off: bytes at the end that begin a page that isn't complete.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        """Nothing is read yet."""
        self.n_cut_off = 0
        self._read = read
        self._data = b""
        self._at_end = False

    def __iter__(self) -> Iterator[OggPage]:
        """Every page whose checksum is right; what lies between them is skipped."""
        n_skipped = 0
        while True:
            n_skipped += self._seek_capture()
            raw = self._whole_page()
            if raw and checksum(raw) == raw[22:26]:
                self._data = self._data[len(raw) :]
                self.n_cut_off = 0
                yield _parsed(raw, n_skipped)
                n_skipped = 0
            elif self._data:
                self.n_cut_off = self.n_cut_off or (0 if raw else len(self._data))
                self._data = self._data[1:]
                n_skipped += 1
            else:
                return

    def _seek_capture(self) -> int:
        """Drop what is no page, all that is left where there is none; returns the bytes dropped."""
        n_dropped = 0
        while (at := self._data.find(_CAPTURE)) < 0:
            n_kept = 0 if self._at_end else min(len(self._data), len(_CAPTURE) - 1)
            n_dropped += len(self._data) - n_kept
            self._data = self._data[len(self._data) - n_kept :]
            if self._at_end:
                return n_dropped
            self._fill(n_kept + 1)
        self._data = self._data[at:]
        return n_dropped + at

    def _whole_page(self) -> bytes:
        """The page that the data begin with; empty where it isn't all there."""
        if not self._fill(_HEADER_LENGTH):
            return b""
        n_header = _HEADER_LENGTH + self._data[26]
        if not self._fill(n_header):
            return b""
        n_page = n_header + sum(self._data[_HEADER_LENGTH:n_header])
        return self._data[:n_page] if self._fill(n_page) else b""

    def _fill(self, n_bytes: int) -> bool:
        """Read until so many bytes are there; returns whether they are."""
        while len(self._data) < n_bytes and not self._at_end:
            more = self._read(_READ_LENGTH)
            self._at_end = not more
            self._data += more
        return len(self._data) >= n_bytes


def _parsed(raw: bytes, n_skipped: int) -> OggPage:
    granule = int.from_bytes(raw[6:14], "little", signed=True)
    flags, body_at = raw[5], _HEADER_LENGTH + raw[26]
    return OggPage(
        serial=int.from_bytes(raw[14:18], "little"),
        sequence=int.from_bytes(raw[18:22], "little"),
        granule=None if granule == -1 else granule,
        begins=bool(flags & 2),
        ends=bool(flags & 4),
        is_continued=bool(flags & 1),
        segments=raw[_HEADER_LENGTH:body_at],
        body=raw[body_at:],
        raw=raw,
        n_skipped=n_skipped,
    )


def checksum(page: bytes) -> bytes:
    """CRC-32 as Ogg has it, as it stands in the page, whatever stands there now.

    zlib's polynomial, but each byte from its highest bit on, and no inversion.
    """
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(_REVERSED_BITS)
    crc = zlib.crc32(mirrored, 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return crc.to_bytes(4, "little").translate(_REVERSED_BITS)[::-1]
