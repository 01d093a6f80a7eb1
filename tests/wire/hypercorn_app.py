"""What an HTTP/2 server of other authors runs in tests: a WebSocket that says how it was reached, then echoes; GET is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Event = MutableMapping[str, Any]


async def app(scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]) -> None:
    match scope["type"]:
        case "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        case "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
            await send({"type": "http.response.body", "body": scope["http_version"].encode().ljust(3)})
        case "websocket":
            await receive()
            if scope["path"] == "/refused":
                await send({"type": "websocket.close", "code": 1008})
                return
            await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
            await send({"type": "websocket.send", "text": f"{scope['scheme']} over HTTP/{scope['http_version']}"})
            while (event := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "bytes": event.get("bytes"), "text": event.get("text")})
