"""One client of the control socket: its requests, one after the other, and what it subscribed to."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from apollo_rt.control.arguments import check_arguments
from apollo_rt.control.command_thread import CommandThread
from apollo_rt.control.commands import Commander, command
from apollo_rt.control.controllable import Reply
from apollo_rt.control.socket.messages import BadMessageError, Request, answer, news, parse_request, refusal
from apollo_rt.errors import ApolloError

INTERVAL_S = 0.1
"""Between two messages of a topic where a client doesn't say otherwise."""
_RATE, _BURST = 100.0, 200.0
"""Requests per second in the long run, and at once: a slider that is dragged sends 60 a second."""


class Client:
    """Answers requests and sends news; knows nothing of sockets.

    Args:
        commander: runs commands.
        send: sends one message; waits while the client is slow, so that news are made when they can be sent.
        clock_s: monotonic seconds.
    """

    def __init__(
        self,
        commander: Commander,
        send: Callable[[str], Awaitable[None]],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._commander, self._send, self._clock_s = commander, send, clock_s
        self._topics: tuple[str, ...] = ()
        self._interval_s = INTERVAL_S
        self._changed = asyncio.Event()
        self._last_parameters: Reply | None = None
        self._allowance, self._counted_s = _BURST, clock_s()
        # Some commands ask a disk or a sound server: neither other clients nor this one's news must wait for that.
        self._requests, self._news = CommandThread("control requests"), CommandThread("control news")

    def close(self) -> None:
        """Let its threads end."""
        self._requests.close()
        self._news.close()

    async def take(self, message: str | bytes) -> None:
        """Answer one message; where too many came, only after a while."""
        await self._wait_for_allowance()
        await self._send(await self._answer_to(message))

    async def send_news(self) -> None:
        """Send what was subscribed to, for ever."""
        while True:
            if not self._topics:
                await self._changed.wait()
            self._changed.clear()
            for topic in self._topics:
                await self._send_topic(topic)
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _answer_to(self, message: str | bytes) -> str:
        try:
            request = parse_request(message)
        except BadMessageError as error:
            return refusal(error.id, str(error))
        try:
            return answer(request.id, await self._run(request))
        except (ValueError, ApolloError) as error:
            return refusal(request.id, str(error))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # a fault of ours is no reason to leave a client without an answer
            return refusal(request.id, f"{request.command} failed: {type(error).__name__}")

    async def _run(self, request: Request) -> Reply:
        row = command(request.command)
        if row.handler is not None:
            return await self._requests.run(self._commander.run, row.name, request.arguments)
        given = check_arguments(row.name, row.arguments, request.arguments)
        self._subscribe(given.get("topics", ()), given.get("interval_s", INTERVAL_S))
        return {"topics": list(self._topics), "interval_s": self._interval_s}

    def _subscribe(self, topics: tuple[str, ...], interval_s: float) -> None:
        self._topics, self._interval_s, self._last_parameters = topics, interval_s, None
        self._changed.set()

    async def _send_topic(self, topic: str) -> None:
        try:
            data: dict[str, Any] = await self._news.run(self._commander.run, topic)
        except Exception:  # what can't be told now is told later; who asks for it gets the reason
            return
        if topic == "parameters":  # news only where something is new
            if data == self._last_parameters:
                return
            self._last_parameters = data
        await self._send(news(topic, data))

    async def _wait_for_allowance(self) -> None:
        now_s = self._clock_s()
        self._allowance = min(self._allowance + (now_s - self._counted_s) * _RATE, _BURST) - 1.0
        self._counted_s = now_s
        if self._allowance < 0.0:
            await asyncio.sleep(-self._allowance / _RATE)
