"""One request and its answer on uvicorn, and the connection's flow of octets. Parses nothing; closes nothing itself."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn._types import ASGISendEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.upstream.wire import CONTROLS


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


class ClosingCycle(RequestResponseCycle):
    """Writes an answer whole in one piece: head and body apart would cost a system call and a wake-up more.

    One Date; no chunks for HTTP/1.0, whose bodies end with the connection, which is the protocol's to close; trailers.
    """

    closing = False  # the answer said so: it is the connection's last
    until_close = False
    _head = b""  # until something of the body comes

    def leave(self) -> None:
        """The client is gone."""
        if not self.response_complete:
            self.disconnected = True
            self.message_event.set()

    async def send(self, message: ASGISendEvent) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self._start(message)
        elif message["type"] == "http.response.body":
            self._write(message)
        else:
            self._inform(message)

    def _takes_trailers(self) -> bool:
        """RFC 9110 §6.5.1: the caller says that it does not throw them away."""
        codings = b",".join(value for name, value in self.scope["headers"] if name == b"te").lower().split(b",")
        return b"trailers" in (coding.strip(b" \t") for coding in codings)

    def _start(self, message: HTTPResponseStartEvent) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        status, fields = message["status"], list(message.get("headers", ()))
        length: int | None = None
        dated = False
        for name, value in fields:
            if name == b"content-length":
                length = int(value)
            elif name == b"date":
                dated = True
            elif name == b"connection":
                self.closing = True  # the edge sends no other than close
        if not dated:
            fields[:0] = self.default_headers
        if not self.keep_alive and not self.closing:
            self.closing = True
            fields.append((b"connection", b"close"))
        self.keep_alive = True  # closing is the protocol's: the client may be sending still
        if self.scope["method"] == "HEAD" or status in (204, 304):
            length = 0
        elif length is None:
            if self.scope["http_version"] == "1.0":
                self.until_close = True
            else:
                fields.append((b"transfer-encoding", b"chunked"))
        self.chunked_encoding = length is None and not self.until_close
        self.expected_content_length = length or 0
        self._head = _head(status, fields)

    def _inform(self, message: Any) -> None:
        """A 1xx answer before the answer; the edge sends nothing else (gateway.edge.send.INTERIM)."""
        if not self.response_started and self.scope["http_version"] != "1.0":  # RFC 9110 §15.2: 1.0 knows none
            self.transport.write(_head(message["status"], message["headers"]))

    def _write(self, message: Any) -> None:  # the edge adds `trailers`, which ASGI's type of it lacks
        body, more_body = message.get("body", b""), message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            body = b""
        elif self.chunked_encoding:
            if body:
                body = b"%x\r\n%b\r\n" % (len(body), body)
            if not more_body:  # RFC 9112 §7.1.2
                trailers = message["trailers"] if "trailers" in message and self._takes_trailers() else ()
                body += b"0\r\n%b\r\n" % b"".join(b"%b: %b\r\n" % field for field in trailers)
        elif not self.until_close:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (self.expected_content_length and not more_body):
                raise ValueError("an answer's body differs from its Content-Length")
        head, self._head = self._head, b""
        if head or body:
            self.transport.write(head + body)
        if not more_body:
            self.response_complete = True
            self.message_event.set()
            self.on_response()


def _head(status: int, fields: list[tuple[bytes, bytes]]) -> bytes:
    parts = [STATUS_LINE[status]]
    for name, value in fields:
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n")
    head = b"".join(parts)
    # as many CRLFs as belong there, and no other control character
    if len(head) - len(head.translate(None, CONTROLS)) != 2 * (len(fields) + 2):
        raise ValueError("a control character in the fields of an answer")
    return head
