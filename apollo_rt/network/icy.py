"""Titles between the bytes of a stream (ICY): every so many bytes stands a block that may hold one.

<metaint bytes of sound> <length / 16> <block> <metaint bytes of sound> ...       a block of 0 bytes changes nothing
"""

import re
from collections.abc import Callable

from apollo_rt.network.station_text import text_of

_TITLE = re.compile(r"StreamTitle='(.*?)'(?:;\s*Stream\w+=|;?\s*\0*$)", re.DOTALL)
MOST_METAINT = 2**20


class IcyBody:
    """The bytes of a stream without the blocks.

    Args:
        read: gives bytes as they come, none at the end.
        metaint: bytes of sound between two blocks, 1 or more.
        note_title: called with the place in the sound, in bytes, and the title from there on.
    """

    def __init__(self, read: Callable[[int], bytes], metaint: int, note_title: Callable[[int, str], None]) -> None:
        self._read, self._metaint, self._note = read, metaint, note_title
        self._n_until_block = metaint
        self._position = 0

    def read(self, n_bytes: int) -> bytes:
        """Sound that has come, or comes next; none at the end."""
        if not self._n_until_block:
            if not self._take_block():
                return b""
            self._n_until_block = self._metaint
        part = self._read(min(n_bytes, self._n_until_block))
        self._n_until_block -= len(part)
        self._position += len(part)
        return part

    def _take_block(self) -> bool:
        length = self._exactly(1)
        if not length:
            return False
        block = self._exactly(16 * length[0])
        if length[0] and (title := title_in(block)) is not None:
            self._note(self._position, title)
        return len(block) == 16 * length[0]

    def _exactly(self, n_bytes: int) -> bytes:
        data = b""
        while len(data) < n_bytes and (part := self._read(n_bytes - len(data))):
            data += part
        return data


def title_in(block: bytes) -> str | None:
    """The title that a block tells, None where it tells none."""
    found = _TITLE.search(text_of(block.rstrip(b"\0")))
    return found[1].strip() if found else None
