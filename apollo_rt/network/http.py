"""HTTP answers as bytes that are handed on as they come; what a server sends besides is bounded.

    address -> redirects, 10 at most -> answer: headers, and a body of a known length, in chunks, or without an end

Python's own client does it, over a socket with a time-out. SHOUTcast begins with `ICY 200 OK`, which is HTTP but for
that word. Certificates are checked, by the system's authorities or `certifi`'s.
"""

import base64
import http.client
import io
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, unquote

from apollo_rt.errors import NetworkError
from apollo_rt.network.address import checked, led_to, shown
from apollo_rt.network.station_text import text_of

_MOST_REDIRECTS = 10
_SILENCE_S = 8.0
"""How long a server may say nothing: longer than it takes to send a second of the slowest stream."""

_HEADERS_S = 15.0
"""How long a server may take for its headers altogether, however slowly it sends them."""

_REDIRECTS = (301, 302, 303, 307, 308)
_AGENT = "apollo-rt"


class Answer:
    """One answer of a server; its body is read as it comes.

    Args:
        url: `http://` or `https://`, with name and password if they are needed.
        icy: ask for titles between the bytes.
        silence_s: how long the server may say nothing; None: the usual.
        byte_range: place of the first and number of the bytes that are wanted; None: all of them.

    Attributes:
        url: where redirects led.
        headers: by lower-case names, in what was Latin-1 or UTF-8.
        length: bytes of the body, None where that isn't known.
        is_complete: the body came to an end that was announced.
        has_last_chunk: it came to the last of its chunks, as files and, behind some proxies, lost stations end.

    Raises:
        NetworkError: there is no such server, it doesn't answer, refuses, or isn't who it should be.
    """

    def __init__(
        self,
        url: str,
        icy: bool = False,
        silence_s: float | None = None,
        byte_range: tuple[int, int] | None = None,
    ) -> None:
        """Ask, and read the headers."""
        self.url = url
        self.is_complete = self.has_last_chunk = False
        self._icy, self._silence_s, self._range = icy, silence_s or _SILENCE_S, byte_range
        self._closing = threading.Lock()
        self._is_closed = False
        self._socket: socket.socket | None = None
        for _ in range(_MOST_REDIRECTS + 1):
            self._response = self._asked(self.url)
            target = self._response.headers.get("location")
            if self._response.status not in _REDIRECTS or target is None:
                break
            self._disconnect()
            self.url = led_to(self.url, _text(target))
        else:
            raise NetworkError(f"{shown(url)}: is redirected more than {_MOST_REDIRECTS} times")
        self.headers: Mapping[str, str] = {name.lower(): _text(value) for name, value in self._response.headers.items()}
        self._refuse_what_is_no_stream()
        self.length = self._response.length if not self._response.chunked else None
        self._n_read = self._n_before = 0
        if byte_range is not None:
            self._n_before = byte_range[0] if self._response.status == http.client.OK else 0  # it sends all of it
            self.length = self._n_before + byte_range[1]

    @property
    def is_file(self) -> bool:
        """It has an end that is announced, and no titles between its bytes."""
        return self.length is not None and "icy-metaint" not in self.headers

    def read(self, n_bytes: int) -> bytes:
        """Bytes of the body that have come, or come next; none at its end.

        Raises:
            NetworkError: the server is silent for too long, or broke off.
        """
        while True:
            part = self._part(n_bytes if self._range is None else min(n_bytes, (self.length or 0) - self._n_read))
            n_left_out = min(max(self._n_before - self._n_read, 0), len(part))
            self._n_read += len(part)
            if not part:
                self.is_complete = self.length is not None and self._n_read >= self.length
                self.has_last_chunk = bool(self._response.chunked) and not self._is_closed
            if not part or n_left_out < len(part):
                return part[n_left_out:]

    def _part(self, n_bytes: int) -> bytes:
        try:
            return self._response.read1(n_bytes) if n_bytes else b""
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self._is_closed:
                return b""
            raise NetworkError(f"{shown(self.url)}: {_reason(error)}") from None

    def read_whole(self, most_bytes: int) -> bytes:
        """The whole body.

        Raises:
            NetworkError: it is longer than that, or breaks off.
        """
        parts, n_left = [], most_bytes
        while part := self.read(65_536):
            parts.append(part)
            n_left -= len(part)
            if n_left < 0:
                raise NetworkError(f"{shown(self.url)}: sends more than {most_bytes} bytes, which no playlist has")
        return b"".join(parts)

    def close(self) -> None:
        """Hang up; a read that waits in another thread ends."""
        self._is_closed = True
        self._disconnect()

    def _disconnect(self) -> None:
        with self._closing:
            connection, self._socket = self._socket, None
        if connection:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                connection.close()

    def _asked(self, url: str) -> http.client.HTTPResponse:
        parts = checked(url)
        try:
            connection = self._connected(parts)
            patience = threading.Timer(_HEADERS_S, self._disconnect)
            patience.daemon = True
            patience.start()
            try:
                connection.request("GET", _target_of(parts), headers=self._questions(parts))
                response = connection.getresponse()
            finally:
                patience.cancel()
            if self._socket is None:
                raise TimeoutError
            return response
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._disconnect()
            raise NetworkError(f"{shown(url)}: {_reason(error)}") from None

    def _connected(self, parts: SplitResult) -> http.client.HTTPConnection:
        """A connection whose socket is ours, so that it can be closed from outside."""
        host, is_secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if is_secure else 80)
        self._socket = socket.create_connection((host, port), self._silence_s)
        if self._is_closed:
            raise OSError("closed")
        if is_secure:
            self._socket = _context().wrap_socket(self._socket, server_hostname=host)
        connection = http.client.HTTPConnection(host, port, timeout=self._silence_s)
        connection.response_class = _Response
        connection.sock = self._socket
        return connection

    def _questions(self, parts: SplitResult) -> dict[str, str]:
        headers = {"User-Agent": _AGENT, "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
        if self._icy:
            headers["Icy-MetaData"] = "1"
        if self._range is not None:
            headers["Range"] = f"bytes={self._range[0]}-{sum(self._range) - 1}"
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(credentials.encode()).decode()
        return headers

    def _refuse_what_is_no_stream(self) -> None:
        status, encoding = self._response.status, self.headers.get("content-encoding", "identity")
        is_part = status == http.client.PARTIAL_CONTENT and self._is_the_part()
        if (status == http.client.OK or is_part) and encoding.lower() in ("identity", ""):
            return
        self.close()
        if not is_part and status != http.client.OK:
            words = _text(self._response.reason or http.client.responses.get(status, ""))[:80]
            raise NetworkError(f"{shown(self.url)}: the server answers {status} {words}".rstrip())
        raise NetworkError(f"{shown(self.url)}: is sent compressed ({encoding[:20]}), which was not asked for")

    def _is_the_part(self) -> bool:
        """Whether what is sent begins where it was asked for."""
        found = self.headers.get("content-range", "").lower().removeprefix("bytes ").partition("-")[0].strip()
        return self._range is not None and found == str(self._range[0])


class _Response(http.client.HTTPResponse):
    """Takes `ICY 200 OK` for what it means."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_AsHttp(self.fp))


class _AsHttp(io.RawIOBase):
    def __init__(self, file: io.BufferedReader) -> None:
        self._file, self._is_first = file, True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read1(max(len(buffer) - 8, 1))
        if self._is_first:
            while b"ICY ".startswith(data) and len(data) < 4 and (more := self._file.read1(4 - len(data))):
                data += more
            data = b"HTTP/1.0 " + data[4:] if data[:4] == b"ICY " else data
            self._is_first = False
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _context() -> ssl.SSLContext:
    """Certificates of the system; where it has none, those of `certifi`, if that is installed."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:
        return ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=certifi.where())


def _target_of(parts: SplitResult) -> str:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return path.encode("ascii", "ignore").decode() if path.isascii() else _quoted(path)


def _quoted(path: str) -> str:
    return "".join(
        letter if letter.isascii() else "".join(f"%{byte:02X}" for byte in letter.encode()) for letter in path
    )


def _text(value: str) -> str:
    """Header values are Latin-1 to Python; where their bytes are UTF-8, that is what is meant."""
    return text_of(value.encode("latin-1", "replace"))


def _reason(error: Exception) -> str:
    """Words for what went wrong; those of the system, where it has some."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "the server says nothing"
    if isinstance(error, socket.gaierror):
        return f"no such server: {error.strerror}"
    if isinstance(error, ssl.SSLError):
        return f"no secure connection: {error.reason or error}"
    if isinstance(error, http.client.IncompleteRead):
        return "it broke off in the middle of a chunk"
    if isinstance(error, OSError):
        return f"no connection: {error.strerror or 'it was closed'}"
    return f"no answer that can be understood ({type(error).__name__})"
