"""One connection to the sound server (PulseAudio, or PipeWire in its place) is kept for as long as the program runs.

It is kept because PipeWire loses moves of a client that leaves at once (5 to 19 of 100 with `pactl`, none of 230 with a
kept connection), and because the server tells on it what changes. It has a thread of its own, since a server may hang
for ever, and who asks may not. The only module that imports pulsectl.
"""

import contextlib
import ctypes
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, ClassVar, TypeVar

from apollo_rt.errors import DeviceError

Answer = TypeVar("Answer")
Question = Callable[[Any], Answer]
"""Gets a connected `pulsectl.Pulse`, which it may use until it returns."""

CLIENT_NAME = f"Apollo RT {os.urandom(6).hex()}"
"""What this process is called in the server's list of clients; no other process, now or later, is called so."""

_PATIENCE_S = 2.0
_PERIOD_S = 0.05
"""How long a question may wait that comes in the moment between looking for questions and listening for events."""

_PLACES = ("PULSE_SERVER", "PULSE_COOKIE", "PULSE_RUNTIME_PATH", "XDG_RUNTIME_DIR", "HOME")
"""Variables that lead libpulse to another server."""


class ServerError(DeviceError):
    """There is no sound server, it doesn't answer, or it refuses."""


def ask(question: Question[Answer]) -> Answer:
    """Ask the sound server over the kept connection, made if there is none.

    Args:
        question: runs in the connection's thread.

    Raises:
        ServerError: no server, no answer in time, or it refuses.
    """
    return _kept().ask(question)


def n_events() -> int:
    """Number of changes of sinks, sources, streams and defaults that servers told so far; each connection counts, too.

    Nothing is asked and no connection is made for it.
    """
    return _Connection.n_events


def refusals_ignored() -> contextlib.AbstractContextManager[None]:
    """Let a question go on where the server refuses one thing: a stream may end between a look at it and its move."""
    return contextlib.suppress(_imported().PulseError)


class _Connection:
    """A connection in a thread of its own; it ends with the server."""

    n_events: ClassVar[int] = 0

    def __init__(self) -> None:
        self.places = _places()
        self._questions: queue.SimpleQueue[tuple[Question[Any], Future[Any]]] = queue.SimpleQueue()
        self._server: Any = None
        self._reason = "it closed the connection"
        self._thread = threading.Thread(target=self._run, name="sound server", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether questions are answered, or may be once the server doesn't hang any more."""
        return self._thread.is_alive()

    def ask(self, question: Question[Answer]) -> Answer:
        """See above."""
        answer: Future[Answer] = Future()
        self._questions.put((question, answer))
        self._wake()
        try:
            return answer.result(_PATIENCE_S if self._thread.is_alive() else 0.0)
        except TimeoutError:
            if self._thread.is_alive():
                raise ServerError(f"the sound server does not answer within {_PATIENCE_S:g} s") from None
            raise ServerError(f"no sound server: {self._reason}") from None

    def _wake(self) -> None:
        server = self._server
        if server is not None:
            server.event_listen_stop()

    def _run(self) -> None:
        try:
            with _imported().Pulse(CLIENT_NAME, connect=False) as server:
                self._connect(server)
                self._serve(server)
        except Exception as error:  # of libpulse, of its wrapper, or of the loader where there is no library
            self._reason = str(error) or "it closed the connection"
        finally:
            self._server = None
            while not self._questions.empty():
                self._questions.get()[1].set_exception(ServerError(f"no sound server: {self._reason}"))

    @staticmethod
    def _connect(server: Any) -> None:
        try:
            server.connect()  # its own timeout is waited for to the end, even when it succeeds
        except _imported().PulseError:
            raise ServerError("none runs for this user") from None

    def _serve(self, server: Any) -> None:
        server.event_mask_set("sink", "source", "sink_input", "source_output", "server")
        server.event_callback_set(self._count)
        self._server = server
        self._count()  # what there was before has not been seen
        while server.connected:
            while not self._questions.empty():
                self._answer(server, *self._questions.get())
            server.event_listen(_PERIOD_S)

    @staticmethod
    def _answer(server: Any, question: Question[Any], answer: Future[Any]) -> None:
        try:
            answer.set_result(question(server))
        except _imported().PulseError as error:
            answer.set_exception(ServerError(f"the sound server refuses: {error or type(error).__name__}"))
        except BaseException as error:  # the question's own: whose it is shall have it
            answer.set_exception(error)

    @staticmethod
    def _count(_: object = None) -> None:
        _Connection.n_events += 1


_LOCK = threading.Lock()
_connections: list[_Connection] = []
"""The kept one, if any."""


def _kept() -> _Connection:
    with _LOCK:
        if _connections and _connections[0].is_alive and _connections[0].places == _places():
            return _connections[0]
        _connections[:] = [_Connection()]
        return _connections[0]


def _places() -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in _PLACES)


def _imported() -> Any:
    with _nothing_searched():
        import pulsectl
    _keep_sample_specs(pulsectl.pulsectl.PulseObject)
    return pulsectl


def _keep_sample_specs(kind: Any) -> None:
    """Let records have a sample format of their own.

    pulsectl 24.12 leaves it in libpulse's memory, which is freed as soon as the list is complete: a rate of 16821316 Hz
    was read there (findings/pulsectl-sample-spec-is-freed.sh).
    """
    copy_fields = kind._copy_struct_fields
    if hasattr(copy_fields, "keeps_sample_specs"):
        return

    def copied(record: Any, *arguments: Any, **named: Any) -> None:
        copy_fields(record, *arguments, **named)
        spec = getattr(record, "sample_spec", None)
        if isinstance(spec, ctypes.Structure):
            record.sample_spec = type(spec).from_buffer_copy(spec)

    copied.keeps_sample_specs = True  # type: ignore[attr-defined]
    kind._copy_struct_fields = copied


@contextlib.contextmanager
def _nothing_searched() -> Iterator[None]:
    """Let pulsectl take `libpulse.so.0` at once: it has a compiler search for a "liblibpulse" first, for 0.2 s."""
    import ctypes.util

    before = ctypes.util.find_library
    ctypes.util.find_library = lambda name: None if name == "libpulse" else before(name)
    try:
        yield
    finally:
        ctypes.util.find_library = before
