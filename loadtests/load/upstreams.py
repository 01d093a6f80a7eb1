"""What stands behind the gateway in a load test: the demo's orders, SOAP service and mainframe, and a few answers more.

python -m loadtests.load.upstreams [--port N] [--records-port N] [--orders FILE]

prints {"http": URL, "mainframe": URL} as one line of JSON, then serves until SIGTERM: it takes no more connections, ends those that it has with their next
answer, and is gone a second later. Several processes of one FILE have the same orders.

POST /orders          executes; GET /-/ledger tells how often, by the order's item
GET /profile          the name of the caller, from the token that the gateway passed on; private
GET /products/{n}     1 KB that anyone may store
GET /events           server-sent events, one a second, each with the caller's name
WebSocket /socket     says again what it is told, behind the caller's name
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.demo import mainframe, stock
from loadtests.load.kept_orders import KeptOrders
from loadtests.load.known import EVENT_EVERY_S, product

LEAVE_S = 1.0


class Leaving:
    """Tells whoever calls to come on a new connection, once `now` is set: nobody then finds one closed that it wants to use."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.now = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def telling(message: Message) -> None:
            if self.now and message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self.app(scope, receive, telling)


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


def application(orders: KeptOrders) -> Starlette:
    async def told(request: Request) -> JSONResponse:
        return JSONResponse(orders.executed())

    return Starlette(
        routes=[
            Route("/-/ledger", told),
            Route("/profile", _profile),
            Route("/products/{n:int}", _product),
            Route("/events", _events),
            WebSocketRoute("/socket", _socket),
            *stock.app.routes,
            Mount("/", orders.app),
        ]
    )


async def serve(port: int, records_port: int, file: Path) -> None:
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    app = Leaving(application(KeptOrders(file)))
    config = uvicorn.Config(app, log_level="error", access_log=False, ws="wsproto", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    asked = asyncio.Event()
    async with mainframe.served(records_port) as records:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)  # after the server's own
        at = listener.getsockname()
        print(json.dumps({"http": f"http://127.0.0.1:{at[1]}", "mainframe": records}), flush=True)
        await asked.wait()
        app.now = True
        for accepting in server.servers:
            accepting.close()
        listener.close()
        await asyncio.sleep(LEAVE_S)
        server.should_exit = True
        await serving


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--records-port", type=int, default=0)
    parser.add_argument("--orders", type=Path, metavar="FILE", help="default: a file of its own")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluicegate-orders-") as folder:
        asyncio.run(serve(options.port, options.records_port, options.orders or Path(folder) / "orders.sqlite"))


if __name__ == "__main__":
    main()
