"""A network stream is what an address leads to: bytes of sound, and the titles that stood between them, by place.

http://host/radio.pls -> playlist -> http://host/live -> answer -> bytes of sound
                                                            '-----> (place in these bytes, title)
"""

from collections import deque
from collections.abc import Sequence

from apollo_rt.errors import NetworkError
from apollo_rt.network.address import led_to, shown
from apollo_rt.network.hls import HlsBody
from apollo_rt.network.http import Answer
from apollo_rt.network.icy import MOST_METAINT, IcyBody
from apollo_rt.network.playlist import MOST_BYTES, entries_of, is_hls, is_named_playlist, is_playlist

_MOST_PLAYLISTS = 5
_HEAD_BYTES = 16
_MOST_TITLES = 64
"""Titles that wait for their place; of more that a server sends the last count."""


class NetworkStream:
    """Bytes of sound from a server.

    Args:
        url: of a stream, a file or a playlist, of which the first stream that answers is taken.

    Attributes:
        url: where playlists and redirects led.
        name: of the station, empty where it isn't told.
        titles: (place in bytes, title) of those that were not taken yet.
        is_file: the server says how long it is, so that it has an end.
        is_station: it has places for titles between its bytes.
        lump_s: seconds of sound that come at once, where that is known beforehand (HLS).

    Raises:
        NetworkError: it can't be had.
    """

    def __init__(self, url: str) -> None:
        """Ask the server."""
        self.titles: deque[tuple[int, str]] = deque(maxlen=_MOST_TITLES)
        self._is_closed = False
        self._answer: Answer | HlsBody
        self._answer, self._head = self._found(url, _MOST_PLAYLISTS)
        self.url = self._answer.url
        headers = self._answer.headers
        self.name = headers.get("icy-name", headers.get("ice-name", "")).strip()
        self.is_file = self._answer.is_file
        self.lump_s = self._answer.lump_s if isinstance(self._answer, HlsBody) else 0.0
        metaint = headers.get("icy-metaint", "0")
        self.is_station = metaint.isdecimal() and 0 < int(metaint) <= MOST_METAINT
        if self.is_station:
            self._read = IcyBody(self._raw, int(metaint), lambda *title: self.titles.append(title)).read
        else:
            self._read = self._raw

    @property
    def is_complete(self) -> bool:
        """It came to the end that was announced."""
        return self._answer.is_complete

    @property
    def has_last_chunk(self) -> bool:
        """It came to its last chunk, which may be a file's end."""
        return isinstance(self._answer, Answer) and self._answer.has_last_chunk and not self.is_station

    def read(self, n_bytes: int) -> bytes:
        """Sound that has come, or comes next; none at the end.

        Raises:
            NetworkError: the server is silent for too long, or broke off.
        """
        return self._read(n_bytes)

    def close(self) -> None:
        """Hang up; a read that waits in another thread ends."""
        self._is_closed = True
        self._answer.close()

    @property
    def has_run(self) -> bool:
        """It ended at a discontinuity, and goes on behind that (HLS)."""
        return isinstance(self._answer, HlsBody) and self._answer.has_run

    @property
    def is_endless(self) -> bool:
        """It goes on for ever: a station, or HLS whose playlist has no end."""
        return self.is_station or (isinstance(self._answer, HlsBody) and not self.is_file)

    @property
    def n_gone(self) -> int:
        """Segments that were passed over since they could not be had (HLS)."""
        return self._answer.n_gone if isinstance(self._answer, HlsBody) else 0

    def begin_run(self) -> None:
        """Go on behind a discontinuity."""
        if isinstance(self._answer, HlsBody):
            self._answer.begin_run()

    def _raw(self, n_bytes: int) -> bytes:
        if self._head:
            part, self._head = self._head[:n_bytes], self._head[n_bytes:]
            return part
        return self._answer.read(n_bytes)

    def _found(self, url: str, n_left: int) -> tuple[Answer | HlsBody, bytes]:
        """The first answer that is no playlist, and its first bytes."""
        if not n_left:
            raise NetworkError(
                f"{shown(url)}: a playlist leads to a playlist, and so on; {_MOST_PLAYLISTS} are followed"
            )
        answer = Answer(url, icy=True)
        self._answer = answer
        head = b""
        while len(head) < _HEAD_BYTES and (part := answer.read(_HEAD_BYTES - len(head))):
            head += part
        kind = answer.headers.get("content-type", "").partition(";")[0].lower()
        is_listed = is_playlist(head) or (
            (is_named_playlist(answer.url) or "mpegurl" in kind or "scpls" in kind) and _is_text(head)
        )
        if not is_listed and not head.startswith((b"<", b"[")):
            return answer, head
        data = head + answer.read_whole(MOST_BYTES)
        answer.close()
        return self._first_of(answer.url, data, n_left)

    def _first_of(self, url: str, data: bytes, n_left: int) -> tuple[Answer | HlsBody, bytes]:
        text = data.decode("utf-8", "replace")
        if is_hls(text):
            self._answer = HlsBody(url, text, lambda *title: self.titles.append(title))
            return self._answer, b""
        if not is_playlist(data) and not is_named_playlist(url):
            raise NetworkError(f"{shown(url)}: is a page and no stream")
        reason = "lists nothing"
        for entry in entries_of(data)[:_MOST_PLAYLISTS]:
            try:
                return self._found(led_to(url, entry.place), n_left - 1)
            except NetworkError as error:
                if self._is_closed:
                    raise
                reason = str(error)
        raise NetworkError(f"{shown(url)}: is a playlist of which nothing can be read: {reason}")


def first_that_answers(urls: Sequence[str]) -> str:
    """Of several addresses the first that has a stream.

    Raises:
        NetworkError: none of the first few has.
    """
    reasons = []
    for url in urls[:_MOST_PLAYLISTS]:
        try:
            NetworkStream(url).close()
        except NetworkError as error:
            reasons.append(str(error))
        else:
            return url
    raise NetworkError("; ".join(reasons))


def _is_text(head: bytes) -> bool:
    return all(byte >= 32 or byte in b"\r\n\t" for byte in head)
