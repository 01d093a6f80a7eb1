"""One request and its answer on uvicorn, and the connection's flow of octets. Parses nothing; closes nothing itself."""

from __future__ import annotations

from typing import Any, cast

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class HeldFlow(FlowControl):
    """Reads nothing while requests wait for the answers before them: uvicorn would go on as soon as a body is asked for."""

    held = False

    def hold(self) -> None:
        self.held = True
        self.pause_reading()

    def let_go(self) -> None:
        self.held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class ClosingCycle(RequestResponseCycle):
    """One Date; no chunks for HTTP/1.0, whose bodies end with the connection, which is the protocol's to close; trailers."""

    closing = False  # the answer said so: it is the connection's last
    until_close = False

    def leave(self) -> None:
        """The client is gone."""
        if not self.response_complete:
            self.disconnected = True
            self.message_event.set()

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "http.response.start":
            names = {name for name, _ in message["headers"]}
            if b"date" in names:
                self.default_headers = []
            if self.scope["http_version"] == "1.0" and b"content-length" not in names:
                self.until_close = True
                self.chunked_encoding = False
            await super().send(message)
            self.closing = not self.keep_alive
            self.keep_alive = True  # or uvicorn would close at once, whatever the client still sends
        elif self.until_close and message["type"] == "http.response.body":
            await self._send_raw(message.get("body", b""), more_body=message.get("more_body", False))
        elif "trailers" in message and self.chunked_encoding and self._takes_trailers():
            # RFC 9112 §7.1.2; the edge sends them with the end, when all of the body is out
            fields = b"".join(b"%b: %b\r\n" % field for field in cast(dict[str, Any], message)["trailers"])
            await self._send_raw(b"0\r\n%b\r\n" % fields, more_body=False)
        else:
            await super().send(message)

    def _takes_trailers(self) -> bool:
        """RFC 9110 §6.5.1: the caller says that it does not throw them away."""
        codings = b",".join(value for name, value in self.scope["headers"] if name == b"te").lower().split(b",")
        return b"trailers" in (coding.strip(b" \t") for coding in codings)

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
            self.on_response()
