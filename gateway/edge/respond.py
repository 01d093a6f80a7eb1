"""Terminals that need no upstream: `respond`, the answer to what matches no route, the redirect to https."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Response
from gateway.api.problem import problem
from gateway.api.settings.route import Respond
from gateway.routing.table import NOT_FOUND, Miss

HTTPS = 443


class StaticResponse:
    """`respond: {status, headers, body}`: encoded once."""

    def __init__(self, config: Respond) -> None:
        self._status = config.status
        self._body, content_type = _encoded(config.body)
        self._fields = Headers(
            (name.lower().encode("ascii"), value.encode("latin-1")) for name, value in config.headers.items()
        )
        if content_type and self._fields.get(b"content-type") is None:
            self._fields.insert(0, (b"content-type", content_type))

    async def __call__(self, exchange: Exchange) -> Response:
        return Response(self._status, Headers(self._fields), self._body)


def _encoded(body: Any) -> tuple[bytes, bytes]:
    if body is None:
        return b"", b""
    if isinstance(body, str):
        return body.encode("utf-8"), b"text/plain; charset=utf-8"
    return orjson.dumps(body), b"application/json"


async def unmatched(exchange: Exchange) -> Response:
    """404, or 405 with the methods that the path does have (RFC 9110 §15.5.6)."""
    miss = exchange.kept(Miss) or NOT_FOUND
    if miss.status == 405:
        allow = ", ".join(miss.allow).encode("ascii")
        return problem(
            exchange,
            405,
            "route.method-not-allowed",
            "This path answers other methods; see Allow.",
            ((b"allow", allow),),
        )
    return problem(exchange, 404, "route.not-found", "No API answers here; check the host and the path.")


def redirect_to_https(exchange: Exchange, port: int) -> Response:
    """308: unlike 301, it keeps the method and the body (RFC 9110 §15.4.9)."""
    request = exchange.request
    place = request.host if port == HTTPS else f"{request.host}:{port}"
    target = f"https://{place}{request.path}".encode("ascii")
    if request.query:
        target += b"?" + request.query
    return Response(308, Headers([(b"location", target)]))
