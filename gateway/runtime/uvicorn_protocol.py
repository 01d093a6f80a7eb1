"""uvicorn's HTTP/1.1 protocol with the bounds it lacks: size and time of heads, one form of target. Knows no routes.

One sweep over all connections (UvicornServer.tick) holds the deadlines, so no request arms a timer of its own. Longer than
300 lines: the callbacks of one parser, which share where in a message it stands and run for every head and body.
"""

from __future__ import annotations

import asyncio
import math
import urllib.parse
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httptools
import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.edge.body import LINGER_S
from gateway.edge.send import INTERIM
from gateway.http.host import parse_authority
from gateway.runtime.plane import App
from gateway.runtime.turn import Turn
from gateway.runtime.uvicorn_cycle import Cycle, HeldFlow
from gateway.runtime.uvicorn_websocket import BoundedWebSocket, handshake
from gateway.upstream.outbox import Outbox

MAX_PIPELINED = 64  # requests that wait for the answers before them; one read may bring thousands
_NONE_WAIT: deque[Any] = deque()  # of every connection on which no request waits: one of its own has 0.6 KiB
_FRAMING = (b"content-length", b"transfer-encoding")
_EXTENSIONS: dict[str, Any] = {INTERIM: {}}
_ASGI = {"version": "3.0", "spec_version": "2.3"}


@dataclass(slots=True)
class Bounds:
    """What one listener holds its callers to."""

    head_bytes: int
    fields: int
    head_s: float
    keep_alive_s: float
    connections: int
    outbox: Outbox
    turn: Turn
    emptied: asyncio.Event = field(default_factory=asyncio.Event)  # set whenever a connection ends


class RefusedHeadError(Exception):
    """Leaves the parser when a head breaks a bound; never leaves this module."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    app: App
    cycle: Cycle | None  # type: ignore[assignment]  # of the newest request
    flow: HeldFlow
    pipeline: deque[Cycle]  # type: ignore[assignment]

    def __init__(self, bounds: Bounds, config: Config, server_state: ServerState) -> None:
        super().__init__(config, server_state, {})
        self.pipeline = _NONE_WAIT
        self.url = b""
        self.headers = []
        self.bounds = bounds
        self.deadline = math.inf  # when the sweep ends this connection
        self.in_head = True  # between two requests, or inside a head
        self.head_bytes = 0  # read since a head began that has not ended
        self.piece_bytes = 0  # of what is being parsed
        self.trailer_bytes = 0
        self.overhead = 0  # octets since the last of a body's own: sizes, extensions and trailers of chunks
        self.answering: Cycle | None = None  # while requests wait, an earlier cycle than uvicorn's `cycle`
        self.refusal = (
            400,
            "request.framing",
            "The request is not well-formed HTTP/1.1; check the client that wrote it.",
        )
        self.extensions: dict[str, Any] = _EXTENSIONS
        self.switches = False  # this head is the handshake of a WebSocket
        self.heard = False  # the client has sent something
        self.refused = False  # answered by refuse(); what still comes is thrown away

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.flow = HeldFlow(transport)
        self.deadline = self.loop.time() + self.bounds.head_s
        certificate = transport.get_extra_info("ssl_object")
        certificate = certificate and certificate.getpeercert(binary_form=True)
        if certificate:
            self.extensions = {**_EXTENSIONS, "tls": {"client_cert_der": certificate}}
        if len(self.connections) > self.bounds.connections:
            self.refuse(503, "server.connections", "Too many connections; try again soon.")

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        for cycle in (self.answering, self.cycle):
            if cycle is not None:
                cycle.leave()
        self.flow.resume_writing()
        self.transport.close()
        self.parser = None  # type: ignore[assignment]  # it refers back
        self.bounds.emptied.set()

    def data_received(self, data: bytes) -> None:
        if self.refused or self.transport.is_closing():
            return
        self.heard = True
        self.piece_bytes = len(data)
        if self.in_head:
            begins = self.head_bytes == 0
            self.head_bytes += len(data)
        else:
            begins = False
            self.overhead += len(data)
        self._feed(data)
        if begins and self.head_bytes:  # and has not ended
            self.deadline = self.loop.time() + self.bounds.head_s
        # a head that has not ended yet, one that has was measured then; or all that is around chunks
        pending = self.head_bytes if self.in_head else self.overhead
        if pending > self.bounds.head_bytes and not self.refused:
            self.send_400_response(self._too_large())

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as switch:
                if self.switches:
                    self._switch(data[switch.args[0] :])
                    return
                # RFC 9110 §7.8: Upgrade may be ignored. llhttp takes what follows for another protocol and ends the message
                # with its head: a new parser is told the framing, which is all it needs to know of the head.
                framing = b"".join(b"%b: %b\r\n" % field for field in self.headers if field[0] in _FRAMING)
                data = b"POST / HTTP/1.1\r\n%b\r\n%b" % (framing, data[switch.args[0] :])
                self.parser = httptools.HttpRequestParser(self)
            except httptools.HttpParserError:
                self.send_400_response("")
                return
            else:
                return

    def _is_handshake(self, method: str, version: str) -> bool:
        """Whether this becomes a WebSocket (RFC 6455 §4.1); any other upgrade is ignored (RFC 9110 §7.8)."""
        return (
            method == "GET"
            and version == "1.1"
            and b"upgrade" in self._listed(b"connection")
            and b"websocket" in self._listed(b"upgrade")
            and (self.cycle is None or self.cycle.response_complete)
            and not any(name in _FRAMING for name, _ in self.headers)
        )

    def _listed(self, name: bytes) -> set[bytes]:
        """The members of all fields of this name as one list (RFC 9110 §5.3), in lower case."""
        fields = b",".join(value for field, value in self.headers if field == name)
        return {member.strip(b" \t") for member in fields.lower().split(b",")}

    def _switch(self, rest: bytes) -> None:
        """Hand the connection on, with what came behind the handshake."""
        self.connections.discard(self)
        emptied = self.bounds.emptied
        websocket = BoundedWebSocket(self.config, self.server_state, self.headers, self.extensions, emptied)
        websocket.connection_made(self.transport)
        self.transport.set_protocol(websocket)
        websocket.begin(handshake(self.url, self.headers), rest)

    # the parser's callbacks

    # They come outside a head for trailers, which are dropped (RFC 9110 §6.5.1), and for what _feed() tells a new parser.

    on_message_begin = None  # type: ignore[assignment]  # httptools then calls nothing: all is set when a message ends

    def on_url(self, url: bytes) -> None:
        if self.in_head:
            self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_head:
            self.trailer_bytes += len(name) + len(value) + 4
            if self.trailer_bytes > self.bounds.head_bytes:
                raise RefusedHeadError(self._too_large())
            return
        name = name.lower()
        value = value.rstrip(b" \t")  # RFC 9112 §5: not part of the value; httptools leaves it there
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if not self.in_head:
            return
        bounds, headers = self.bounds, self.headers
        if len(headers) > bounds.fields or (
            # what has been read bounds it, and costs nothing; a head may have begun in the middle of it
            self.head_bytes + self.piece_bytes > bounds.head_bytes
            and len(self.url) + sum(len(name) + len(value) + 4 for name, value in headers) > bounds.head_bytes
        ):
            raise RefusedHeadError(self._too_large())
        self.in_head = False
        self.head_bytes = self.overhead = self.trailer_bytes = 0
        self.deadline = math.inf
        version = self.parser.get_http_version()
        method = self.parser.get_method().decode("ascii")
        # httptools lets any version pass, and chunks in HTTP/1.0, which RFC 9112 §6.1 calls faulty framing
        if version != "1.1" and (version != "1.0" or any(name == b"transfer-encoding" for name, _ in headers)):
            raise RefusedHeadError
        if method == "CONNECT":
            self.refusal = (501, "request.connect", "This gateway is not a tunnel; send the request itself.")
            raise RefusedHeadError
        if self.url[:1] != b"/" and b"://" in self.url:
            self._take_authority()
        self.switches = self.parser.should_upgrade() and self._is_handshake(method, version)
        if self.switches:
            return
        raw_path, query = _split(self.url)
        path = raw_path.decode("ascii")
        before = self.cycle
        self.cycle = cycle = Cycle(
            {
                "type": "http",
                "asgi": _ASGI,
                "http_version": version,
                "server": self.server,
                "client": self.client,
                "scheme": self.scheme,
                "method": method,
                "root_path": "",
                "path": urllib.parse.unquote(path) if "%" in path else path,
                "raw_path": raw_path,
                "query_string": query,
                "headers": headers,
                "extensions": self.extensions,
            },
            self.transport,
            self.flow,
            self.server_state,
            self.bounds.outbox,
            self.on_response_complete,
            expects_continue=self.expect_100_continue and version == "1.1",  # RFC 9110 §10.1.1
            keep_alive=version == "1.1" and self.parser.should_keep_alive(),
        )
        if before is None or before.response_complete:
            self.answering = cycle
            bounds.turn.begin(cycle.run(self.app))
        elif len(self.pipeline) >= MAX_PIPELINED:
            self.cycle = before
            raise RefusedHeadError
        else:  # pipelined: it waits for the answers before it
            self.flow.hold()
            if not self.pipeline:
                self.pipeline = deque()
            self.pipeline.appendleft(cycle)

    def on_body(self, body: bytes) -> None:
        self.overhead = 0
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return
        cycle.feed(body)
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # its body is still to come, see _feed()
        self.in_head = True
        self.url = b""
        self.headers = []  # 3 KiB with the cycle; each begins anew
        self.expect_100_continue = False
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.feed_end()
        else:
            self.cycle = self.answering = None
            self.deadline = self.loop.time() + self.bounds.keep_alive_s

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        assert self.answering is not None, "something was answered"
        if self.answering.closing or not self.answering.keep_alive:
            self._close(unread=not self.in_head or bool(self.pipeline))
            self.flow.let_go()
        elif self.pipeline:
            self.answering = waiting = self.pipeline.pop()
            if not self.pipeline:
                self.pipeline = _NONE_WAIT
                self.flow.let_go()
            self.bounds.turn.begin(waiting.run(self.app))
            return
        elif self.in_head:
            self.cycle = self.answering = None
        self.flow.resume_reading()
        if self.refused:
            return
        if not self.in_head:
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
            self.cycle.leave()  # whatever the application still sends must not follow this answer
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
        self._close(unread=self.heard)

    def _close(self, *, unread: bool) -> None:
        """Close after an answer. The rest of a body is read away: a reset could take the answer with it (RFC 9112 §9.6)."""
        self.refused = True
        self.deadline = self.loop.time() + LINGER_S
        if unread and self.transport.can_write_eof():
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
            self.refuse(
                408, "request.head-timeout", "The head of the request did not arrive in time; send it without pauses."
            )
        else:
            self.transport.close()

    def _too_large(self) -> str:
        self.refusal = (
            431,
            "request.head-too-large",
            "The head of the request is too large; send fewer header fields, or shorter ones.",
        )
        return self.refusal[1]

    def _take_authority(self) -> None:
        # RFC 9112 §3.2.2: the authority of an absolute-form target replaces Host, but its absence stays an error
        scheme, after_scheme = self.url.split(b"://", 1)
        if scheme.lower() not in (b"http", b"https"):
            raise RefusedHeadError
        end = min((at for at in map(after_scheme.find, (b"/", b"?", b"#")) if at >= 0), default=len(after_scheme))
        authority, rest = after_scheme[:end], after_scheme[end:]
        self.url = rest if rest[:1] == b"/" else b"/" + rest
        for name, value in self.headers:
            if name == b"host":
                parse_authority(value)  # raises: it has to be right all the same
        self.headers[:] = [(n, authority) if n == b"host" else (n, v) for n, v in self.headers]


def _split(url: bytes) -> tuple[bytes, bytes]:
    """Path and query of a target; httptools' own way knows every form, and takes 1 µs for the usual one."""
    if url[:1] == b"/" and b"#" not in url:
        path, _, query = url.partition(b"?")
        return path, query
    target = httptools.parse_url(url)
    return target.path, target.query or b""
