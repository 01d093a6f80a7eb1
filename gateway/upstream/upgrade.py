"""A WebSocket's handshake over HTTP/1.1 (RFC 6455 §4). What follows is every socket's."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re

from gateway.api.messages import Headers, Response, UpstreamRequest
from gateway.upstream.answer import MAX_INTERIM
from gateway.upstream.chunks import ChunkDecoder
from gateway.upstream.sweep import Sweep
from gateway.upstream.websocket import UpstreamSocket
from gateway.upstream.wire import CHUNKED, HEAD_END, Violation, check_beginning, read_head, write_head

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_UPGRADES = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*(?:\r\n|$)", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:(?:[^\r\n]*,)?[ \t]*upgrade[ \t]*(?:,|\r\n|$)", re.IGNORECASE)


class UpgradedSocket(UpstreamSocket):
    """On a connection that was dialled for it."""

    def __init__(self, upstream: str, sweep: Sweep, idle_s: float, address: object) -> None:
        super().__init__(upstream, sweep, idle_s, address)
        self._head = bytearray()
        self._interim = 0
        self._chunks: ChunkDecoder | None = None  # of a refusal

    def ask(
        self, request: UpstreamRequest, host: bytes | None, subprotocols: bytes | None, due: float
    ) -> asyncio.Future[Response]:
        key = base64.b64encode(os.urandom(16))
        self._expected = base64.b64encode(hashlib.sha1(key + _GUID).digest())  # noqa: S324 - as RFC 6455 has it
        fields = Headers(request.headers)
        fields += [(b"connection", b"Upgrade"), (b"upgrade", b"websocket"), (b"sec-websocket-key", key)]
        fields += self.offer(subprotocols)
        head = write_head("GET", request.target, host, fields)
        self.begin(due)
        self._transport.write(head)
        return self.handshake

    def read_head(self, data: bytes) -> None:
        self._head += data
        while (end := self._head.find(HEAD_END)) >= 0:
            head, rest = bytes(self._head[:end]), bytes(self._head[end + 4 :])
            status, headers, length = read_head(head, False)[:3]
            self._head = bytearray(rest)
            if status == 101:
                # RFC 6455 §4.1: what a client must verify
                upgrades = _UPGRADES.search(head) and _CONNECTION.search(head)
                if headers.get_all(b"sec-websocket-accept") != [self._expected] or not upgrades:
                    raise Violation("a 101 that does not accept this handshake")
                self.open(headers)
                if rest and self.is_open:
                    self.read_frames(rest)
                return
            if status >= 200:
                self.refuse(status, headers, length if length >= 0 else None)
                if length == CHUNKED:
                    self._chunks = ChunkDecoder()
                self.read_refusal(rest)
                return
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise Violation("too many interim answers")
        check_beginning(self._head, 0)

    def read_refusal(self, data: bytes) -> None:
        chunks = self._chunks
        if chunks is None:
            super().read_refusal(data)
            return
        super().read_refusal(chunks.feed(data))
        if chunks.rest is not None and not self.handshake.done():
            self.answer_refusal()
