"""A data plane of a few lines: what the servers, the supervisor and the drain are tested with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from gateway.api.settings.document import Settings
from gateway.compile.plan import Plan
from gateway.runtime.delta import Delta


class StubPlane:
    """Answers with its version and process; some paths misbehave on purpose."""

    def __init__(self) -> None:
        self.draining = False
        self.version = ""
        self.routes: dict[str, Any] = {}
        self.busy = 0
        self.served = 0
        self.closed = False
        self.hold = asyncio.Event()  # requests to /hold wait for it
        self.held = asyncio.Event()  # set when one does

    def app(self, listener: int) -> Any:
        return self._answer

    def close_websockets(self) -> bool:
        """There are none."""
        return True

    def in_flight(self) -> int:
        return self.busy

    def unfinished(self) -> int:
        """Nothing outlives an exchange here."""
        return 0

    async def prepare(self, delta: Delta) -> Delta:
        if "on-next-start-deadly" in delta.routes and delta.base is None:
            os._exit(4)
        if "unbuildable-beside-another" in delta.routes and delta.base is not None:
            raise ValueError("a fresh worker could")
        if "unbuildable" in delta.routes:
            raise ValueError("route unbuildable cannot be built")
        if "deadly" in delta.routes:
            os._exit(3)
        if "endless" in delta.routes:
            await asyncio.Event().wait()
        return delta

    def commit(self, prepared: object) -> None:
        assert isinstance(prepared, Delta)
        assert prepared.base in (None, self.version), "a delta is against what is served"
        self.version = prepared.version
        for name in prepared.gone_routes:
            del self.routes[name]
        self.routes.update(prepared.routes)

    def spread_by(self, spread: object) -> None:
        self.spread = spread

    def discard(self, prepared: object) -> None:
        assert isinstance(prepared, Delta)

    def dependencies(self) -> dict[str, bool]:
        return {}

    async def counters(self) -> object:
        return {"pid": os.getpid(), "served": self.served, "version": self.version, "busy": self.busy}

    async def purge(self, request: object) -> object:
        return ("done", request, os.getpid())

    async def close(self) -> None:
        self.closed = True

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        self.busy += 1
        try:
            await self._respond(scope, receive, send)
        finally:
            self.busy -= 1
            self.served += 1

    async def _respond(self, scope: Any, receive: Any, send: Any) -> None:
        version, path = self.version, scope["path"]
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message.get("more_body", False)
        if path == "/hold":
            self.held.set()
            await self.hold.wait()
        if path == "/exit":
            os._exit(9)
        headers = [(b"server", b"stub"), (b"x-version", version.encode()), (b"x-pid", b"%d" % os.getpid())]
        if self.draining:
            headers.append((b"connection", b"close"))
        if path == "/dated":
            headers.append((b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"))
        if path.startswith("/cut"):
            if path == "/cut-length":
                headers.append((b"content-length", b"100"))
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"some", "more_body": True})
            raise RuntimeError("the upstream broke off")
        if path == "/chunks":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for piece in (b"one", b"two", b""):
                await send({"type": "http.response.body", "body": piece, "more_body": bool(piece)})
            return
        if path == "/routes":
            answer = ",".join(sorted(self.routes)).encode()
        elif path == "/scope":
            host = [value for name, value in scope["headers"] if name == b"host"]
            answer = repr(
                (host, scope["raw_path"], scope["query_string"], scope.get("extensions", {}).get("tls"))
            ).encode()
        else:
            answer = body or b"ok"
        headers.append((b"content-length", b"%d" % len(answer)))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


@dataclass(frozen=True)
class StubRoute:
    """Stands for a RoutePlan where only the fingerprint counts."""

    name: str
    fingerprint: bytes
    adapter: None = None
    policies: tuple[()] = ()


def make(workers: int) -> StubPlane:
    """What workers call; see gateway.runtime.worker.PlaneFactory."""
    return StubPlane()


def plan_of(
    version: str = "v1", routes: Sequence[str] = (), drain: object = None, ops: object = None, **listen: object
) -> Plan:
    """A plan without any configuration behind it; a route is `name` or `name:fingerprint`."""
    settings = Settings.model_validate(
        {
            "version": 1,
            "ops": ops or {"port": 0},
            "listen": {"host": "127.0.0.1", "port": 0, **listen},
            "drain": drain or {"delay": "100ms", "timeout": "5s"},
        }
    )
    entries = {}
    for route in routes:
        name, _, mark = route.partition(":")
        entries[name] = StubRoute(name, mark.encode())
    return Plan(version, settings, cast(Any, entries), {}, {}, {}, ())
