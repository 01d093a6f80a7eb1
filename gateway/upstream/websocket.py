"""A WebSocket to an upstream (RFC 6455): messages both ways, once its handshake was answered. Frames are wsproto's. Chooses nothing.

The handshake differs by version of HTTP: upgrade.py, tunnel.py. No extension is offered, so none may be chosen. A socket is
a connection of its own: no pool, and no bound by it.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from math import inf
from typing import cast

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import ProtocolError

from gateway.api.errors import Cause, Stage, UpstreamError
from gateway.api.messages import Body, Headers, Response, UpstreamRequest
from gateway.upstream.draining import Draining
from gateway.upstream.sweep import Sweep
from gateway.upstream.wire import Violation

MAX_MESSAGE = 16 * 2**20  # octets of one message, either way; uvicorn 16 MiB, Envoy and nginx hold no messages
HIGH_WATER = 64 * 1024  # octets of whole messages that wait for the caller before the socket is read no further
MAX_REFUSAL = 64 * 1024  # octets of an answer that is no 101; what is beyond is cut
_HANDSHAKE = frozenset((b"sec-websocket-accept", b"sec-websocket-key", b"sec-websocket-version", b"content-length"))
_SENDABLE = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))  # RFC 6455 §7.4


class Binary(bytes):
    """A binary message. An empty one is a message too, and not the end."""

    def __bool__(self) -> bool:
        return True


class Text(Binary):
    """A text message, in UTF-8."""


class UpstreamSocket(Draining, Body):
    """Its life: connected, `handshake` answered, then messages until one side closes. Read by one reader."""

    length = None

    def __init__(self, upstream: str, sweep: Sweep, idle_s: float, address: object) -> None:
        super().__init__(sweep.loop)
        self.address = address
        self.handshake: asyncio.Future[Response] = sweep.loop.create_future()
        self.due = inf
        self.close_code: int | None = None
        """What the upstream closed with; None while it has not, or closed without one."""
        self.close_reason = ""
        self._upstream = upstream
        self._sweep = sweep
        self._idle_s = idle_s
        self._frames: Frames | None = None
        self._refusal: Response | None = None
        self._left: int | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._messages: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._error: UpstreamError | None = None
        self._reader: asyncio.Future[None] | None = None
        self._closed = False

    # -- the caller's side

    @property
    def is_open(self) -> bool:
        return self._frames is not None and not self._closed

    @abstractmethod
    def ask(
        self, request: UpstreamRequest, host: bytes | None, subprotocols: bytes | None, due: float
    ) -> asyncio.Future[Response]:
        """Send the handshake; its answer, whose body is this socket when it is 101.

        `request` holds no field of the handshake. Raises ValueError for what cannot be written.
        """
        ...

    def offer(self, subprotocols: bytes | None) -> list[tuple[bytes, bytes]]:
        """The fields that every handshake has (RFC 6455 §4.1, RFC 8441 §5)."""
        self._offered = {name.strip() for name in subprotocols.split(b",")} if subprotocols else set()
        fields = [(b"sec-websocket-version", b"13")]
        return [*fields, (b"sec-websocket-protocol", subprotocols)] if subprotocols else fields

    def begin(self, due: float) -> None:
        """The handshake is sent, and its answer due then."""
        self.due = due
        self._sweep.add(self)

    async def read(self) -> bytes:
        """The next message, a Text or a Binary; b"" when the upstream closed."""
        while not self._messages and not self._ended and self._error is None:
            self._reader = self._loop.create_future()
            await self._reader
        if self._messages:
            message = self._messages.popleft()
            self._held -= len(message)
            if self._held <= HIGH_WATER and not self._closed:
                self._transport.resume_reading()
            return message
        if self._error is not None:
            raise self._error
        return b""

    async def send(self, message: str | bytes) -> None:
        """Pass a message on; waits while the upstream does not read."""
        if self._closed or self._frames is None or self._frames.state is not ConnectionState.OPEN:
            return
        event = TextMessage(data=message) if isinstance(message, str) else BytesMessage(data=message)
        self._transport.write(self._frames.send(event))
        self._bound()
        if self._drained is not None:
            await self._drained

    def leave(self, code: int, reason: str = "") -> None:
        """The caller closes: say so to the upstream, and end."""
        if self._closed:  # the code that the upstream closed with stands
            return
        if self._frames is not None and self._frames.state is ConnectionState.OPEN:
            # RFC 6455 §7.4.1: 1005, 1006 and 1015 are never sent
            sendable = code if code in _SENDABLE else None
            self._transport.write(self._frames.send(CloseConnection(code=sendable or 1000, reason=reason or None)))
        self.close_code = code
        self._end(None)

    def close(self) -> None:
        self.leave(1001)

    def broke(self, cause: Cause, detail: str) -> None:
        """What carries the socket ended, or broke its own rules."""
        self._end(self._fault(cause, "head" if self._frames is None else "body", detail))

    # -- the sweep's side

    def expire(self, now: float) -> None:
        if self._frames is None:
            self._end(self._fault(Cause.TIMEOUT, "head", "no answer to the handshake in time"))
        else:
            self.leave(1001, "idle")

    # -- the event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            if self._frames is not None:
                self.read_frames(data)
            elif self._refusal is not None:
                self.read_refusal(data)
            else:
                self.read_head(data)
        except (Violation, ProtocolError) as problem:
            self.broke(Cause.PROTOCOL, str(problem) if isinstance(problem, Violation) else "broken WebSocket frames")

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._refusal is not None:
            self.answer_refusal()
        else:
            self.broke(Cause.RESET, "the upstream closed the connection")

    # -- reading

    def read_head(self, data: bytes) -> None:
        """What comes before the answer's head is known. Raises Violation."""
        raise Violation("a body before its head")

    def open(self, headers: Headers) -> None:
        """The upstream accepts. Raises Violation for what was not offered."""
        if headers.get(b"sec-websocket-extensions") is not None:
            raise Violation("an extension that was not offered")
        chosen = headers.get_all(b"sec-websocket-protocol")
        if len(chosen) > 1 or not self._offered.issuperset(chosen):
            raise Violation("a subprotocol that was not offered")
        self._frames = Frames(ConnectionType.CLIENT)
        self._bound()
        response = Response(101, Headers(field for field in headers if field[0] not in _HANDSHAKE), self)
        if self.handshake.done():  # the caller left in this very turn
            self.close()
        else:
            self.handshake.set_result(response)

    def refuse(self, status: int, headers: Headers, length: int | None) -> None:
        """The upstream answers with something else: the rest of that is its body."""
        self._left = length
        self._refusal = Response(status, Headers(field for field in headers if field[0] not in _HANDSHAKE), b"")

    def read_refusal(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if (self._left is not None and self._size >= self._left) or self._size > MAX_REFUSAL:
            self.answer_refusal()

    def answer_refusal(self) -> None:
        refusal, self._refusal = self._refusal, None
        assert refusal is not None, "an answer other than 101 came"
        body = b"".join(self._parts)
        refusal.body = body if self._left is None else body[: self._left]
        if not self.handshake.done():
            self.handshake.set_result(refusal)
        self._end(None)

    def read_frames(self, data: bytes) -> None:
        frames = self._frames
        assert frames is not None, "the handshake is done"
        self._bound()
        frames.receive_data(data)
        for event in frames.events():
            match event:
                case TextMessage() | BytesMessage():
                    piece = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                    self._parts.append(piece)
                    self._size += len(piece)
                    if self._size > MAX_MESSAGE:
                        self._transport.write(frames.send(CloseConnection(code=1009)))
                        raise Violation("a message that is too long")
                    if event.message_finished:
                        self._finish_message(text=isinstance(event, TextMessage))
                case Ping():
                    self._transport.write(frames.send(event.response()))
                case CloseConnection():
                    self._transport.write(frames.send(event.response()))
                    if frames.state is not ConnectionState.CLOSED:  # it was wsproto that could not go on
                        raise Violation("broken WebSocket frames")
                    self.close_code, self.close_reason = int(event.code), event.reason or ""
                    self._end(None)
                    return

    def _finish_message(self, *, text: bool) -> None:
        whole = b"".join(self._parts)
        self._parts, self._size = [], 0
        self._messages.append(Text(whole) if text else Binary(whole))
        self._held += len(whole)
        if self._held > HIGH_WATER:
            self._transport.pause_reading()
        self._wake()

    # -- endings

    def _bound(self) -> None:
        self.due = self._loop.time() + self._idle_s

    def _end(self, error: UpstreamError | None) -> None:
        if self._closed:
            return
        self._closed = self._ended = True
        self._error = error
        self._sweep.waiting.discard(self)
        self._transport.close()
        self.resume_writing()
        if error is not None and not self.handshake.done():
            self.handshake.set_exception(error)
        self._wake()

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)

    def _fault(self, cause: Cause, stage: Stage, detail: str) -> UpstreamError:
        return UpstreamError(cause, stage, sent=True, upstream=self._upstream, detail=detail)
