"""One call at a time on an HTTP/2 connection: a place on it, that a pool takes for a connection. Knows no frames.

To the pool it is as good as an HTTP/1.1 connection: taken, called, released, aborted. Its end ends a stream only.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Protocol

from gateway.api.errors import Cause, Stage
from gateway.api.messages import Headers, Response, UpstreamRequest
from gateway.upstream.body import AnswerBody, trailed
from gateway.upstream.connection import Connection, StaleConnection
from gateway.upstream.home import Home
from gateway.upstream.http2_carried import Carried
from gateway.upstream.http2_fields import read_fields, read_trailers, request_fields
from gateway.upstream.wire import Violation

if TYPE_CHECKING:
    from gateway.upstream.http2 import Session


class StreamHome(Home, Protocol):
    """The pool that a stream belongs to."""

    host: bytes | None


class Http2Stream(Connection, Carried):
    """Its life: idle, then a call on a stream of its own, maybe its body, then idle again or closed."""

    __slots__ = (
        "_ended",
        "_finished",
        "_headers",
        "_interim",
        "_left",
        "_length",
        "_offset",
        "_open",
        "_parts",
        "_pending",
        "_pool",
        "_session",
        "_started",
        "_status",
        "_to_head",
        "_trailers",
        "_unread",
        "number",
    )

    def __init__(self, home: StreamHome, session: Session) -> None:
        super().__init__(home, session.address)
        self.number = 0  # while idle
        self._pool = home
        self._session = session

    # -- the pool's and the client's side

    def usable(self, now: float, sure: bool) -> bool:
        return not self.closed and self._session.alive(sure=sure)

    def call(self, request: UpstreamRequest, message: bytes, now: float, deadline: float) -> asyncio.Future[Response]:
        """Send `request`; `message` is its body, or what there is of it before stream()."""
        answer = self._begin(request, now, deadline)
        self._started = now
        self._to_head = request.method == "HEAD"
        self._status = self._interim = self._unread = self._offset = 0
        self._left = -1  # octets of the body that are still to come; -1: not announced
        self._parts: list[bytes] = []
        self._trailers: Headers | None = None
        self._pending = message
        self._ended = False
        whole = request.body is None or isinstance(request.body, bytes)
        self._finished = whole
        self._open = True
        if self.closed:  # it ended between being handed over and being used
            self._answer = None
            self._home.sweep.waiting.discard(self)
            answer.set_exception(self.unprocessed("the connection ended before the call"))
            return answer
        length = len(message) if whole else getattr(request.body, "length", None)
        if whole and not message:
            self._open = False
            if request.method not in ("POST", "PUT", "PATCH"):  # RFC 9110 §8.6
                length = None
        host = self._pool.host or request.headers[0][1]
        scheme = self._session.scheme
        fields = request_fields(request.method, scheme, request.target, host, request.headers, length)
        self._session.begin(self, fields, end=not self._open)
        return answer

    async def write(self, piece: bytes) -> None:
        await self._wait_drained()  # the first piece went with the head
        self._pending, self._offset = piece, 0
        self._session.pump(self)
        await self._wait_drained()

    async def _wait_drained(self) -> None:
        if self._pending:  # the upstream's window is used up
            self._drained = self._loop.create_future()
            self._bound(self._home.idle_body_s)
            await self._drained
            self._limit = inf if self._answer is None else self._deadline

    def sent(self) -> None:
        self._finished = True
        if self._answer is None:  # the head of the answer is there already
            self._sending = None
        else:
            super().sent()
        self._session.pump(self)

    def abort(self) -> None:
        self._home.sweep.waiting.discard(self)
        self._stop_sending()
        if not self.closed:
            self.closed = True
            self._session.leave(self)
            self._home.lost(self)

    # -- the body's side

    def pause(self) -> None:
        self.due = inf
        self._hold()

    def resume(self) -> None:
        self._go_on()

    # -- the sweep's side

    def expire(self, now: float) -> None:
        if now >= self._limit:
            self._session.doubt(self._started)
        super().expire(now)

    # -- the session's side

    @property
    def sends(self) -> bool:
        return self._open and (bool(self._pending) or self._finished)

    def take(self, octets: int) -> tuple[bytes, bool] | None:
        if self._pending and octets <= 0:
            return None
        piece = self._pending[self._offset : self._offset + octets]
        self._offset += len(piece)
        if self._offset >= len(self._pending):
            self._pending, self._offset = b"", 0
            self.resume_writing()
        last = self._finished and not self._pending
        self._open = not last
        return piece, last

    def head(self, fields: list[tuple[bytes, bytes]]) -> None:
        self._status, self._headers, length = read_fields(fields, to_head=self._to_head)
        self._length = None if self._to_head or self._status in (204, 304) else length
        self._left = -1 if length is None else length

    def interim(self, fields: list[tuple[bytes, bytes]]) -> None:
        super().interim(fields)
        status, headers, _ = read_fields(fields, to_head=True)
        if self._on_interim is not None and status != 100:
            self._on_interim(status, headers)

    def data(self, piece: bytes, octets: int) -> None:
        self._unread += octets
        if not self._status:
            raise Violation("a body before its head")
        if self._left >= 0:
            self._left -= len(piece)
            if self._left < 0:
                raise Violation("a body longer than its Content-Length")
        if piece:
            self._parts.append(piece)

    def trailers(self, fields: list[tuple[bytes, bytes]]) -> None:
        self._trailers = read_trailers(fields)

    def ended(self) -> None:
        if not self._status:
            raise Violation("a stream that ends without a head")
        if self._left > 0:
            raise Violation("a body shorter than its Content-Length")
        self._ended = True

    def deliver(self) -> None:
        if self.closed or not self._status:
            return
        pieces, self._parts = self._parts, []
        answer = self._answer
        if answer is not None:
            self._answer = self._on_slow = self._on_interim = None
            if self._ended:
                piece = b"".join(pieces)
                whole = piece if self._trailers is None else trailed(piece, self._trailers)
                response = Response(self._status, self._headers, whole)
                self._finish()
                if not answer.done():
                    answer.set_result(response)
                return
            self.due = inf
            self._body = body = AnswerBody(self, self._length)
            if answer.done():  # the caller left in this very turn
                body.close()
                return
            answer.set_result(Response(self._status, self._headers, body))
        elif self._body is None:
            return
        else:
            body = self._body
        if pieces:
            self.due = inf
            for piece in pieces:
                body.put(piece)
        if self._ended:
            self._body = None
            self._home.streamed(self._status)
            body.end(trailers=self._trailers)
            self._finish()
        elif not self._paused:
            self._acknowledge()

    def violate(self, rule: str) -> None:
        self.fail(self._error(Cause.PROTOCOL, self._stage, rule))

    def broken(self, cause: Cause, detail: str, *, reused: bool) -> None:
        if self._answer is not None and not self._status and cause is Cause.RESET and reused:
            self.fail(StaleConnection(cause, "head", sent=True, upstream=self._home.upstream, detail=detail))
        else:
            self.fail(self._error(cause, self._stage, detail))

    def refused(self, detail: str) -> None:
        if self._status:  # it says so, but it had begun to answer
            self.violate(detail)
        else:
            self.fail(self.unprocessed(detail))

    def unprocessed(self, detail: str) -> StaleConnection:
        return StaleConnection(Cause.RESET, "head", sent=False, upstream=self._home.upstream, detail=detail)

    @property
    def _stage(self) -> Stage:
        return "head" if self._answer is not None else "body"

    def _finish(self) -> None:
        """The answer ended; what is left of the request is not sent (RFC 9113 §8.1)."""
        self._acknowledge()
        self._stop_sending()
        self._paused = False
        if self._session.end(self) and not self.retiring:
            self._home.sweep.waiting.discard(self)
            self._home.release(self)
        else:
            self.abort()
