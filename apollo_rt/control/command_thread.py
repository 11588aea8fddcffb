"""A thread that runs for an event loop what the loop must not wait for: a disk, a sound server, a model's card.

Not an executor of `concurrent.futures`: the interpreter joins those at its end without a limit, so that one command
that hangs would keep the program from ending, and a future can't carry every exception (StopIteration is lost in it).
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")

_Outcome = tuple[Any, BaseException | None]


class CommandThread:
    """A daemon thread; it starts with the first call, and runs one after the other.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function there.

        Returns:
            What it returns.

        Raises:
            Exception: whatever it raises; StopIteration and CancelledError, which mean something else to a coroutine,
                as a RuntimeError.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Outcome] = loop.create_future()

        def call() -> None:
            outcome = _outcome(function, arguments)
            with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                loop.call_soon_threadsafe(_set, answer, outcome)

        if self._thread.ident is None:
            self._thread.start()
        self._calls.put(call)
        result, error = await answer
        if isinstance(error, asyncio.CancelledError):
            raise RuntimeError("cancelled") from error  # the call, and not who waits for it
        if error is not None:
            raise error
        value: Result = result
        return value

    def close(self) -> None:
        """End the thread after what it runs; nobody waits for that."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> _Outcome:
    try:
        return function(*arguments), None
    except BaseException as error:  # whatever it is: who waits is told
        return None, error


def _set(answer: "asyncio.Future[_Outcome]", outcome: _Outcome) -> None:
    if not answer.done():  # cancelled meanwhile
        answer.set_result(outcome)
