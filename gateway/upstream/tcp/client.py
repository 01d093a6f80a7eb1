"""The client of one upstream over tcp:// or tls://: a message out, its answer in. What fails, fails as over HTTP."""

from __future__ import annotations

import asyncio

from gateway.api.errors import Cause, RequestRefused, UpstreamError
from gateway.api.messages import Body, Response, UpstreamRequest
from gateway.upstream.client import Upstream
from gateway.upstream.connection import Connection, StaleConnection
from gateway.upstream.pool import Pool
from gateway.upstream.tcp.framing import MAX_MESSAGE
from gateway.upstream.tcp.pool import MessagePool
from gateway.upstream.waiter import Call


class MessageUpstream(Upstream):
    """Calls one upstream with messages. Targets, pools, deadlines and health are those of `Upstream`."""

    async def send(self, request: UpstreamRequest, deadline: float, *, replayable: bool = False) -> Response:
        """Send the request's body as one message; the answer's message as a 200 of octets.

        Method, target and fields stay here: the message is all there is. `replayable` says that a message may arrive
        twice: only then it is sent again when a reused connection turns out to be closed.

        Raises what Upstream.send does, and Unmappable for a message that the framing cannot carry.
        """
        content = request.body if isinstance(request.body, bytes) else await _whole(request)
        targets = self._targets
        pool = targets.only or targets.pick(request)
        if pool is None:
            raise targets.none_healthy()
        failed: tuple[Pool, ...] = ()
        stale: bool | None = None  # once a reused connection had ended: whether it may have got octets
        while True:
            assert isinstance(pool, MessagePool), "the targets of such an upstream"
            message = pool.frames.wrap(content)
            try:
                answer = await self._answered(pool, request, message, deadline, replayable, stale)
            except StaleConnection as error:
                if stale is not None or (error.sent and not replayable):
                    pool.errors += 1
                    raise
                stale = error.sent
            except UpstreamError as error:
                if error.sent:
                    pool.failed(error)
                    raise
                if stale is not None:
                    error.sent = stale
                failed = (*failed, pool)
                pool = targets.instead(request, failed, error, deadline)
            else:
                return answer

    async def _answered(
        self,
        pool: MessagePool,
        request: UpstreamRequest,
        message: bytes,
        deadline: float,
        replayable: bool,
        stale: bool | None,
    ) -> Response:
        """One try on one target. An error with sent=False left the target as it was, but for connections."""
        if request.correlation is not None:
            return await self._correlated(pool, request, message, deadline, fresh=stale is not None)
        sure, fresh = not replayable, stale is not None
        now = self._time()
        connection = pool.take(now, sure=sure) if request.before is None and not fresh else None
        if connection is None:
            connection = await self._ready_connection(pool, request, deadline, sure=sure, fresh=fresh)
            now = self._time()
        if now >= deadline:  # the process was held up: what is sent too late may meanwhile be another's to send
            connection.abort()
            raise self._too_late(stale)
        self._count(pool, request)
        answer = connection.call(request, message, now, deadline)
        try:
            response = await answer
        except StaleConnection:
            pool.idle_limit.closed(now - connection.idle_since, now)
            raise
        except asyncio.CancelledError:
            connection.leave(answer)
            raise
        self._settle(pool, response, now)
        return response

    async def _ready_connection(
        self, pool: MessagePool, request: UpstreamRequest, deadline: float, *, sure: bool, fresh: bool
    ) -> Connection:
        """A connection, once `request.before` has let the call go out on it."""
        while True:
            connection = None if fresh else pool.take(self._time(), sure=sure)
            if connection is None:
                connection = await pool.acquire(Call(deadline, request.on_slow), fresh=fresh)
            if request.before is None:
                return connection
            try:
                await request.before()
            except BaseException:
                pool.release(connection)
                raise
            if connection.usable(self._time(), sure=True):
                return connection
            connection.abort()

    async def _correlated(
        self, pool: MessagePool, request: UpstreamRequest, message: bytes, deadline: float, *, fresh: bool
    ) -> Response:
        correlation = request.correlation
        assert correlation is not None, "asked by the caller"
        connection = await pool.shared.connection(correlation, deadline, fresh=fresh)
        if request.before is not None:
            await request.before()
            connection = await pool.shared.connection(correlation, deadline, fresh=False)
        now = self._time()
        if now >= deadline:
            raise self._too_late(None)
        self._count(pool, request)
        limit = min(deadline, now + pool.first_byte_s)
        call = connection.call(message, correlation.key, request.on_slow, now, limit)
        try:
            response = await call.answer
        except asyncio.CancelledError:
            connection.give_up(call)
            raise
        self._settle(pool, response, now)
        return response

    async def open_websocket(self, request: UpstreamRequest, subprotocols: bytes | None, deadline: float) -> Response:
        raise RequestRefused(
            501,
            "websocket.tcp",
            "What answers here speaks messages, and takes no WebSockets; send requests without Upgrade.",
        )

    def _count(self, pool: MessagePool, request: UpstreamRequest) -> None:
        pool.requests += 1
        if request.tried is not None:
            request.tried.append(pool.url)

    def _settle(self, pool: MessagePool, response: Response, began: float) -> None:
        if self._targets.only is None:
            self._targets.answered(pool, response, self._time() - began)
        else:
            pool.standing.failures = 0

    def _too_late(self, stale: bool | None) -> UpstreamError:
        return UpstreamError(Cause.TIMEOUT, "queue", sent=bool(stale), upstream=self.name, detail="too late to send")


async def _whole(request: UpstreamRequest) -> bytes:
    """The request's body, whole: a message knows its length before its first octet."""
    body = request.body
    if body is None:
        return b""
    assert isinstance(body, Body), "bytes are whole"
    pieces = bytearray()
    while piece := await body.read():
        pieces += piece
        if len(pieces) > MAX_MESSAGE:
            raise RequestRefused(
                413, "request.too-large", f"A message has at most {MAX_MESSAGE} octets; send a smaller one."
            )
    request.body = bytes(pieces)
    return request.body
