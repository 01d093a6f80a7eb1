"""The end of most chains: the request as the upstream shall see it, sent, and its answer on the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Headers, Response, UpstreamRequest
from gateway.http.forwarded import ProxyRules
from gateway.http.hop_by_hop import REQUEST_HOP, strip_request
from gateway.telemetry.metrics import Histogram

# Written anew for each upstream call; a caller's own are never passed on as they came
_REWRITTEN = REQUEST_HOP | {b"host", b"content-length", b"expect", b"x-request-id"}
_OURS = frozenset((b"server", b"x-request-id"))  # in answers: the edge writes its own

Target = Callable[[str, Mapping[str, str]], bytes]
"""The upstream's path from the request's path and the names that it matched."""


class Caller(Protocol):
    """An upstream, as far as forwarding needs it."""

    name: str

    async def send(self, request: UpstreamRequest, deadline: float) -> Response: ...


class Forward:
    """Forwards an exchange to one upstream. A terminal: called once for each try."""

    def __init__(self, upstream: Caller, seconds: Histogram, proxy: ProxyRules, target: Target | None) -> None:
        self._send = upstream.send
        self._name = upstream.name
        self._seconds = seconds
        self._proxy = proxy
        self._target = target
        self._clock = asyncio.get_running_loop().time

    async def __call__(self, exchange: Exchange) -> Response:
        request = exchange.request
        return await self.call(exchange, request.method, self.target(exchange), request.headers, request.body)

    def target(self, exchange: Exchange) -> bytes:
        """The origin-form target for the upstream: rewritten path, the caller's query byte for byte."""
        request = exchange.request
        rewrite = self._target
        path = request.path.encode("ascii") if rewrite is None else rewrite(request.path, exchange.params)
        return path + b"?" + request.query if request.query else path

    async def call(
        self, exchange: Exchange, method: str, target: bytes, headers: Headers, body: Body | bytes | None
    ) -> Response:
        """One upstream call of this exchange. Raises UpstreamError."""
        request = exchange.request
        fields = strip_request(headers)
        fields[:] = [field for field in fields if field[0] not in _REWRITTEN]
        fields.insert(0, (b"host", request.authority))
        fields.append((b"x-request-id", exchange.request_id.encode("ascii")))
        self._proxy.onward(request, fields)
        outgoing = UpstreamRequest(method, target, fields, body, exchange.on_slow)
        started = self._clock()
        exchange.upstream = self._name
        try:
            response = await self._send(outgoing, min(exchange.deadline, started + exchange.attempt_s))
        finally:
            seconds = self._clock() - started
            exchange.upstream_s += seconds
            self._seconds.observe(seconds)
        response.headers[:] = [field for field in response.headers if field[0] not in _OURS]
        return response
