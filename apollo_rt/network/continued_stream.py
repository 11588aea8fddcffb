"""A stream that goes on where it broke off: asked for again, and without what its server sends twice.

    before    ....abcdefghij                              lost
    after                   (burst) efghij klmnop...      asked again: the server begins some seconds earlier
    read      ....abcdefghij klmnop...                    as if nothing had been

Servers send a listener their last seconds at once. Where what they send again is found in what was read, only what
follows is handed on, and no decoder notices; where it isn't, the stream ends here and begins anew. So it does where
what was heard comes again no faster than it plays: a station that begins its programme anew is heard, not waited for.

A connection that brings nothing new is no success: the pauses grow, and the time to give up runs on. What a server
sends from its beginning and ends at the same place, again and again, is a file that ends there, whatever is said of it.
"""

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from apollo_rt.errors import NetworkError
from apollo_rt.network.address import shown
from apollo_rt.network.stream import NetworkStream

_KEPT_BYTES = 2**20
"""Of what was read: more than the burst of any server that was met (icecast: 64 KiB, at most 512 by its manual)."""

_MARK_BYTES = 1024
"""So many bytes that are the same are no accident, and lie in less than a quarter of a second of most streams."""

_OGG = b"OggS"
_PAUSES_S = (0.0, 0.25, 0.5)
"""Between attempts; the last for ever, so that music is heard within two seconds of the server's return."""

_N_SAME_ENDS = 2
"""So often a server ends at the same place what it sends from its beginning: then that is its end."""

_ENDED = "the server ended it"

Open = Callable[[], NetworkStream]


class ContinuedStream:
    """Bytes of one stream over any number of connections, until they don't fit together any more.

    Args:
        open_stream: connects, and raises `NetworkError` where that fails.
        stream: already open; None: it is opened now.
        head: what was read of it already.
        give_up_s: for how long to try; 0: a stream that is lost has ended.
        note_lost: called with the reason whenever a connection is lost.
        patience_s: how long what was read already may take to come again; what a server has at once does not take long.

    Attributes:
        follower: the connection that doesn't continue this stream, where one ended it.
        reconnections: how often it went on.
        error: why it was given up, if it was.
        n_dropped: bytes that came twice.
    """

    def __init__(
        self,
        open_stream: Open,
        stream: NetworkStream | None = None,
        head: bytes = b"",
        give_up_s: float = 300.0,
        note_lost: Callable[[str], None] = lambda reason: None,
        patience_s: float = 10.0,
    ) -> None:
        """Nothing is read yet."""
        self.follower: NetworkStream | None = None
        self.reconnections = self.n_dropped = 0
        self.error: NetworkError | None = None
        self._open, self._give_up_s, self._note_lost = open_stream, give_up_s, note_lost
        self._patience_s = patience_s
        self._stream = stream or open_stream()
        self._kept = bytearray()
        self._start = b""
        self._head = head
        self._position = self._base = 0
        self._followers_head = b""
        self._stopping = threading.Event()
        self._lost_s: float | None = None  # since when nothing new came
        self._n_attempts = 0  # since then
        self._is_whole_again = False  # what was read has come again from its beginning, and nothing more yet
        self._n_same_ends = 0
        self._lost = _ENDED

    @property
    def stream(self) -> NetworkStream:
        """The present connection."""
        return self._stream

    @property
    def is_lost(self) -> bool:
        """Nothing new came since it was lost."""
        return self._lost_s is not None

    @property
    def is_closed(self) -> bool:
        """`close` was called."""
        return self._stopping.is_set()

    def take_titles(self, position: int) -> list[tuple[int, str]]:
        """Titles up to a place in the bytes, with theirs; told once."""
        titles, found = self._stream.titles, []
        while titles and titles[0][0] + self._base <= position:
            place, title = titles.popleft()
            found.append((place + self._base, title))
        return found

    def read(self, n_bytes: int) -> bytes:
        """Bytes that have come, or come next; none at the end of what fits together."""
        while not self._stopping.is_set():
            part = self._next(n_bytes)
            if part:
                self._keep(part)
                return part
            if self._stream.has_run:  # a discontinuity, and what follows is another file
                self._stream.begin_run()
                self.follower, self._followers_head = self._stream, b""
                break
            if self._is_over() or not self._reconnect():
                break
        return b""

    def close(self) -> None:
        """Hang up; a read that waits in another thread ends."""
        self._stopping.set()
        self._stream.close()
        if self.follower:
            self.follower.close()

    def _next(self, n_bytes: int) -> bytes:
        if self._head:
            part, self._head = self._head[:n_bytes], self._head[n_bytes:]
            return part
        try:
            return self._stream.read(n_bytes)
        except NetworkError as error:
            self._lost = str(error)
            return b""

    def _keep(self, part: bytes) -> None:
        self._lost_s, self._n_attempts, self._n_same_ends, self._is_whole_again = None, 0, 0, False
        if self._position < _MARK_BYTES:
            self._start += part[: _MARK_BYTES - self._position]
        self._position += len(part)
        self._kept += part
        if len(self._kept) > 2 * _KEPT_BYTES:
            del self._kept[:-_KEPT_BYTES]

    def _is_over(self) -> bool:
        """A file that was sent whole has an end."""
        self._n_same_ends += self._is_whole_again and not self._stream.is_endless
        return self._stream.is_complete or self._give_up_s == 0 or self._n_same_ends >= _N_SAME_ENDS

    def _reconnect(self) -> bool:
        """Ask until the server answers; returns whether what it sends goes on here."""
        self._note_lost(self._lost)
        had_last_chunk = self._stream.has_last_chunk
        error, self._lost = NetworkError(f"{shown(self._stream.url)}: {self._lost}"), _ENDED
        self._stream.close()
        self._lost_s = self._lost_s or time.monotonic()
        while not self._n_attempts or time.monotonic() - self._lost_s < self._give_up_s:
            if self._stopping.wait(_PAUSES_S[min(self._n_attempts, len(_PAUSES_S) - 1)]):
                return False
            self._n_attempts += 1
            try:
                stream = self._open()
                head = self._head_of(stream)
            except NetworkError as refused:
                error = refused
                continue
            if had_last_chunk and self._position and head.startswith(self._start):
                stream.close()  # a file of no announced length, which would begin anew
                return False
            self.reconnections += 1
            return self._continued(stream, head)
        self.error = error
        return False

    def _head_of(self, stream: NetworkStream) -> bytes:
        """Enough to tell where its music begins."""
        head = b""
        while len(head) < min(_music_at(head) + _MARK_BYTES, _KEPT_BYTES):
            if not (part := stream.read(_MARK_BYTES)):
                raise NetworkError("the server ended it at once")
            head += part
        return head

    def _continued(self, stream: NetworkStream, head: bytes) -> bool:
        """Go on with another connection, from behind what was read of it before."""
        self._stream = stream
        if stream.is_file and head.startswith(self._start):
            return self._skip_to(stream, self._position, head, math.inf)
        begin = _music_at(head)
        if (found := self._kept.rfind(head[begin : begin + _MARK_BYTES])) >= 0:
            return self._skip_to(stream, begin + len(self._kept) - found, head, self._patience_s)
        self.follower, self._followers_head = stream, head
        return False

    def _skip_to(self, stream: NetworkStream, n_bytes: int, head: bytes, patience_s: float) -> bool:
        """Leave out so many bytes from the connection's beginning on; it begins anew where they take too long."""
        end_s = time.monotonic() + patience_s
        again = bytearray(head)
        with suppress(NetworkError):  # lost again: the next read sees to it
            while len(again) < n_bytes and (part := stream.read(min(n_bytes - len(again), 65_536))):
                again += part
                if len(again) < n_bytes and time.monotonic() > end_s:
                    self.follower, self._followers_head = stream, bytes(again)
                    return False
        self._is_whole_again = len(again) == n_bytes == self._position
        self.n_dropped += n_bytes
        self._base = self._position - n_bytes
        self._head = bytes(again[n_bytes:])
        return True

    def take_follower(self) -> tuple[NetworkStream, bytes] | None:
        """The connection that begins anew, and its bytes that were read already."""
        return (self.follower, self._followers_head) if self.follower else None


def _music_at(head: bytes) -> int:
    """Place where the music begins, or where more bytes are needed to know: behind the headers of Ogg."""
    at = 0
    while head[at : at + 4] == _OGG:
        n_segments = head[at + 26] if len(head) > at + 26 else 0
        granule = int.from_bytes(head[at + 6 : at + 14], "little", signed=True)
        if granule > 0:
            return at
        at += 27 + n_segments + sum(head[at + 27 : at + 27 + n_segments])
    return at
