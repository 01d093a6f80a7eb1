"""What stands behind the gateway in a load test: the demo's orders, SOAP service and mainframe, and a few answers more.

python -m loadtests.load.upstreams       prints {"http": URL, "mainframe": URL} as one line of JSON, then serves until it ends

POST /orders          counts what was executed, by the order's item; GET /-/ledger tells
GET /profile          the name of the caller, from the token that the gateway passed on; private
GET /products/{n}     1 KB that anyone may store
GET /events           server-sent events, one a second, each with the caller's name
WebSocket /socket     says again what it is told, behind the caller's name
"""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.demo import mainframe, orders, stock
from loadtests.load.known import EVENT_EVERY_S, product

KEPT_ORDERS = 200_000  # a partner reads what it wrote a while ago


class Ledger:
    """Counts the orders that `app` has accepted, by their item: what a caller names differently each time stands here once."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.executed: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        created = False

        async def noting(message: Message) -> None:
            nonlocal created
            if message["type"] == "http.response.start":
                created = message["status"] == 201
            elif created and message.get("body"):
                self.executed[json.loads(message["body"])["item"]] += 1
            await send(message)

        await self.app(scope, receive, noting)


def caller_of(headers: Headers) -> str:
    """The subject of the bearer token, which the gateway has verified; `-` without one."""
    parts = headers.get("authorization", "").removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return "-"
    return str(json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))["sub"])


async def _profile(request: Request) -> JSONResponse:
    return JSONResponse({"caller": caller_of(request.headers)}, headers={"cache-control": "private, max-age=2"})


async def _product(request: Request) -> JSONResponse:
    return JSONResponse(product(request.path_params["n"]), headers={"cache-control": "public, max-age=30"})


async def _events(request: Request) -> StreamingResponse:
    async def events(caller: str) -> AsyncIterator[bytes]:
        number = 0
        while True:
            yield f"id: {number}\ndata: {json.dumps({'n': number, 'caller': caller})}\n\n".encode()
            number += 1
            await asyncio.sleep(EVENT_EVERY_S)

    return StreamingResponse(
        events(caller_of(request.headers)), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


async def _socket(websocket: WebSocket) -> None:
    await websocket.accept()
    caller = caller_of(websocket.headers)
    try:
        while True:
            await websocket.send_text(f"{caller}: {await websocket.receive_text()}")
    except WebSocketDisconnect:
        return


def application() -> Starlette:
    orders.MAX_ORDERS = KEPT_ORDERS
    ledger = Ledger(orders.DemoOrders().app)

    async def told(request: Request) -> JSONResponse:
        return JSONResponse(ledger.executed)

    return Starlette(
        routes=[
            Route("/-/ledger", told),
            Route("/profile", _profile),
            Route("/products/{n:int}", _product),
            Route("/events", _events),
            WebSocketRoute("/socket", _socket),
            *stock.app.routes,
            Mount("/", ledger),
        ]
    )


async def serve() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = uvicorn.Config(
        application(), log_level="error", access_log=False, ws="wsproto", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)

    def stop() -> None:
        server.should_exit = True

    async with mainframe.served() as records:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        print(json.dumps({"http": f"http://127.0.0.1:{listener.getsockname()[1]}", "mainframe": records}), flush=True)
        await serving


if __name__ == "__main__":
    asyncio.run(serve())
