"""The terminal of a route with an adapter: read the body, encode, send, decode. Knows no format."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from gateway.api.adapter import CallAdapter, Codec, Encoded, Reply
from gateway.api.errors import BadReply
from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Headers, Response
from gateway.edge.forward import Forward

T = TypeVar("T")

MAX_REPLY = 16 * 2**20  # octets of an answer that an adapter holds whole


class Adapt:
    """Calls an upstream through an adapter; above a size its work leaves the event loop."""

    def __init__(self, adapter: Codec | CallAdapter, forward: Forward) -> None:
        self._adapter = adapter
        self._forward = forward

    async def __call__(self, exchange: Exchange) -> Response:
        body = await exchange.read_body()
        adapter = self._adapter
        if isinstance(adapter, CallAdapter):
            return await adapter.call(exchange, body, self._send)
        encoded = await _run(adapter.offload_bytes, len(body), partial(adapter.encode, exchange, body))
        reply = await self._send(exchange, encoded)
        return await _run(adapter.offload_bytes, len(reply.body), partial(adapter.decode, exchange, reply))

    async def _send(self, exchange: Exchange, encoded: Encoded) -> Reply:
        own = {name for name, _ in encoded.headers}  # a caller's own SOAPAction must not stand beside the adapter's
        headers = Headers(
            field for field in exchange.request.headers if field[0] not in _OF_THE_BODY and field[0] not in own
        )
        headers.add(b"content-type", encoded.content_type)
        headers.extend(encoded.headers)
        target = encoded.target if encoded.target is not None else self._forward.target(exchange)
        response = await self._forward.call(exchange, encoded.method, target, headers, encoded.body)
        return Reply(response.status, response.headers, await _whole(response.body))


# RFC 9110 §8.3 to §8.8, §12.5: they describe the caller's body, or ask for codings that the adapter cannot read
_OF_THE_BODY = frozenset(
    (
        b"content-type",
        b"content-encoding",
        b"content-language",
        b"content-md5",
        b"digest",
        b"accept",
        b"accept-encoding",
        b"soapaction",  # SOAP 1.1 §6.1.1; servers that speak 1.2 look at it too
    )
)


async def _run(offload_bytes: int, size: int, work: Callable[[], T]) -> T:
    return work() if size < offload_bytes else await asyncio.to_thread(work)


async def _whole(body: bytes | Body) -> bytes:
    if isinstance(body, bytes):
        return body
    pieces = []
    size = 0
    try:
        while piece := await body.read():
            size += len(piece)
            if size > MAX_REPLY:
                raise BadReply("the answer is longer than an adapter holds")
            pieces.append(piece)
    finally:
        body.close()
    return b"".join(pieces)
