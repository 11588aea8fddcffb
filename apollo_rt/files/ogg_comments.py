"""Comments of one's own for an Ogg Vorbis stream while it is written: libsndfile knows ten names, and no pictures.

    libsndfile -> | identification | comment, setup | sound ... -> file
                                     ^ ours, on pages of our own; all that follow are numbered anew

Pages are those of RFC 3533, section 6; the packets those of the Vorbis I specification, sections 4.2.1 and 5.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from apollo_rt.files.ogg_pages import checksum

_HEADER_LENGTH = 27
_MOST_SEGMENTS = 255
_NO_PACKET_ENDS = (2**64 - 1).to_bytes(8, "little")
_CONTINUED = 1
_N_HEADERS = 3
"""Identification, comment, setup: the sound begins on a page of its own."""


class _Writable(Protocol):
    def write(self, data: bytes) -> int: ...


class OggComments:
    """A file object to write to, between libsndfile and a file.

    Args:
        file: gets the pages.
        comments: texts by name; those that the encoder wrote are dropped.
    """

    def __init__(self, file: _Writable, comments: Mapping[str, str]) -> None:
        """Nothing is written yet."""
        self._file, self._comments = file, comments
        self._data = b""
        self._head: list[bytes] | None = []
        self._shift = 0

    def write(self, data: bytes) -> int:
        """Take bytes of the stream, in whatever portions; returns how many.

        Raises:
            OSError: the file can't be written.
        """
        self._data += data
        for page in self._whole_pages():
            if self._head is None:
                self._file.write(_numbered(page, _sequence(page) + self._shift) if self._shift else page)
            else:
                self._head.append(page)
                self._write_head(self._head)
        return len(data)

    def _whole_pages(self) -> Iterator[bytes]:
        start = 0
        while (end := start + _page_length(self._data[start : start + _HEADER_LENGTH + _MOST_SEGMENTS])) > start:
            if end > len(self._data):
                break
            yield self._data[start:end]
            start = end
        self._data = self._data[start:]

    def _write_head(self, pages: list[bytes]) -> None:
        """Write the head once it is complete."""
        packets = _packets(pages)
        if len(packets) < _N_HEADERS:
            return
        new = [pages[0], *_paged([_with_comments(packets[1], self._comments), packets[2]], pages[0][14:18])]
        self._shift = len(new) - len(pages)
        self._head = None
        self._file.write(b"".join(new))


def _page_length(page: bytes) -> int:
    """Of the page that begins here; 0 while its header isn't complete."""
    if len(page) < _HEADER_LENGTH or len(page) < _HEADER_LENGTH + page[26]:
        return 0
    n_segments = page[26]
    return _HEADER_LENGTH + n_segments + sum(page[_HEADER_LENGTH : _HEADER_LENGTH + n_segments])


def _packets(pages: list[bytes]) -> list[bytes]:
    """Those that are complete."""
    packets, packet = [], b""
    for page in pages:
        at = _HEADER_LENGTH + page[26]
        for length in page[_HEADER_LENGTH:at]:
            packet += page[at : at + length]
            at += length
            if length < 255:
                packets.append(packet)
                packet = b""
    return packets


def _with_comments(packet: bytes, comments: Mapping[str, str]) -> bytes:
    """The comment packet with other comments; its beginning, which names the encoder, stays."""
    vendor_end = 7 + 4 + int.from_bytes(packet[7:11], "little")
    lines = [f"{name.upper()}={value}".encode(errors="replace") for name, value in comments.items()]
    listed = b"".join(len(line).to_bytes(4, "little") + line for line in lines)
    return packet[:vendor_end] + len(lines).to_bytes(4, "little") + listed + b"\x01"


def _paged(packets: list[bytes], serial: bytes) -> Iterator[bytes]:
    """Pages 1, 2, ... with these packets."""
    laced, begins = [], {0}
    for packet in packets:
        laced += [packet[at : at + 255] for at in range(0, len(packet) + 1, 255)]
        begins.add(len(laced))
    for number, at in enumerate(range(0, len(laced), _MOST_SEGMENTS), 1):
        segments = laced[at : at + _MOST_SEGMENTS]
        flags = bytes([0 if at in begins else _CONTINUED])
        granule = bytes(8) if any(len(segment) < 255 for segment in segments) else _NO_PACKET_ENDS
        head = b"OggS\0" + flags + granule + serial + bytes(8) + bytes([len(segments)])
        yield _numbered(head + bytes(map(len, segments)) + b"".join(segments), number)


def _sequence(page: bytes) -> int:
    return int.from_bytes(page[18:22], "little")


def _numbered(page: bytes, number: int) -> bytes:
    """The page with another number, and the checksum that belongs to it."""
    page = page[:18] + number.to_bytes(4, "little") + page[22:]
    return page[:22] + checksum(page) + page[26:]
