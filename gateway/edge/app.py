"""The data plane's ASGI callable: a request's whole path, top to bottom. docs/life-of-a-request.md walks through it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any

from gateway.api.exchange import Exchange, Outcome
from gateway.api.messages import Request, Response
from gateway.edge import faults
from gateway.edge.body import Receive, RequestBody
from gateway.edge.receive import Receiver
from gateway.edge.send import INTERIM, Send, deliver, interim_way
from gateway.edge.snapshot import Cell, LiveRoute, Snapshot
from gateway.edge.websocket import WebSocket
from gateway.routing.table import Match

CLIENT_CLOSED_REQUEST = 499  # nginx's number for a caller that left before it was answered


class Edge:
    """Answers the requests of one listener."""

    def __init__(self, cell: Cell, receiver: Receiver) -> None:
        self.receiver = receiver
        self._cell = cell
        self._clock = time.monotonic  # the base of the loop's clock, which under uvloop only knows whole milliseconds

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Receive,
        send: Send,
        websocket: WebSocket | None = None,
    ) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await self._upgrade(scope, receive, send)
            return
        cell = self._cell
        snapshot = cell.current  # 1: this request never sees another configuration
        assert snapshot is not None, "listeners open after the first configuration is live"
        snapshot.users += 1
        cell.metrics.in_flight += 1
        exchange = self.receiver.open(scope, receive, snapshot, self._clock())  # 2
        if websocket is None and INTERIM in scope.get("extensions", ()):
            exchange.on_interim = interim_way(exchange, send)
        route = snapshot.unmatched
        response: Response | None = None
        complete = False
        try:
            try:
                self.receiver.settle(exchange, scope, snapshot)
                if websocket is not None:
                    websocket.check(exchange.request)
                    exchange.keep(websocket)
                request = exchange.request
                found = snapshot.table.match(request.host, request.path, request.method, request.headers, request.query)
                if type(found) is not Match and request.method == "OPTIONS":
                    found = _preflighted(snapshot, request) or found
                if type(found) is Match:  # 3
                    route = found.route
                    exchange.route = route.name
                    exchange.params = found.params
                else:
                    exchange.keep(found)
                response = await route.handle(exchange)  # 4
            except BaseException as fault:
                response = faults.answer(exchange, fault)
                # Its frames hold the exchange, and one of them the future that holds the fault: no collector, no end
                fault.__traceback__ = None
            if response is not None:
                await deliver(  # 5
                    exchange,
                    response,
                    send,
                    cell.streams,
                    route,
                    draining=cell.draining,
                    stream_max_s=snapshot.stream_max_s,
                )
                complete = True
        except asyncio.CancelledError:
            if not exchange.client_gone:
                raise
        finally:  # 6
            sent = exchange.request.body
            self._finish(exchange, route, response, complete=complete)
            exchange.forget()
            cell.metrics.in_flight -= 1
            snapshot.release()
        if complete and websocket is None and type(sent) is RequestBody and not sent.ended:
            await sent.read_away()

    async def _upgrade(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        websocket = WebSocket(receive, send)
        self._cell.websockets.add(websocket)
        try:
            await websocket.serve(scope, self)
        finally:
            self._cell.websockets.discard(websocket)

    def _finish(self, exchange: Exchange, route: LiveRoute, response: Response | None, *, complete: bool) -> None:
        if exchange.closers is not None:
            for close in reversed(exchange.closers):
                close()
        status = CLIENT_CLOSED_REQUEST if response is None else response.status
        seconds = self._clock() - exchange.started
        principal = exchange.principal
        route.metrics.observe(exchange.request.method, status, "" if principal is None else principal.tier, seconds)
        if route.observers:
            outcome = Outcome(status, exchange.bytes_out, seconds, exchange.upstream_s, complete)
            for observer in route.observers:
                observer.observe(exchange, outcome)
        if self._cell.access_log is not None:
            self._cell.access_log.write(exchange, status, seconds, complete=complete)


def _preflighted(snapshot: Snapshot, request: Request) -> Match[LiveRoute] | None:
    """The route that a CORS preflight asks about; its `cors` answers (Fetch standard, CORS-preflight fetch)."""
    method = request.headers.get(b"access-control-request-method")
    if method is None or request.headers.get(b"origin") is None:
        return None
    found = snapshot.table.match(request.host, request.path, method.decode("latin-1"), None, request.query)
    return found if isinstance(found, Match) and found.route.preflights else None
