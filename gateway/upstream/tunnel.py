"""A WebSocket to an HTTP/2 upstream: an extended CONNECT (RFC 8441) on a connection of its own. Knows no frames of either.

To the session a tunnel is a stream, to its socket a transport.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from gateway.api.errors import Cause, RequestRefused, UpstreamError
from gateway.api.messages import Response, UpstreamRequest
from gateway.upstream.http2_carried import Carried
from gateway.upstream.http2_fields import check_request, read_fields
from gateway.upstream.sweep import Sweep
from gateway.upstream.websocket import UpstreamSocket

if TYPE_CHECKING:
    from gateway.upstream.http2 import Session

HIGH_WATER = (
    64 * 1024
)  # octets that wait for the upstream's window before the caller is read no further; asyncio's own bound


async def open_tunnel(upstream: str, sweep: Sweep, idle_s: float, session: Session, until: float) -> TunnelSocket:
    """A socket on `session`, which is closed with it, and when this raises.

    Raises UpstreamError, nothing sent, and RequestRefused when the upstream does not offer extended CONNECT.
    """
    try:
        async with asyncio.timeout_at(until):
            obstacle = await session.ready
        if obstacle:
            raise UpstreamError(Cause.UNREACHABLE, "connect", sent=False, upstream=upstream, detail=obstacle)
        if not session.takes_tunnels:
            raise RequestRefused(
                501,
                "websocket.http2",
                "What answers here speaks HTTP/2, and takes no WebSockets; send requests without Upgrade.",
            )
    except BaseException as problem:
        session.close()
        if isinstance(problem, TimeoutError):
            detail = "no HTTP/2 SETTINGS in time"
            raise UpstreamError(Cause.TIMEOUT, "connect", sent=False, upstream=upstream, detail=detail) from problem
        raise
    return TunnelSocket(upstream, sweep, idle_s, session)


class TunnelSocket(UpstreamSocket):
    """Its handshake is a request with fields, its messages are DATA; else a socket like any other."""

    def __init__(self, upstream: str, sweep: Sweep, idle_s: float, session: Session) -> None:
        super().__init__(upstream, sweep, idle_s, session.address)
        self._session = session
        self._tunnel = Tunnel(session, self)
        self.connection_made(cast(asyncio.Transport, self._tunnel))

    def ask(
        self, request: UpstreamRequest, host: bytes | None, subprotocols: bytes | None, due: float
    ) -> asyncio.Future[Response]:
        host = host or request.headers[0][1]
        check_request("CONNECT", request.target, host, request.headers)
        fields = [
            (b":method", b"CONNECT"),
            (b":protocol", b"websocket"),
            (b":scheme", self._session.scheme),
            (b":path", request.target),
            (b":authority", host),
            *request.headers[1:],
            *self.offer(subprotocols),
        ]
        self.begin(due)
        self._session.begin(self._tunnel, fields, end=False)
        return self.handshake

    def answered(self, fields: list[tuple[bytes, bytes]]) -> None:
        """The head of the answer: any 2xx opens the tunnel (RFC 8441 §5). Raises Violation."""
        status, headers, length = read_fields(fields, to_head=False)
        if status < 300:
            self.open(headers)
        else:
            self.refuse(status, headers, length)


class Tunnel(Carried):
    """One stream. What it cannot send yet it keeps, as transports do."""

    def __init__(self, session: Session, socket: TunnelSocket) -> None:
        self.number = 0
        self._session = session
        self._socket = socket
        self._pending = bytearray()
        self._held = False
        self._closing = False
        self._open = True
        self._ended = False
        self._interim = 0
        self._parts: list[bytes] = []
        self._unread = 0
        self._paused = False

    # -- a transport, for the socket

    def write(self, data: bytes) -> None:
        self._pending += data
        self._session.pump(self)
        if len(self._pending) > HIGH_WATER and not self._held:
            self._held = True
            self._socket.pause_writing()

    def pause_reading(self) -> None:
        self._hold()

    def resume_reading(self) -> None:
        self._go_on()

    def close(self) -> None:
        """End the stream and its connection; what the upstream's window keeps back is lost."""
        self._closing = True
        self._session.pump(self)
        self._session.close()

    # -- a stream, for the session

    @property
    def sends(self) -> bool:
        return self._open and (bool(self._pending) or self._closing)

    def take(self, octets: int) -> tuple[bytes, bool] | None:
        if self._pending and octets <= 0:
            return None
        piece = bytes(self._pending[:octets])
        del self._pending[:octets]
        if self._held and len(self._pending) <= HIGH_WATER:
            self._held = False
            self._socket.resume_writing()
        self._open = bool(self._pending) or not self._closing
        return piece, not self._open

    def head(self, fields: list[tuple[bytes, bytes]]) -> None:
        self._socket.answered(fields)

    def data(self, piece: bytes, octets: int) -> None:
        self._unread += octets
        self._parts.append(piece)

    def trailers(self, fields: list[tuple[bytes, bytes]]) -> None:
        """They mean nothing here."""

    def ended(self) -> None:
        self._ended = True

    def deliver(self) -> None:
        whole = b"".join(self._parts)
        self._parts.clear()
        if whole:
            self._socket.data_received(whole)
        if self._ended:
            self._socket.eof_received()
        elif not self._paused:
            self._acknowledge()

    def violate(self, rule: str) -> None:
        self._socket.broke(Cause.PROTOCOL, rule)

    def broken(self, cause: Cause, detail: str, *, reused: bool) -> None:
        self._socket.broke(cause, detail)

    def refused(self, detail: str) -> None:
        self._socket.broke(Cause.RESET, detail)
