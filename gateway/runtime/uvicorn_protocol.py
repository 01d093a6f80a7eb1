"""uvicorn's HTTP/1.1 protocol with the bounds it lacks: size and time of heads, one form of target. Knows no routes.

One sweep over all connections (UvicornServer.tick) holds the deadlines, so no request arms a timer of its own.
"""

from __future__ import annotations

import asyncio
import math
import urllib.parse
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

import httptools
import orjson
from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.runtime.plane import Scope

LINGER_S = 5.0  # how long the rest of a body is read away after an early answer; nginx lingering_timeout 5s


@dataclass(slots=True)
class Bounds:
    """What one listener holds its callers to."""

    head_bytes: int
    fields: int
    head_s: float
    keep_alive_s: float
    connections: int
    emptied: asyncio.Event = field(default_factory=asyncio.Event)  # set whenever a connection ends


class RefusedHeadError(Exception):
    """Leaves the parser when a head breaks a bound; never leaves this module."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, bounds: Bounds, config: Config, server_state: ServerState) -> None:
        super().__init__(config, server_state, {})
        self.bounds = bounds
        self.deadline = math.inf  # when the sweep ends this connection
        self.in_head = True  # between two requests, or inside a head
        self.head_bytes = 0
        self.refusal = (400, "request.framing", "The request is not well-formed HTTP/1.1.")
        self.extensions: dict[str, Any] | None = None
        self.heard = False  # the client has sent something
        self.refused = False  # answered by refuse(); what still comes is thrown away

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.deadline = self.loop.time() + self.bounds.head_s
        certificate = transport.get_extra_info("ssl_object")
        certificate = certificate and certificate.getpeercert(binary_form=True)
        if certificate:
            self.extensions = {"tls": {"client_cert_der": certificate}}
        if len(self.connections) > self.bounds.connections:
            self.refuse(503, "server.connections", "Too many connections; try again soon.")

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.bounds.emptied.set()

    def data_received(self, data: bytes) -> None:
        if self.refused or self.transport.is_closing():
            return
        self.heard = True
        if self.in_head:
            if self.head_bytes == 0:
                self.deadline = self.loop.time() + self.bounds.head_s
            self.head_bytes += len(data)
        super().data_received(data)
        # a head that has not ended yet; one that has is measured as its fields arrive
        if self.in_head and self.head_bytes > self.bounds.head_bytes and not self.refused:
            self.send_400_response(self._too_large())

    # the parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.in_head = True
        self.measured = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self.measured += len(name) + len(value) + 4
        if len(self.headers) > self.bounds.fields or self.measured > self.bounds.head_bytes:
            raise RefusedHeadError(self._too_large())

    def on_headers_complete(self) -> None:
        if self.measured + len(self.url) > self.bounds.head_bytes:
            raise RefusedHeadError(self._too_large())
        self.in_head = False
        self.head_bytes = 0
        self.deadline = math.inf
        version = self.parser.get_http_version()
        scope = cast(Scope, self.scope)
        scope["method"] = method = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        # httptools lets any version pass, and chunks in HTTP/1.0, which RFC 9112 §6.1 calls faulty framing
        if version not in ("1.0", "1.1") or (
            version == "1.0" and any(n == b"transfer-encoding" for n, _ in self.headers)
        ):
            raise RefusedHeadError
        scope["extensions"] = self.extensions or {}
        if method == "CONNECT":
            self.refusal = (501, "request.connect", "CONNECT is not offered.")
            raise RefusedHeadError
        if self.url[:1] != b"/" and b"://" in self.url:
            self._take_authority()
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        target = httptools.parse_url(self.url)
        scope["raw_path"] = raw_path = target.path
        path = raw_path.decode("ascii")
        scope["path"] = urllib.parse.unquote(path) if "%" in path else path
        scope["query_string"] = target.query or b""
        before = self.cycle
        self.cycle = ClosingCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:  # pipelined: it waits for the answers before it
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.in_head = True
        if self.cycle is not None and self.cycle.response_complete:
            self.deadline = self.loop.time() + self.bounds.keep_alive_s

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif not self.in_head:
            self.deadline = self.loop.time() + LINGER_S
        else:
            wait = self.bounds.head_s if self.head_bytes else self.bounds.keep_alive_s
            self.deadline = self.loop.time() + wait

    # refusals below the edge

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for every head or chunk that it cannot parse."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self.in_head or self.cycle.response_started or self.pipeline:
                # an earlier request is still being answered: its answer is the last on this connection
                self.cycle.keep_alive = False
                self.flow.pause_reading()
                return
            self.cycle.disconnected = True  # whatever the application still sends must not follow this answer
            self.cycle.message_event.set()
        self.refuse(*self.refusal)

    def refuse(self, status: int, code: str, detail: str) -> None:
        """Answer without the application, and close."""
        problem = {"type": f"urn:sluicegate:problem:{code}", "title": HTTPStatus(status).phrase, "status": status}
        body = orjson.dumps({**problem, "detail": detail, "code": code})
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nserver: sluicegate\r\n".encode()
        for name, value in self.server_state.default_headers:
            head += name + b": " + value + b"\r\n"
        head += b"content-type: application/problem+json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)
        # RFC 9112 §9.6: closing while the client still sends resets the connection, and the answer is lost with it
        self.refused = True
        self.deadline = self.loop.time() + LINGER_S
        if self.heard and self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def expire(self) -> None:
        """The sweep found the deadline passed: say so if a head was on its way, else just close."""
        if (
            self.in_head
            and self.head_bytes
            and not self.refused
            and (self.cycle is None or self.cycle.response_complete)
        ):
            self.refuse(408, "request.head-timeout", "The head of the request did not arrive in time.")
        else:
            self.transport.close()

    def _too_large(self) -> str:
        self.refusal = (431, "request.head-too-large", "The head of the request is too large.")
        return self.refusal[1]

    def _take_authority(self) -> None:
        # RFC 9112 §3.2.2: the authority of an absolute-form target replaces Host, but its absence stays an error
        after_scheme = self.url.split(b"://", 1)[1]
        end = min((at for at in map(after_scheme.find, (b"/", b"?", b"#")) if at >= 0), default=len(after_scheme))
        authority, rest = after_scheme[:end], after_scheme[end:]
        self.url = rest if rest[:1] == b"/" else b"/" + rest
        self.headers[:] = [(n, authority) if n == b"host" else (n, v) for n, v in self.headers]


class ClosingCycle(RequestResponseCycle):
    """One request and its answer: one Date, and no chunks for HTTP/1.0, whose bodies end with the connection."""

    until_close = False

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "http.response.start":
            names = {name for name, _ in message["headers"]}
            if b"date" in names:
                self.default_headers = []
            if self.scope["http_version"] == "1.0" and b"content-length" not in names:
                self.until_close = True
                self.chunked_encoding = False
        elif self.until_close and message["type"] == "http.response.body":
            await self._send_raw(message.get("body", b""), more_body=message.get("more_body", False))
            return
        await super().send(message)

    async def _send_raw(self, body: bytes, *, more_body: bool) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.scope["method"] != "HEAD":
            self.transport.write(body)
        if not more_body:
            self.response_complete = True
            self.message_event.set()
            self.transport.close()
            self.on_response()
