"""WebSockets of callers, carried through the edge as if they were HTTP: a handshake is a GET, what follows its answer's body.

So routes, policies, the access log, metrics and `streams.max` treat them as any request. Passes whole messages on, both
ways; knows no frames.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from gateway.api.errors import RequestRefused
from gateway.api.messages import Request
from gateway.edge.body import Receive
from gateway.edge.send import CutOff, Send
from gateway.edge.streams import AT_MAX, CHANGED, EXPIRED, REVOKED
from gateway.upstream.websocket import MAX_MESSAGE, Text, UpstreamSocket

Answer: TypeAlias = "Callable[[MutableMapping[str, Any], Receive, Send, WebSocket], Awaitable[None]]"

SERVICE_RESTART = 1012  # RFC 6455 §7.4.2's registry: come back, the server is being restarted
TOO_BIG, FAILED = 1009, 1011
# What a stream's end is to a WebSocket: 1001 the time is over, 1008 the caller is believed no more, 1012 ask anew
_ENDS = {AT_MAX: 1001, EXPIRED: 1008, REVOKED: 1008, CHANGED: SERVICE_RESTART}
# Fields of the handshake, which is another one with the upstream. No extension is negotiated on either side.
HANDSHAKE = frozenset(
    (
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"sec-websocket-accept",
    )
)


class WebSocket:
    """One connection of a caller, from its handshake on; the exchange keeps it to tell the upstream call what it is."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._gone = asyncio.Event()  # the caller left before the handshake was answered
        self._accepted = asyncio.Event()
        self._socket: UpstreamSocket | None = None
        self._reading: asyncio.Task[None] | None = None
        self._closed = False
        self._ended = FAILED  # what the caller is told when it breaks off

    async def serve(self, scope: MutableMapping[str, Any], answer: Answer) -> None:
        """Answer the handshake by `answer`, which sees an HTTP request, and pass messages until one side closes."""
        if (await self._receive())["type"] != "websocket.connect":
            return
        # neither server's scope has a method, and Granian says "1" for HTTP/1.0
        http = {**scope, "type": "http", "method": "GET", "scheme": "https" if scope["scheme"] == "wss" else "http"}
        try:
            await answer(http, self._wait_gone, self._pass, self)
        except CutOff as cut:
            await self._close(_ENDS.get(str(cut), self._ended))
        finally:
            if self._reading is not None:
                self._reading.cancel()
            if self._socket is not None:
                self._socket.close()

    def check(self, request: Request) -> None:
        """What RFC 6455 §4.2.1 asks of a handshake and the servers do not look at. Raises RequestRefused."""
        if request.body is not None or request.http_version in ("1", "1.0"):
            raise RequestRefused(
                400, "websocket.handshake", "A WebSocket handshake is HTTP/1.1, and has no body; send it so."
            )
        keys = request.headers.get_all(b"sec-websocket-key")
        if len(keys) != 1 or not _is_key(keys[0]) or request.headers.get_all(b"sec-websocket-version") != [b"13"]:
            raise RequestRefused(
                400,
                "websocket.handshake",
                "Sec-WebSocket-Key is 16 octets in base64, Sec-WebSocket-Version is 13; send both so.",
            )

    def end(self, code: int) -> None:
        """Close on the gateway's own account."""
        self._ended = code
        if self._socket is not None:
            self._socket.leave(code)

    # -- what the edge takes for HTTP

    async def _wait_gone(self) -> MutableMapping[str, Any]:
        self._begin_reading()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _pass(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            await self._answer(message)
        elif self._socket is None:
            await self._send({**message, "type": "websocket.http.response.body"})
        elif message.get("more_body"):
            piece = message["body"]
            if type(piece) is Text:
                await self._send({"type": "websocket.send", "text": piece.decode("utf-8")})
            else:
                await self._send({"type": "websocket.send", "bytes": bytes(piece)})
        else:
            await self._close(self._socket.close_code, self._socket.close_reason)

    async def _answer(self, message: MutableMapping[str, Any]) -> None:
        # servers add a Date to answers to handshakes, whatever is there
        headers = [field for field in message["headers"] if field[0] not in HANDSHAKE and field[0] != b"date"]
        if self._socket is None or message["status"] != 101:
            if self._socket is not None:  # a policy has answered in its place
                self._socket.close()
                self._socket = None
            await self._send({**message, "type": "websocket.http.response.start", "headers": headers})
            return
        chosen = [value.decode("latin-1") for name, value in message["headers"] if name == b"sec-websocket-protocol"]
        headers = [field for field in headers if field[0] != b"connection"]
        await self._send({"type": "websocket.accept", "subprotocol": chosen[0] if chosen else None, "headers": headers})
        self._accepted.set()
        self._begin_reading()

    def carry(self, socket: UpstreamSocket) -> None:
        """The upstream has accepted: `socket` is its side."""
        self._socket = socket

    # -- from the caller to the upstream

    def _begin_reading(self) -> None:
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._closed = True
                if self._socket is None:
                    self._gone.set()
                else:
                    self._socket.leave(message.get("code") or 1005, message.get("reason") or "")
                return
            await self._accepted.wait()
            socket = self._socket
            assert socket is not None, "an accepted handshake has an upstream"
            text = message.get("text")
            piece = message.get("bytes") or b"" if text is None else text
            if len(piece) > MAX_MESSAGE:
                self.end(TOO_BIG)
                return
            await socket.send(piece)

    async def _close(self, code: int | None, reason: str = "") -> None:
        if not self._closed:
            self._closed = True
            if self._reading is not None:
                self._reading.cancel()  # Granian closes only while nobody receives
                await asyncio.wait((self._reading,))
            # 1005 and 1006 say that there was no code, and are never sent (RFC 6455 §7.4.1)
            sent = 1000 if code in (None, 1005, 1006, 1015) else code
            await self._send({"type": "websocket.close", "code": sent, "reason": reason})


def _is_key(value: bytes) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == 16
    except binascii.Error:
        return False
