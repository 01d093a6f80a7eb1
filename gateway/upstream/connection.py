"""One HTTP/1.1 connection to an upstream: writes a request, reads its answer, enforces its bounds. Chooses nothing.

Longer than 300 lines: one state machine, and every object more between the client and the socket would cost each call.
"""

from __future__ import annotations

import asyncio
import select
from functools import partial
from math import inf
from typing import cast

from gateway.api.errors import Cause, Stage, UpstreamError
from gateway.api.messages import OnInterim, OnSlow, Response, UpstreamRequest
from gateway.upstream.answer import AnswerReader
from gateway.upstream.body import AnswerBody, trailed
from gateway.upstream.draining import Draining, why_lost
from gateway.upstream.home import Home
from gateway.upstream.sweep import SLOW_S
from gateway.upstream.wire import Violation

BRIEFLY_S = 0.01  # idle for less than this is next to busy


class StaleConnection(UpstreamError):
    """A reused connection ended before one byte of an answer: the upstream had most likely closed it (RFC 9112 §9.3.1)."""


class Connection(Draining):
    """Its life: idle, then a call (`call`, answered by a future), maybe its body, then idle again or closed.

    It returns to its pool exactly when the answer ended cleanly, the request was fully sent and both sides keep it.
    """

    __slots__ = (
        "_answer",
        "_body",
        "_complete",
        "_deadline",
        "_encrypted",
        "_fresh",
        "_home",
        "_limit",
        "_message",
        "_on_interim",
        "_on_slow",
        "_paused",
        "_poll",
        "_reader",
        "_sending",
        "_transport",
        "_written",
        "address",
        "closed",
        "due",
        "idle_since",
        "retiring",
    )

    def __init__(self, home: Home, address: object) -> None:
        super().__init__(home.sweep.loop)
        self.address = address  # the socket address, to notice when DNS no longer gives it
        self.due = inf
        self.idle_since = 0.0
        self.closed = False
        self.retiring = False
        self._home = home
        self._answer: asyncio.Future[Response] | None = None
        self._body: AnswerBody | None = None
        self._reader = AnswerReader()
        self._fresh = True
        self._complete = True  # the request was fully sent before its answer came
        self._paused = False
        self._sending: asyncio.Task[None] | None = None
        self._on_slow: OnSlow | None = None
        self._on_interim: OnInterim | None = None
        self._deadline = inf
        self._limit = inf
        self._message: bytes | None = None  # put into the outbox, and not written yet
        self._written = 0

    # -- the pool's and the client's side

    def usable(self, now: float, sure: bool) -> bool:
        """False when the upstream closed the idle connection, or spoke unasked, though the loop has not told us yet."""
        if self.closed or self._transport.is_closing():
            return False
        # poll(2) sees what arrived since the loop last looked, for 0.4 µs with warm caches and 2 under load
        return not ((sure or now - self.idle_since > BRIEFLY_S) and self._poll.poll(0))

    def call(self, request: UpstreamRequest, message: bytes, now: float, deadline: float) -> asyncio.Future[Response]:
        """Send `message`, the whole request or what there is of it before stream(); the future is its answer."""
        self._reader.expect(request.method == "HEAD")
        self._written = len(message)
        answer = self._begin(request, now, deadline)
        self._message = message
        self._home.sweep.outbox.put(self)
        return answer

    def flush(self) -> None:
        """Write what call() left for the end of the turn."""
        message, self._message = self._message, None
        if message is not None and not self.closed:
            self._transport.write(message)

    def _begin(self, request: UpstreamRequest, now: float, deadline: float) -> asyncio.Future[Response]:
        self._answer = answer = self._loop.create_future()
        self._deadline = deadline
        limit = now + self._home.first_byte_s
        self._limit = self.due = limit if limit < deadline else deadline
        self._on_slow = request.on_slow
        self._on_interim = request.on_interim
        if self._on_slow is not None and now + SLOW_S < self.due:
            self.due = now + SLOW_S
        self._home.sweep.add(self)
        return answer

    def stream(self, rest: asyncio.Task[None]) -> None:
        """`rest` is writing the remainder of the request; it is stopped when the answer comes first."""
        self._sending = rest
        self._limit = self._deadline
        self.due = min(self.due, self._limit)

    async def write(self, piece: bytes) -> None:
        """A piece of a streamed request; waits while the upstream does not read, at most its idle bound."""
        self.flush()
        while self._poll.poll(0):  # noqa: ASYNC110  # until the loop has read it, in its next turn; there is no event for that
            # Most likely an early answer, which ends this task once it is read. An upstream that closed behind it resets
            # what is written now, and the transport then drops the answer unread.
            await asyncio.sleep(0)
        self._written += len(piece)
        self._transport.write(piece)
        if self._drained is not None:
            self._bound(self._home.idle_body_s)
            await self._drained
            self._limit = self._deadline

    def sent(self) -> None:
        """The streamed request is complete: from now on its answer's first byte is due."""
        self._sending = None
        self._bound(self._home.first_byte_s)

    def fail(self, error: Exception) -> None:
        """End the call, whatever it was doing, and the connection with it."""
        answer, body = self._answer, self._body
        self._answer = self._body = None
        self.abort()
        if answer is not None and not answer.done():
            answer.set_exception(error)
        elif body is not None:
            if isinstance(error, UpstreamError):
                self._home.failed(error)
            body.end(error=error)

    def _fail_call(self, answer: asyncio.Future[Response], error: Exception) -> None:
        """fail(), unless that call and its body have ended; the connection may be serving another by now."""
        streams = self._body is not None and not answer.cancelled() and answer.exception() is None
        if self._answer is answer or (streams and answer.result().body is self._body):
            self.fail(error)

    def leave(self, answer: asyncio.Future[Response]) -> None:
        """The caller of the call left. Harmless when the answer, or the end of the call, came in the same turn."""
        if self._answer is answer:
            self._answer = None
            self.abort()
        elif answer.done() and not answer.cancelled() and answer.exception() is None:
            body = answer.result().body
            if not isinstance(body, bytes):
                body.close()

    def abort(self) -> None:
        """Close at once; an unfinished call is the caller's to know about."""
        self._home.sweep.waiting.discard(self)
        self._stop_sending()
        if not self.closed:
            self.closed = True
            self._transport.abort()
            self._home.lost(self)

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    # -- the body's side

    def pause(self) -> None:
        self.due = inf
        self._paused = True
        self._transport.pause_reading()

    def resume(self) -> None:
        self._paused = False
        self._transport.resume_reading()

    def await_piece(self) -> None:
        self._bound(self._home.idle_body_s)

    def abandon(self) -> None:
        self._body = None
        self.abort()

    # -- the sweep's side

    def expire(self, now: float) -> None:
        on_slow, self._on_slow = self._on_slow, None
        if now < self._limit:
            self.due = self._limit
            if on_slow is not None and self._answer is not None:
                on_slow(partial(self._fail_call, self._answer))
            return
        stage: Stage = "body" if self._body is not None else "head" if self._sending is None else "write"
        self.fail(self._error(Cause.TIMEOUT, stage, "no byte in time"))

    # -- the event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._encrypted = transport.get_extra_info("ssl_object") is not None
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        try:
            if self._answer is not None:
                self._read_answer(data, self._answer)
            elif self._body is not None:
                self._read_body(data, self._body)
            else:
                # bytes that nobody asked for: what follows could be taken for another's answer. Some servers say 408
                # when they close an idle connection.
                self._home.closed_idle(self)
                self.abort()
        except Violation as violation:
            stage: Stage = "head" if self._answer is not None else "body"
            self.fail(self._error(Cause.PROTOCOL, stage, str(violation)))

    def eof_received(self) -> None:
        body = self._body
        if body is not None and self._reader.until_close:
            self._body = None
            self._home.streamed(self._reader.status)
            self.abort()
            body.end()
            return
        if self._answer is None and body is None and not self.closed:
            self._home.closed_idle(self)
        self._broke("the upstream closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        self._broke(why_lost(exc))

    # -- reading

    def _read_answer(self, data: bytes, answer: asyncio.Future[Response]) -> None:
        reader = self._reader
        complete = reader.head(data)
        if reader.interim is not None:
            interim, reader.interim = reader.interim, None
            if self._on_interim is not None and not answer.done():
                for status, headers in interim:
                    self._on_interim(status, headers)
        if not complete:
            return
        self._answer = None
        self._on_slow = self._on_interim = None
        self._complete = self._sending is None
        if self._sending is not None:  # the answer came first: it goes on, the request does not (RFC 9112 §9.5)
            self._stop_sending()
        if reader.ended:
            whole = reader.piece if reader.trailers is None else trailed(reader.piece, reader.trailers)
            response = Response(reader.status, reader.headers, whole)
            self._end()
            if not answer.done():
                answer.set_result(response)
            return
        self._body = body = AnswerBody(self, reader.length)
        self.due = inf
        if reader.piece:
            body.put(reader.piece)
        if answer.done():  # the caller left in this very turn
            body.close()
        else:
            answer.set_result(Response(reader.status, reader.headers, body))

    def _read_body(self, data: bytes, body: AnswerBody) -> None:
        reader = self._reader
        piece = reader.body(data)
        if reader.ended:
            self._body = None
            self._home.streamed(reader.status)
            body.end(last=piece, trailers=reader.trailers)
            self._end()
        elif piece:
            self.due = inf
            body.put(piece)
        elif body.awaited:  # a chunk's frame only, but the upstream is at work
            self._bound(self._home.idle_body_s)

    # -- endings

    def _end(self) -> None:
        """The answer ended. Extra octets after it end the connection; the answer itself is good."""
        reader = self._reader
        reusable = reader.clean and reader.alive and self._complete and not self.retiring
        if not reusable or self._transport.get_write_buffer_size():
            self.abort()
            return
        self._home.sweep.waiting.discard(self)
        self._fresh = False
        if reader.keep_s is not None:
            self._home.announced(reader.keep_s)
        if self._paused:  # TLS may deliver what it had decrypted after the pause
            self.resume()
        self._home.release(self)

    def _broke(self, detail: str) -> None:
        if self._answer is None:
            self.fail(self._error(Cause.RESET, "body", detail))
        elif self._message is not None:
            self.fail(StaleConnection(Cause.RESET, "head", sent=False, upstream=self._home.upstream, detail=detail))
        elif self._fresh or self._reader.began:
            self.fail(self._error(Cause.RESET, "head", detail))
        else:
            # what TLS has in its buffers says nothing about what left
            sent = self._encrypted or self._transport.get_write_buffer_size() < self._written
            self.fail(StaleConnection(Cause.RESET, "head", sent=sent, upstream=self._home.upstream, detail=detail))

    def _error(self, cause: Cause, stage: Stage, detail: str) -> UpstreamError:
        return UpstreamError(cause, stage, sent=True, upstream=self._home.upstream, detail=detail)

    def _bound(self, seconds: float) -> None:
        limit = self._loop.time() + seconds
        self._limit = limit = limit if self._answer is None else min(limit, self._deadline)
        self.due = limit if self._on_slow is None else min(limit, self.due)
