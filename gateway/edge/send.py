"""Sends answers: the last fields, the body whole or piece by piece, and nothing after the caller has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, MutableMapping
from typing import Any

from gateway.api.errors import GatewayFault, UpstreamError
from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Headers, OnInterim, Response
from gateway.edge.body import RequestBody
from gateway.edge.streams import Stream, Streams

INTERIM = "sluicegate.interim"
"""Extension of servers whose `send` takes `http.response.interim` before the answer: `status` and `headers` of a 1xx."""

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SERVER = (b"server", b"sluicegate")
CLOSE = (b"connection", b"close")
_OURS = frozenset((b"connection", b"server", b"x-request-id"))  # whatever an upstream or a policy says of them
# Fields of which an answer may have several; all others that a policy adds replace the upstream's own
_COMBINED = frozenset((b"vary", b"set-cookie", b"www-authenticate", b"link", b"cache-status"))


class CutOff(GatewayFault):
    """The answer's head is out and its body broke: only cutting the connection tells the caller so (RFC 9112 §8)."""


async def deliver(
    exchange: Exchange,
    response: Response,
    send: Send,
    streams: Streams,
    route: Hashable,
    *,
    draining: bool,
    stream_max_s: float,
) -> None:
    """Send the whole of `response`, as the answer of `route`. Raises CutOff when its body broke off: the server then
    cuts the connection. A body that has not ended when `streams` or `stream_max_s` says so is broken off too.
    """
    headers = response.headers
    if exchange.response_headers:
        _merge(headers, exchange.response_headers)
    body = response.body
    status = response.status
    whole = type(body) is bytes
    bodiless = exchange.request.method == "HEAD" or status in (204, 304)
    fields: list[tuple[bytes, bytes]] = []
    # RFC 9110 §8.6: nothing is known of a body that was not asked for; §15: 204 and 304 have none
    framed = not whole or (bodiless and (not body or exchange.request.method != "HEAD"))
    for field in headers:
        name = field[0]
        if name not in _OURS:
            fields.append(field)
            if name == b"content-length":
                framed = True
        elif name == b"connection":  # a refusal's own: end-to-end answers have none
            draining = True
    sent = exchange.request.body
    if type(sent) is RequestBody and sent.obstructs:
        draining = True
    if not framed:
        fields.append((b"content-length", b"%d" % len(body)))  # type: ignore[arg-type]  # bytes, tested above
    fields.append((b"x-request-id", exchange.request_id.encode("ascii")))
    fields.append(SERVER)
    if draining:
        fields.append(CLOSE)
    await send({"type": "http.response.start", "status": status, "headers": fields})
    if whole:
        if bodiless:
            body = b""
        exchange.bytes_out = len(body)  # type: ignore[arg-type]
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return
    assert isinstance(body, Body), "a body is bytes or a Body"
    if bodiless:
        body.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    stream = streams.begin(exchange, route, stream_max_s)
    try:
        await _stream(exchange, body, send, stream, flush=status != 101)  # a WebSocket's empty piece is a message
    finally:
        streams.end(stream)
        body.close()


def interim_way(exchange: Exchange, send: Send) -> OnInterim:
    """Passes on an upstream's interim answers, which RFC 9110 §15.2 asks of proxies. No policy sees them."""

    def pass_on(status: int, headers: Headers) -> None:
        fields = [field for field in headers if field[0] not in _OURS]
        message = {"type": "http.response.interim", "status": status, "headers": fields}
        exchange.on_close(asyncio.ensure_future(send(message)).cancel)

    return pass_on


async def _stream(exchange: Exchange, body: Body, send: Send, stream: Stream, *, flush: bool) -> None:
    task = asyncio.current_task()
    assert task is not None, "requests run in tasks"
    exchange.on_slow(lambda _: task.cancel())
    try:
        if flush:  # Granian keeps a head back until something of the body was sent, be it nothing
            await send({"type": "http.response.body", "body": b"", "more_body": True})
        while piece := await body.read():
            if exchange.client_gone:  # after a disconnect `send` does nothing and says nothing, on both servers
                raise CutOff
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            exchange.bytes_out += len(piece)
        end: dict[str, Any] = {"type": "http.response.body", "body": b"", "more_body": False}
        if body.trailers is not None:
            end["trailers"] = body.trailers  # our own word: a server without a way for them takes no notice
        await send(end)
    except UpstreamError as exc:
        exchange.note(f"upstream.{exc.cause.value}")
        exc.__traceback__ = None  # its frames hold the body that holds it
        raise CutOff from exc
    except asyncio.CancelledError:
        if stream.ended_by and not task.uncancel():
            exchange.note(stream.ended_by)
            raise CutOff(stream.ended_by) from None
        raise


def _merge(headers: Headers, added: list[tuple[bytes, bytes]]) -> None:
    """What policies add replaces the upstream's own fields of these names, but for fields that combine."""
    names = dict(added).keys() - _COMBINED
    for field in headers:
        if field[0] in names:
            headers[:] = [field for field in headers if field[0] not in names]
            break
    for field in added:
        if field[0] == b"vary":
            headers.set(b"vary", _vary([*headers.get_all(b"vary"), field[1]]))
        else:
            headers.append(field)


def _vary(values: list[bytes]) -> bytes:
    """One list without repeated members (RFC 9110 §12.5.5); field names in it ignore case."""
    members = {member.strip().lower(): member.strip() for member in b",".join(values).split(b",")}
    members.pop(b"", None)
    return b", ".join(members.values())
