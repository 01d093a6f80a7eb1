"""The end of most chains: the request as the upstream shall see it, sent, and its answer on the way back."""

from __future__ import annotations

import time
from collections.abc import Awaitable

from gateway.api.errors import RequestRefused, Unmappable, UpstreamError
from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Correlation, Headers, Response, UpstreamRequest
from gateway.edge.affinity import Affinity
from gateway.edge.file_names import NamesOf
from gateway.edge.websocket import HANDSHAKE, WebSocket
from gateway.http.hop_by_hop import forwards_left
from gateway.routing.rewrite import PathOf
from gateway.telemetry.metrics import Histogram
from gateway.upstream.credentials import Recipient
from gateway.upstream.websocket import UpstreamSocket

# Written anew for each upstream call; a caller's own are never passed on as they came
_REWRITTEN = frozenset((b"host", b"content-length", b"expect", b"x-request-id"))
_VIA, _VIA_OLD = (b"via", b"1.1 sluicegate"), (b"via", b"1.0 sluicegate")  # by what the request came in
TIME_LEFT = b"x-request-timeout-ms"


class Forward:
    """Forwards an exchange to one upstream. A terminal: called once for each try."""

    def __init__(
        self,
        upstream: Recipient,
        seconds: Histogram,
        path_of: PathOf | None,
        *,
        replayable: bool,
        affinity: Affinity | None = None,
        names_of: NamesOf | None = None,
        send_deadline: bool = False,
    ) -> None:
        self._send = upstream.send
        self._open_websocket = upstream.open_websocket
        self._name = upstream.name
        self._seconds = seconds
        self._replayable = replayable
        self._path_of = path_of
        self._affinity = affinity
        self._names_of = names_of
        self._send_deadline = send_deadline
        self._clock = time.monotonic

    def __call__(self, exchange: Exchange) -> Awaitable[Response]:
        request = exchange.request
        if exchange.state is not None and WebSocket in exchange.state:
            return self._upgrade(exchange)
        if request.method == "OPTIONS" and (left := forwards_left(request.headers)) is not None:
            return self._options(exchange, left)
        return self.call(exchange, request.method, self.target(exchange), request.headers, request.body)

    def target(self, exchange: Exchange) -> bytes:
        """The origin-form target for the upstream: rewritten path, the caller's query byte for byte."""
        request = exchange.request
        path_of = self._path_of
        path = request.path.encode("ascii") if path_of is None else path_of(request.path)
        return path + b"?" + request.query if request.query else path

    async def call(
        self,
        exchange: Exchange,
        method: str,
        target: bytes,
        headers: Headers,
        body: Body | bytes | None,
        correlation: Correlation | None = None,
    ) -> Response:
        """One upstream call of this exchange. Raises UpstreamError."""
        request = exchange.request
        outgoing = self._outgoing(exchange, method, target, headers, body)
        if correlation is not None:
            outgoing.correlation = correlation
        started = self._clock()
        exchange.upstream = self._name
        deadline = min(exchange.deadline, started + exchange.attempt_s)
        if self._send_deadline:
            outgoing.headers.set(TIME_LEFT, b"%d" % max(0, (deadline - started) * 1000))
        sent, exchange.sent = exchange.sent, True  # unless the upstream client guarantees that no byte left
        try:
            return await self._send(outgoing, deadline, replayable=self._replayable)
        except UpstreamError as fault:
            if not fault.sent:
                exchange.sent = sent
            raise
        except (RequestRefused, Unmappable):
            # Nothing left of what was whole and could not be written; and a folder gets all of a call or nothing
            if not isinstance(body, Body) or self._names_of is not None:
                exchange.sent = sent
            raise
        finally:
            if request.body is body:
                request.body = outgoing.body  # bytes, when it was whole with its first piece: another try can send it
            seconds = self._clock() - started
            exchange.upstream_s += seconds
            self._seconds.observe(seconds)

    async def _options(self, exchange: Exchange, left: int) -> Response:
        """RFC 9110 §7.6.2: counted at each hop; where nothing is left the request is answered."""
        if not left:
            return Response(204, Headers())
        request = exchange.request
        headers = Headers(request.headers)
        headers.set(b"max-forwards", b"%d" % (left - 1))
        return await self.call(exchange, request.method, self.target(exchange), headers, request.body)

    async def _upgrade(self, exchange: Exchange) -> Response:
        """The handshake of a WebSocket; whatever the upstream answers to it."""
        request = exchange.request
        headers = Headers(field for field in request.headers if field[0] not in HANDSHAKE)
        outgoing = self._outgoing(exchange, "GET", self.target(exchange), headers, None)
        subprotocols = b", ".join(request.headers.get_all(b"sec-websocket-protocol"))
        started = self._clock()
        exchange.upstream = self._name
        deadline = min(exchange.deadline, started + exchange.attempt_s)
        sent, exchange.sent = exchange.sent, True
        try:
            response = await self._open_websocket(outgoing, subprotocols or None, deadline)
        except UpstreamError as fault:
            if not fault.sent:
                exchange.sent = sent
            raise
        finally:
            seconds = self._clock() - started
            exchange.upstream_s += seconds
            self._seconds.observe(seconds)
        socket, caller = response.body, exchange.kept(WebSocket)
        if isinstance(socket, UpstreamSocket) and caller is not None:
            caller.carry(socket)
        return response

    def _outgoing(
        self, exchange: Exchange, method: str, target: bytes, headers: Headers, body: Body | bytes | None
    ) -> UpstreamRequest:
        fields = Headers([(b"host", exchange.request.authority)])
        fields += [field for field in headers if field[0] not in _REWRITTEN]
        fields.append((b"x-request-id", exchange.request_id.encode("ascii")))
        # RFC 9110 §7.6.3: a gateway MUST; after those of the hops before it
        fields.append(_VIA if exchange.request.http_version == "1.1" else _VIA_OLD)
        outgoing = UpstreamRequest(method, target, fields, body, exchange.on_slow, exchange.tried)
        outgoing.before = exchange.before_send
        outgoing.on_interim = exchange.on_interim
        if self._affinity is not None:
            outgoing.affinity = self._affinity(exchange)
        if self._names_of is not None:
            outgoing.file = self._names_of(exchange)
        return outgoing
