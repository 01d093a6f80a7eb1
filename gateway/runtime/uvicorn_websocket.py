"""uvicorn's WebSocket protocol where a handshake came on an HTTP/1.1 connection of ours. Knows no routes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from uvicorn.server import ServerState
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Request

from gateway.runtime.plane import Scope

MAX_EARLY = 64 * 1024  # octets that a caller may send before its handshake is answered


class BoundedWebSocket(WSProtocol):
    """One connection, from its handshake on. `emptied` is set when it ends."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        headers: Sequence[tuple[bytes, bytes]],
        extensions: dict[str, Any],
        emptied: asyncio.Event,
    ) -> None:
        super().__init__(config, server_state, {})
        self._headers = headers
        self._extensions = extensions
        self._emptied = emptied
        self._early = bytearray()

    def begin(self, head: bytes, rest: bytes) -> None:
        """`head` is the handshake, `rest` what came behind it."""
        super().data_received(head)
        if rest:
            self.data_received(rest)

    def data_received(self, data: bytes) -> None:
        if self.handshake_complete:
            super().data_received(data)
            return
        self._early += data  # wsproto would lose it
        if len(self._early) > MAX_EARLY:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._emptied.set()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        scope = cast(Scope, self.scope)
        scope["headers"] = list(self._headers)  # wsproto keeps those of the handshake to itself
        scope["extensions"] = {**scope["extensions"], **self._extensions}

    def handle_close(self, event: CloseConnection) -> None:
        if self.conn.state is ConnectionState.OPEN:  # wsproto's own word for frames that break the protocol
            self.transport.write(self.conn.send(event))  # RFC 6455 §7.1.7: whoever sent them is told how
        super().handle_close(event)

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "websocket.http.response.start":
            fields = [field for field in message["headers"] if field[0] != b"connection"]
            # RFC 9112 §9.6: wsproto reads no other request here
            message["headers"] = [*fields, *self.default_headers, (b"connection", b"close")]
        await super().send(message)
        if message["type"] == "websocket.accept":
            early, self._early = bytes(self._early), bytearray()
            if early and not self.transport.is_closing():
                super().data_received(early)


def handshake(url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The head of a GET, as it came, but for what wsproto reads one spelling of: it takes no list and no second field."""
    lines = [b"%b: %b\r\n" % field for field in headers if field[0] not in (b"connection", b"upgrade")]
    return b"GET %b HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n%b\r\n" % (url, b"".join(lines))
