"""The control socket: websocket and page on loopback, in a thread and event loop of their own.

    http://127.0.0.1:PORT/          the page; it holds nothing that is secret
    http://127.0.0.1:PORT/proof     that the server knows the token, for `?nonce=`: shown before a client shows its own
    ws://127.0.0.1:PORT/control     the socket; token (`Authorization: Bearer` or `?token=`), origin and host checked

A client that doesn't read is sent only what it has room for, and dropped after some seconds; nobody waits for it.
Whoever imports this module has imported websockets.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from apollo_rt.control.commands import Commander
from apollo_rt.control.socket.access import Access
from apollo_rt.control.socket.client import Client
from apollo_rt.control.socket.messages import LONGEST_BYTES
from apollo_rt.errors import ControlError

_LOG = logging.Logger("control socket", logging.CRITICAL + 1)
"""For websockets, which would log every client that goes without a goodbye; belongs to no tree, and says nothing."""

HOST = "127.0.0.1"
SOCKET_PATH, PROOF_PATH = "/control", "/proof"
PAGE = Path(__file__).parents[2] / "data" / "control.html"
MOST_CLIENTS = 8
MOST_WAITING = 32
"""Connections that are no clients (yet): the oldest goes when another comes. With the backlog this bounds what the
server can take of the process's file descriptors, which devices and files need."""
_BACKLOG = 16
_SLOW_S = 5.0
"""How long a client may leave a message unread before it is dropped."""
_OPEN_S, _PING_S, _CLOSE_S = 5.0, 10.0, 0.25
_BUFFER_BYTES = 65_536
_STARTING_S, _ENDING_S = 10.0, 2.0
"""How long to wait for the server's thread; one that hangs is left behind."""

_PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class ControlServer:
    """Serves until it is stopped.

    Args:
        commander: runs commands.
        token: what a client has to show.
        port: 0: any that is free.
        say: tells a user something.
        slow_s: see `_SLOW_S`.

    Attributes:
        port: that is listened to.
    """

    def __init__(
        self, commander: Commander, token: str, port: int, say: Callable[[str], None], slow_s: float = _SLOW_S
    ) -> None:
        """Nothing is served before `start`."""
        self.port = port
        self._commander, self._token, self._say, self._slow_s = commander, token, say, slow_s
        self._page = PAGE.read_bytes()
        self._waiting: list[ServerConnection] = []  # oldest first
        self._ready = threading.Event()
        self._error: Exception | None = None
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="control socket", daemon=True)

    @property
    def url(self) -> str:
        """Of the page, with the token behind the #, which a browser keeps to itself."""
        return f"{self.page_url}#{self._token}"

    @property
    def page_url(self) -> str:
        """Of the page, which asks for the token."""
        return f"http://{HOST}:{self.port}/"

    def start(self) -> None:
        """Begin to serve.

        Raises:
            ControlError: the port is taken.
        """
        self._thread.start()
        if not self._ready.wait(_STARTING_S):
            raise ControlError(f"control: the server did not start within {_STARTING_S:g} s")
        if self._error:
            reason = getattr(self._error, "strerror", None) or self._error
            raise ControlError(
                f"control: can't listen at {HOST}:{self.port}: {reason}; --control 0 takes any free port"
            )

    def stop(self) -> None:
        """Close all connections and end; what a command still waits for is left behind."""
        if self._thread.is_alive():
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(2 * _ENDING_S)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except Exception as error:  # whatever it is: who waits in `start` is told
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._server = server = await serve(
            self._handle, HOST, self.port, process_request=self._decide, compression=None, server_header=None,
            backlog=_BACKLOG, max_size=LONGEST_BYTES, max_queue=16, write_limit=_BUFFER_BYTES, open_timeout=_OPEN_S,
            ping_interval=_PING_S, ping_timeout=_PING_S, close_timeout=_CLOSE_S, logger=_LOG,
            create_connection=self._connection,  # type: ignore[arg-type]  # it is called, and nothing else
        )  # fmt: skip
        self.port = next(iter(server.sockets)).getsockname()[1]
        self._access = Access(self._token, self.port)
        self._ready.set()
        await self._ending.wait()
        # Browsers connect in advance and ask for nothing yet; closing would wait for their question.
        for connection in self._still_waiting():
            _abort(connection)
        server.close()
        with suppress(TimeoutError):  # a command hangs, and with it the one who waits for its answer
            async with asyncio.timeout(_ENDING_S):
                await server.wait_closed()

    def _connection(self, *arguments: Any, **options: Any) -> ServerConnection:
        connection = ServerConnection(*arguments, **options)
        self._waiting = self._still_waiting()
        while len(self._waiting) >= MOST_WAITING:
            _abort(self._waiting.pop(0))
        self._waiting.append(connection)
        return connection

    def _still_waiting(self) -> list[ServerConnection]:
        """Those that are neither clients by now nor gone."""
        return [connection for connection in self._waiting if connection.state is State.CONNECTING]

    def _decide(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a request: the page, a refusal, or, with None, a websocket."""
        path, headers = urlsplit(request.path), request.headers
        if not self._access.is_ours(headers.get("Host")):
            return connection.respond(HTTPStatus.FORBIDDEN, "This is a control socket of Apollo RT on loopback only.\n")
        if path.path == "/":
            return self._page_response()
        if path.path == PROOF_PATH:
            proof = self._access.proof(parse_qs(path.query).get("nonce", [""])[0])
            return connection.respond(HTTPStatus.OK if proof else HTTPStatus.BAD_REQUEST, proof or "No nonce.\n")
        if path.path != SOCKET_PATH:
            return connection.respond(HTTPStatus.NOT_FOUND, "There is /, /proof and /control.\n")
        if headers.get("Origin") not in (None, *self._access.origins):
            return connection.respond(HTTPStatus.FORBIDDEN, "Only the page that is served here may connect.\n")
        bearer = (headers.get("Authorization") or "").removeprefix("Bearer ")
        if not self._access.has_token(bearer or parse_qs(path.query).get("token", [""])[0]):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "The token is missing or wrong.\n")
        if len(connection.server.connections) >= MOST_CLIENTS:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"There are {MOST_CLIENTS} clients already.\n")
        return None

    def _page_response(self) -> Response:
        headers = {**_PAGE_HEADERS, "Content-Length": str(len(self._page))}
        return Response(HTTPStatus.OK, "OK", Headers(headers), self._page)

    async def _handle(self, connection: ServerConnection) -> None:
        async def send(message: str) -> None:
            try:
                async with asyncio.timeout(self._slow_s):
                    await connection.send(message)
            except TimeoutError:
                self._say("control: a client that did not read was dropped")
                connection.transport.abort()

        async def send_news() -> None:
            with suppress(ConnectionClosed):
                await client.send_news()

        # What is on its way to a slow client grows old: as little as possible shall be.
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        client = Client(self._commander, send)
        news = asyncio.create_task(send_news())
        try:
            with suppress(ConnectionClosed):
                async for message in connection:
                    await client.take(message)
        finally:
            news.cancel()
            client.close()


def _abort(connection: ServerConnection) -> None:
    """End a connection at once, without a word."""
    if hasattr(connection, "transport"):  # else it isn't connected yet
        connection.transport.abort()
