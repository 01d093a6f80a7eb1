"""An upstream that does exactly what a script says, byte by byte, and records what it was sent. For tests only.

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

    async with ScriptedUpstream(script) as upstream:
        ...                                   # call upstream.url
        assert upstream.requests[0].startswith(b"GET / HTTP/1.1")

A script is run for each connection and may wait, stop reading, close or reset at any byte. It checks nothing of what it
is sent but the framing that it needs to find a request's end; that is what the test is for.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TypeAlias

PATIENCE_S = 5.0  # bounds every wait, so that a broken test ends with an error

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)

Script: TypeAlias = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The upstream's end of one connection, as its script uses it."""

    def __init__(self, upstream: ScriptedUpstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = len(upstream.peers)
        """0 for the first connection."""
        self.ended = asyncio.Event()
        """Set when the other side closed the connection, as far as this side reads."""
        self._upstream = upstream
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """The next whole request, head and body as they were sent. Raises EOFError when there is none."""
        raw = await self.head()
        if _CHUNKED.search(raw):
            while not raw.endswith(b"\r\n0\r\n\r\n"):
                raw += await self.read()
        elif length := _LENGTH.search(raw):
            raw += await self._take(self._reader.readexactly(int(length[1])))
        self._upstream.requests[-1] = raw
        return raw

    async def head(self) -> bytes:
        """The next request's head only; its body stays unread."""
        raw = await self._take(self._reader.readuntil(b"\r\n\r\n"))
        self._upstream.requests.append(raw)
        self._upstream.seen.set()
        return raw

    async def read(self) -> bytes:
        """Some octets. Raises EOFError at the end."""
        data = await self._take(self._reader.read(65536))
        if not data:
            self.ended.set()
            raise EOFError
        return data

    async def send(self, *pieces: bytes) -> None:
        """Send each piece in a write, and mostly in a segment, of its own."""
        for piece in pieces:
            if self._writer.is_closing():  # uvloop's transports raise RuntimeError for it
                raise ConnectionResetError("the gateway has closed the connection")
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0)

    async def gone(self) -> None:
        """Wait until the other side has closed the connection."""
        try:
            while True:
                await self.read()
        except (EOFError, ConnectionError):
            self.ended.set()

    def close(self) -> None:
        """Send FIN after what was sent."""
        self._writer.close()

    def reset(self) -> None:
        """Send RST."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _take(self, reading: Awaitable[bytes]) -> bytes:
        try:
            return await asyncio.wait_for(reading, PATIENCE_S)
        except asyncio.IncompleteReadError as short:
            self.ended.set()
            raise EOFError from short


class ScriptedUpstream:
    """Listens on a free port of 127.0.0.1. Connection n runs script n; the last script is run for all further ones."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        """What was sent to any connection, in order; heads first, bodies added when their script read them."""
        self.peers: list[Peer] = []
        self.seen = asyncio.Event()
        """Set when a head arrives."""
        self._scripts = scripts
        self._tls = tls
        self._running: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> ScriptedUpstream:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop. A script that raised, other than for the connection's end, fails the test here."""
        self._server.close()
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if error is None and self._failures:
            raise self._failures[0]

    def stop_listening(self) -> None:
        """Refuse further connections; those that are open go on."""
        self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(self, reader, writer)
        self.peers.append(peer)
        script = self._scripts[min(peer.number, len(self._scripts) - 1)]
        task = asyncio.current_task()
        assert task is not None, "the server runs each connection in a task"
        self._running.add(task)
        try:
            await script(peer)
        except (EOFError, ConnectionError, asyncio.CancelledError):
            pass
        except Exception as failure:
            self._failures.append(failure)
        finally:
            self._running.discard(task)
            writer.close()


def answering(*pieces: bytes, after: asyncio.Event | None = None, then: Callable[[Peer], None] | None = None) -> Script:
    """A script that answers every request by these pieces, once `after` is set; `then` (Peer.close, Peer.reset) ends it after the first."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            if after is not None:
                await after.wait()
            await peer.send(*pieces)
            if then is not None:
                then(peer)
                return

    return script


def ok(body: bytes = b"ok", *fields: Sequence[str]) -> bytes:
    """The bytes of a plain 200."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body
