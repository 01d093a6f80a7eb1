"""One request and its answer on uvicorn, and the connection's flow of octets. Parses nothing; closes nothing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from gateway.runtime.plane import App, Message, Scope
from gateway.upstream.outbox import Outbox
from gateway.upstream.wire import CONTROLS

_STATUS = {status: line.removesuffix(b"\r\n") for status, line in STATUS_LINE.items()}


class HeldFlow(FlowControl):
    """Reads nothing while requests wait for the answers before them: uvicorn would go on as soon as a body is asked for."""

    held = False

    def __init__(self, transport: asyncio.Transport) -> None:
        """Without the event to wait for: it has 0.8 KiB, and few connections ever come to need it."""
        self._transport = transport
        self.read_paused = self.write_paused = False

    def pause_writing(self) -> None:
        if not self.write_paused:
            self._is_writable_event = asyncio.Event()
        self.write_paused = True

    def hold(self) -> None:
        self.held = True
        self.pause_reading()

    def let_go(self) -> None:
        self.held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class Cycle:
    """One request and its answer. uvicorn's own takes two to three times as long.

    An answer is written in one piece, where it can be, together with the others of its turn (gateway.upstream.outbox): what is
    written apart wakes the caller's side apart. One Date; no chunks for HTTP/1.0, whose bodies end with the connection,
    which is the protocol's to close; trailers.
    """

    # what most requests never change has its value here
    disconnected = False
    body: bytes | bytearray = b""  # arrived, and not asked for yet
    more_body = True
    response_started = False
    response_complete = False
    closing = False  # the answer said so: it is the connection's last
    _news = False  # something came that receive() has not told
    _waiter: asyncio.Future[None] | None = None
    _chunked = False
    _until_close = False
    _left = 0  # octets of the answer's body that are announced and not sent
    _head = b""  # until something of the body comes
    _last: bytes | None = None  # the end of the answer, in the outbox

    def __init__(
        self,
        scope: Scope,
        transport: asyncio.Transport,
        flow: HeldFlow,
        state: ServerState,
        outbox: Outbox,
        on_complete: Callable[[], None],
        *,
        expects_continue: bool,
        keep_alive: bool,
    ) -> None:
        self.scope = scope
        self._transport = transport
        self._flow = flow
        self._state = state
        self._outbox = outbox
        self._on_complete = on_complete
        self._expects_continue = expects_continue
        self.keep_alive = keep_alive

    async def run(self, app: App) -> None:
        """Let `app` answer. Raises nothing."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException:
            return  # the edge has said what there is to say; the caller is told by a connection that breaks
        finally:
            if self._last is None and not self.response_complete and not self.disconnected:
                self._transport.close()

    def leave(self) -> None:
        """The client is gone."""
        if not self.response_complete:
            self.disconnected = True
        self._tell()

    def feed(self, body: bytes) -> None:
        """A piece of the request's body came."""
        if not self.body:
            self.body = body
        else:
            if type(self.body) is bytes:
                self.body = bytearray(self.body)  # many pieces are not copied again for each
            self.body += body
        self._tell()

    def feed_end(self) -> None:
        """All of the request has come."""
        self.more_body = False
        self._tell()

    def _tell(self) -> None:
        self._news = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> Message:
        if self._expects_continue and not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._expects_continue = False
        if not self.disconnected and not self.response_complete:
            self._flow.resume_reading()
            if not self._news:
                self._waiter = asyncio.get_running_loop().create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            self._news = False
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, b""
        return {"type": "http.request", "body": bytes(body), "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        if self._flow.write_paused and not self.disconnected:
            await self._flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.body":
            self._write(message)
        elif kind == "http.response.start":
            self._start(message)
        else:
            self._inform(message)

    def _takes_trailers(self) -> bool:
        """RFC 9110 §6.5.1: the caller says that it does not throw them away."""
        codings = b",".join(value for name, value in self.scope["headers"] if name == b"te").lower().split(b",")
        return b"trailers" in (coding.strip(b" \t") for coding in codings)

    def _start(self, message: Message) -> None:
        self.response_started = True
        self._expects_continue = False
        status: int = message["status"]
        fields: list[tuple[bytes, bytes]] = list(message["headers"])
        by_name = dict(fields)
        announced = by_name.get(b"content-length")
        if b"connection" in by_name:
            self.closing = True  # the edge sends no other than close
        if b"date" not in by_name:
            fields[:0] = self._state.default_headers
        if not self.keep_alive and not self.closing:
            self.closing = True
            fields.append((b"connection", b"close"))
        if self.scope["method"] == "HEAD" or status in (204, 304):
            pass
        elif announced is not None:
            self._left = int(announced)
        elif self.scope["http_version"] == "1.0":
            self._until_close = True
        else:
            self._chunked = True
            fields.append((b"transfer-encoding", b"chunked"))
        self._head = _head(status, fields)

    def _inform(self, message: Message) -> None:
        """A 1xx answer before the answer; the edge sends nothing else (gateway.edge.send.INTERIM)."""
        if not self.response_started and self.scope["http_version"] != "1.0":  # RFC 9110 §15.2: 1.0 knows none
            self._transport.write(_head(message["status"], message["headers"]))

    def _write(self, message: Message) -> None:
        body: bytes = message.get("body", b"")
        more_body: bool = message.get("more_body", False)
        if self._chunked:
            if body:
                body = b"%x\r\n%b\r\n" % (len(body), body)
            if not more_body:  # RFC 9112 §7.1.2
                trailers = message["trailers"] if "trailers" in message and self._takes_trailers() else ()
                body += b"0\r\n%b\r\n" % b"".join(b"%b: %b\r\n" % field for field in trailers)
        elif self.scope["method"] == "HEAD":
            body = b""
        elif not self._until_close:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more_body):
                raise ValueError("an answer's body differs from its Content-Length")
        if self._head:
            body, self._head = self._head + body, b""
        if not more_body:
            self._last = body
            self._outbox.put(self)
        elif body:
            self._transport.write(body)

    def flush(self) -> None:
        """Called by the outbox."""
        if self.disconnected or self._last is None:
            return
        self._transport.write(self._last)
        self._last = None
        self.response_complete = True
        self._tell()
        self._on_complete()


def _head(status: int, fields: list[tuple[bytes, bytes]]) -> bytes:
    head = b"\r\n".join((_STATUS[status], *map(b": ".join, fields), b"", b""))
    # as many CRLFs as belong there, and no other control character
    if len(head) - len(head.translate(None, CONTROLS)) != 2 * (len(fields) + 2):
        raise ValueError("a control character in the fields of an answer")
    return head
