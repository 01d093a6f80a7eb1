"""Both ends of WebSockets in bytes: what a caller sends, and an upstream that follows a script. Knows no gateway."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import struct
from dataclasses import dataclass

from gateway.testing.upstream import Peer
from tests.wire.plays import PATIENCE_S, Caller, Stage

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def handshake(*lines: bytes, path: bytes = b"/", key: bytes = KEY) -> bytes:
    fields = [
        b"Host: a",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + key,
        *lines,
    ]
    return b"GET %b HTTP/1.1\r\n%b\r\n\r\n" % (path, b"\r\n".join(fields))


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, masked: bool = True) -> bytes:
    head = bytes([opcode | (0x80 if fin else 0)])
    flag = 0x80 if masked else 0
    if len(data) < 126:
        head += bytes([flag | len(data)])
    elif len(data) < 65536:
        head += bytes([flag | 126]) + struct.pack("!H", len(data))
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", len(data))
    if not masked:
        return head + data
    mask = os.urandom(4)
    return head + mask + bytes(octet ^ mask[at % 4] for at, octet in enumerate(data))


def closing(code: int, reason: bytes = b"", *, masked: bool = True) -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason, masked=masked)


@dataclass
class Frame:
    opcode: int
    data: bytes
    masked: bool

    @property
    def code(self) -> int:
        return int(struct.unpack("!H", self.data[:2])[0]) if self.data else 1005


class Frames:
    """Reads frames from what `take` gives, one read after another."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def next(self) -> Frame:
        async with asyncio.timeout(PATIENCE_S):
            first, second = await self._reader.readexactly(2)
            length = second & 0x7F
            if length == 126:
                length = struct.unpack("!H", await self._reader.readexactly(2))[0]
            elif length == 127:
                length = struct.unpack("!Q", await self._reader.readexactly(8))[0]
            masked = bool(second & 0x80)
            mask = await self._reader.readexactly(4) if masked else bytes(4)
            data = await self._reader.readexactly(length)
        return Frame(first & 0x0F, bytes(octet ^ mask[at % 4] for at, octet in enumerate(data)), masked)


class Client(Frames):
    """A caller whose handshake was accepted."""

    def __init__(self, caller: Caller, head: bytes) -> None:
        super().__init__(caller.reader)
        self.caller = caller
        self.head = head

    async def send(self, *pieces: bytes) -> None:
        await self.caller.send(*pieces)


async def connect(stage: Stage, raw: bytes | None = None) -> Client:
    caller = await stage.caller()
    await caller.send(handshake() if raw is None else raw)
    async with asyncio.timeout(PATIENCE_S):
        head = await caller.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    return Client(caller, head)


class Server(Frames):
    """The upstream's end of an accepted WebSocket."""

    def __init__(self, peer: Peer, head: bytes) -> None:
        super().__init__(peer._reader)
        self.peer = peer
        self.head = head

    async def send(self, *pieces: bytes) -> None:
        await self.peer.send(*pieces)


def fields_of(head: bytes) -> dict[bytes, bytes]:
    lines = [line.partition(b": ") for line in head.split(b"\r\n")[1:] if line]
    return {name.lower(): value for name, _, value in lines}


async def accept(
    peer: Peer, *lines: bytes, connection: bytes = b"Connection: Upgrade\r\n", behind: bytes = b""
) -> Server:
    """`behind` is sent with the answer, in one piece."""
    head = await peer.head()
    key = fields_of(head)[b"sec-websocket-key"]
    accepted = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    answer = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket"]
    answer += [b"Sec-WebSocket-Accept: " + accepted, *lines]
    await peer.send(b"\r\n".join(answer) + b"\r\n" + connection + b"\r\n" + behind)
    return Server(peer, head)


async def echo(peer: Peer) -> None:
    """A script: gives back every message, then the close frame."""
    server = await accept(peer)
    while True:
        got = await server.next()
        await server.send(frame(got.opcode, got.data, masked=False))
        if got.opcode == CLOSE:
            peer.close()
            return
