"""Request bodies: streamed from the server, bounded in size and in time, or read whole within a budget.

Neither server bounds the time between two pieces of a body; the sweep here does, with one timer for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from gateway.api.errors import ClientGone, RequestRefused
from gateway.api.exchange import Exchange
from gateway.api.messages import Body

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

SWEEP_S = 0.5
READ_AWAY_BYTES = 64 * 1024  # what uvicorn holds of a body; Granian reads away little more than what has arrived
LINGER_S = 5.0  # how long the rest of a body is read away after an early answer; nginx lingering_timeout 5s
WORKER_BUDGET_BYTES = 256 * 2**20  # bodies held whole at one time by one worker; beyond: 503


class BrokenBody(ClientGone):
    """The caller left, or its chunks are malformed: Granian reports both alike, so an answer is tried."""


class BodySweep:
    """Ends reads of bodies that wait too long for their next piece. Runs only while any waits."""

    def __init__(self) -> None:
        self._waiting: dict[RequestBody, tuple[float, asyncio.Task[Any]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, body: RequestBody, limit: float) -> None:
        task = asyncio.current_task()
        assert task is not None, "bodies are read in a task"
        self._waiting[body] = (limit, task)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def end(self, body: RequestBody) -> None:
        self._waiting.pop(body, None)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for body, (limit, task) in list(self._waiting.items()):
            if now >= limit:
                del self._waiting[body]
                body.timed_out = True
                task.cancel()
        self._timer = loop.call_later(SWEEP_S, self._sweep) if self._waiting else None


class RequestBody(Body):
    """The caller's body as the server hands it over. One reader."""

    __slots__ = ("_exchange", "_idle_s", "_receive", "_received", "_sweep", "ended", "length", "timed_out")

    def __init__(
        self, receive: Receive, exchange: Exchange, length: int | None, idle_s: float, sweep: BodySweep
    ) -> None:
        self._receive = receive
        self._exchange = exchange
        self._idle_s = idle_s
        self._sweep = sweep
        self._received = 0
        self.length = length
        self.ended = False
        self.timed_out = False

    @property
    def obstructs(self) -> bool:
        """So much of it is unread, or may be, that no server would read it away for the sake of the next request."""
        return not self.ended and (self.length is None or self.length - self._received > READ_AWAY_BYTES)

    async def read(self) -> bytes:
        while not self.ended:
            message = await self._next()
            if message["type"] == "http.disconnect":
                self.ended = True
                self._exchange.client_gone = True
                raise BrokenBody
            if not message.get("more_body", False):
                self.ended = True
            piece: bytes = message.get("body", b"")
            if piece:
                self._received += len(piece)
                limit = self._exchange.max_body
                if limit is not None and self._received > limit:
                    raise too_large(limit)
                return piece
        return b""

    async def _next(self) -> MutableMapping[str, Any]:
        exchange = self._exchange
        now = asyncio.get_running_loop().time()
        self._sweep.begin(self, min(now + self._idle_s, max(exchange.deadline, now)))
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if self.timed_out and _taken_back():
                raise RequestRefused(
                    408, "request.body-timeout", "The body did not arrive in time; send it without pauses."
                ) from None
            raise
        finally:
            self._sweep.end(self)

    async def read_away(self) -> None:
        """After an early answer: a server that closes on a caller who still sends may take the answer with it (RFC 9112 §9.6)."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while not self.ended:
                    message = await self._receive()
                    self.ended = message["type"] == "http.disconnect" or not message.get("more_body", False)

    def close(self) -> None:
        self.ended = True


def _taken_back() -> bool:
    """Take one cancellation of this task back; whether none is left. Not in the frame above, which the task would keep."""
    task = asyncio.current_task()
    return task is not None and not task.uncancel()


def too_large(limit: int) -> RequestRefused:
    return RequestRefused(
        413, "request_size.exceeded", f"The body is longer than the {limit} octets allowed here; send a smaller one."
    )


class BodyBudget:
    """How much of bodies a worker holds whole at one time."""

    def __init__(self, limit: int = WORKER_BUDGET_BYTES) -> None:
        self._left = limit

    async def read(self, exchange: Exchange, body: Body) -> bytes:
        """All of `body`. Raises RequestRefused (408, 413, 503) or ClientGone; the share ends with the exchange."""
        pieces: list[bytes] = []
        held = 0

        def give_back() -> None:
            self._left += held

        exchange.on_close(give_back)
        limit = exchange.max_body
        if limit is not None and body.length is not None and body.length > limit:
            raise too_large(limit)
        while piece := await body.read():
            held += len(piece)
            self._left -= len(piece)
            if self._left < 0:
                raise RequestRefused(503, "request.memory", "Too many bodies are held at the moment; try again soon.")
            pieces.append(piece)
            if held == body.length:
                break  # to ask the server once more takes 4 µs
        return b"".join(pieces) if len(pieces) != 1 else pieces[0]
