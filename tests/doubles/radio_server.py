"""A server of ours for streams, on the loopback: what it says is up to each test, however wrong."""

import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

Answer = Callable[[socket.socket, str], None]
"""Gets the connection and the request's text, and sends what it wants; the connection closes when it returns."""


class RadioServer:
    """Answers by path: `/live` is answered by `answers["/live"]`, the n-th time by its n-th item where it is a list.

    Attributes:
        requests: the text of each request.
        stopping: set when the server ends, for answers that wait.
    """

    def __init__(self, **answers: Answer | list[Answer]) -> None:
        self.requests: list[str] = []
        self.stopping = threading.Event()
        self._answers = answers
        self._open: set[socket.socket] = set()
        server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                server._handle(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self._server.allow_reuse_address = self._server.daemon_threads = True
        self._server.server_bind()
        self._server.server_activate()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def url(self, name: str = "live", user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.port}/{name}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def _handle(self, connection: socket.socket) -> None:
        self._open.add(connection)
        with suppress(OSError):
            text = b""
            while b"\r\n\r\n" not in text and (part := connection.recv(4096)):
                text += part
            request = text.decode("latin-1")
            self.requests.append(request)
            name = request.split(" ")[1].partition("?")[0].strip("/").replace(".", "_") if " " in request else ""
            found = self._answers.get(name)
            n_before = sum(f"GET /{name.replace('_', '.')}" in each for each in self.requests) - 1
            answer = found[min(n_before, len(found) - 1)] if isinstance(found, list) else found
            (answer or said(b"", "404 Not Found"))(connection, request)
        self._open.discard(connection)


def said(body: bytes, status: str = "200 OK", start: str = "HTTP/1.0", **headers: object) -> Answer:
    """An answer of so many bytes; a header whose name has a dash is told with an underscore, None leaves it out."""
    names = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    head = f"{start} {status}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in names.items()) + "\r\n"

    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(head.encode("latin-1") + body)

    return answer


def with_titles(body: bytes, metaint: int, titles: dict[int, str | bytes]) -> bytes:
    """A body with blocks between its bytes; `titles` says which block, from 0, tells what."""
    parts = []
    for number, begin in enumerate(range(0, len(body), metaint)):
        part = body[begin : begin + metaint]
        parts.append(part)
        if len(part) == metaint:
            title = titles.get(number)
            text = b"" if title is None else b"StreamTitle='" + (title if isinstance(title, bytes) else title.encode())
            block = text + (b"';StreamUrl='';" if text else b"")
            n_units = -(-len(block) // 16)
            parts.append(bytes([n_units]) + block.ljust(16 * n_units, b"\0"))
    return b"".join(parts)
