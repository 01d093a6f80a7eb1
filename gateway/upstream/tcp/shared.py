"""Calls that share a connection: answers come in any order and are told apart by a field that is the same in both.

A key that is under way on a connection, or was given up there, is not used on it again: a late answer finds nobody.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, cast

from gateway.api.errors import Cause, Stage, UpstreamError
from gateway.api.messages import Correlation, Headers, OnSlow, Response
from gateway.upstream.connection import StaleConnection
from gateway.upstream.draining import why_lost
from gateway.upstream.sweep import Bounded
from gateway.upstream.tcp.connection import OCTETS
from gateway.upstream.tcp.framing import Frames, Messages
from gateway.upstream.wire import Violation

if TYPE_CHECKING:
    from gateway.upstream.resolve import Address
    from gateway.upstream.tcp.pool import MessagePool

log = logging.getLogger("sluicegate.upstream")

FEW = 16  # calls on a connection beyond which another is opened, while there may be more
MANY = 1024  # calls on a connection, and keys given up on it, beyond which it takes no more


class SharedCall(Bounded):
    """One call on a shared connection, as the sweep sees it."""

    __slots__ = ("_connection", "answer", "began", "key")

    def __init__(
        self, connection: SharedConnection, key: bytes, on_slow: OnSlow | None, now: float, limit: float
    ) -> None:
        super().__init__(on_slow, now, limit)
        self.key = key
        self.began = now
        self.answer: asyncio.Future[Response] = connection.loop.create_future()
        self._connection = connection

    def overdue(self) -> None:
        self._connection.doubt(self.began)
        self.end(self._connection.error(Cause.TIMEOUT, "head", "no answer in time"))

    def end(self, error: Exception) -> None:
        """Give the call up; its answer, when it comes, is dropped."""
        self._connection.give_up(self)
        if not self.answer.done():
            self.answer.set_exception(error)


class SharedConnection(asyncio.Protocol):
    """Messages out, messages in, and who waits for which."""

    def __init__(self, home: MessagePool, address: Address, place: tuple[int, int]) -> None:
        self.loop = home.sweep.loop
        self.place = place  # of the key in an answer: offset and length
        self.calls: dict[bytes, SharedCall] = {}
        self.closed = False
        self.going = False  # takes no new call
        self.idle_since = self.loop.time()
        self._home = home
        self._address = address
        self._frames: Frames = home.frames
        self._messages = Messages(home.frames)
        self._given_up: set[bytes] = set()
        self._heard = 0.0
        self._answered = False
        self._warned = False

    @property
    def room(self) -> bool:
        return not self.going and not self._transport.is_closing() and len(self.calls) + len(self._given_up) < MANY

    def knows(self, key: bytes) -> bool:
        return key in self.calls or key in self._given_up

    def call(self, message: bytes, key: bytes, on_slow: OnSlow | None, now: float, limit: float) -> SharedCall:
        call = self.calls[key] = SharedCall(self, key, on_slow, now, limit)
        self._home.sweep.add(call)
        self._transport.write(message)
        return call

    def give_up(self, call: SharedCall) -> None:
        self._home.sweep.waiting.discard(call)
        if self.calls.pop(call.key, None) is not None:
            self._given_up.add(call.key)
            if len(self._given_up) >= MANY // 4:
                self.going = True
            self._left()

    def doubt(self, since: float) -> None:
        """A call got no answer in time: when nothing at all was heard meanwhile, new calls go elsewhere."""
        if self._heard < since:
            self.going = True

    def retire(self) -> None:
        """No new call; those under way may end."""
        self.going = True
        self._left()

    def error(self, cause: Cause, stage: Stage, detail: str) -> UpstreamError:
        return UpstreamError(cause, stage, sent=True, upstream=self._home.upstream, detail=detail)

    # -- the event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        try:
            message = self._messages.next(data)
            while message is not None:
                self._deliver(message)
                message = self._messages.next() if self._messages.began else None
        except Violation as violation:
            self._end(self.error(Cause.PROTOCOL, "head", str(violation)))

    def eof_received(self) -> None:
        self._lost("the upstream closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(why_lost(exc))

    def _deliver(self, message: bytes) -> None:
        offset, length = self.place
        key = message[offset : offset + length]
        call = self.calls.pop(key, None)
        if call is not None:
            self._answered = True
            self._home.sweep.waiting.discard(call)
            if not call.answer.done():
                call.answer.set_result(Response(200, Headers((OCTETS,)), message))
            self._left()
        elif key in self._given_up:
            self._given_up.discard(key)
        elif not self._warned:
            self._warned = True
            log.warning("upstream %s: an answer that matches no call was dropped", self._home.upstream)

    def _lost(self, detail: str) -> None:
        if self._answered and not self._messages.began:  # it had served: the end may have crossed the call on the way
            self._end(StaleConnection(Cause.RESET, "head", sent=True, upstream=self._home.upstream, detail=detail))
        else:
            self._end(self.error(Cause.RESET, "head", detail))

    def _end(self, error: UpstreamError) -> None:
        if self.closed:
            return
        self.closed = self.going = True
        self._transport.abort()
        self._home.shared.forget(self)
        calls, self.calls = self.calls, {}
        for call in calls.values():
            self._home.sweep.waiting.discard(call)
            if not call.answer.done():
                call.answer.set_exception(
                    type(error)(error.cause, error.stage, sent=True, upstream=error.upstream, detail=error.detail)
                )

    def _left(self) -> None:
        if not self.calls:
            self.idle_since = self.loop.time()
            if self.going and not self.closed:
                self._end(self.error(Cause.RESET, "head", "retired"))


class Shared:
    """The shared connections to one target."""

    def __init__(self, home: MessagePool) -> None:
        self._home = home
        self._all: set[SharedConnection] = set()
        self._opening: dict[tuple[int, int], asyncio.Task[SharedConnection]] = {}

    @property
    def calls(self) -> int:
        return sum(len(each.calls) for each in self._all)

    @property
    def connections(self) -> int:
        return len(self._all)

    async def connection(self, correlation: Correlation, deadline: float, *, fresh: bool) -> SharedConnection:
        """A connection on which the key is free, the least busy; another is opened while all are busy.

        Raises UpstreamError with sent=False.
        """
        place = (correlation.offset, correlation.length)
        while True:
            fitting = [] if fresh else [each for each in self._all if each.place == place and each.room]
            free = [each for each in fitting if not each.knows(correlation.key)]
            best = min(free, key=lambda each: len(each.calls), default=None)
            may_open = len(self._all) + len(self._opening) < self._home.most or place in self._opening
            if best is not None and (len(best.calls) < FEW or not may_open):
                return best
            if not may_open:
                idle = next((each for each in self._all if not each.calls and each.place != place), None)
                if idle is None:
                    detail = "every connection is busy, or has this correlation value under way"
                    raise UpstreamError(
                        Cause.OVERLOAD, "queue", sent=False, upstream=self._home.upstream, detail=detail
                    )
                idle.retire()
                continue
            opened = await self._opened(place, deadline)
            fresh = False
            if opened.room and not opened.knows(correlation.key):
                return opened

    async def _opened(self, place: tuple[int, int], deadline: float) -> SharedConnection:
        """The connection that is being opened for this place: one at a time, for all that wait."""
        task = self._opening.get(place)
        if task is None:
            task = self._home.sweep.loop.create_task(self._home.dial_apart(partial(self._make, place)))
            self._opening[place] = task
            task.add_done_callback(partial(self._opened_one, place))
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(task)
        except TimeoutError as problem:
            raise UpstreamError(
                Cause.TIMEOUT, "connect", sent=False, upstream=self._home.upstream, detail="no connection in time"
            ) from problem

    def _make(self, place: tuple[int, int], address: Address) -> SharedConnection:
        return SharedConnection(self._home, address, place)

    def _opened_one(self, place: tuple[int, int], task: asyncio.Task[SharedConnection]) -> None:
        self._opening.pop(place, None)
        if not task.cancelled() and task.exception() is None and not task.result().closed:
            self._all.add(task.result())
            self._home.sweep.keep_house(self._keep_house)

    def _keep_house(self, now: float) -> bool:
        for connection in [each for each in self._all if not each.calls]:
            if now - connection.idle_since >= self._home.idle_s:
                connection.retire()
        return bool(self._all)

    def retire(self) -> None:
        for connection in list(self._all):
            connection.retire()

    def forget(self, connection: SharedConnection) -> None:
        self._all.discard(connection)
