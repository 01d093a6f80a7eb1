"""A breaker that workers share, by themselves or through a store: who opens it opens it everywhere, one sends probes, all close."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.compile.plan import Plan
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.inprocess import Gateway
from gateway.testing.upstream import Peer, ScriptedUpstream
from tests.redis_servers import RedisServer
from tests.wire.plays import PATIENCE_S, _specs, plan_of


class Flaky:
    """A script: resets connections while `broken`, else answers."""

    def __init__(self) -> None:
        self.broken = False

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        if not self.broken:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        peer.close()


async def status_of(gateway: Gateway) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.listeners[0].port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    head = await reader.read(20)
    writer.close()
    return int(head[9:12])


def plan(folder: Path, upstream: str, store: str) -> Plan:
    return plan_of(
        folder,
        {
            "version": 1,
            "listen": {"host": "127.0.0.1", "port": 0},
            "log": {"access": "off"},
            "upstreams": {
                "orders": {
                    "targets": [upstream],
                    "policies": {"breaker": {"failures": 1, "open": "600ms", "store": store}},
                }
            },
            "routes": [{"name": "all", "match": {"path": "/**"}, "upstream": "orders", "public": True}],
        },
    )


def connected(planes: tuple[WorkerPlane, WorkerPlane], running: list[asyncio.Future[object]]) -> None:
    """What the supervisor does for workers: what one spreads the other carries out."""
    for plane, other in zip(planes, reversed(planes), strict=True):
        plane.spread_by(lambda order, other=other: running.append(asyncio.ensure_future(other.purge(order))))


@pytest.mark.parametrize("kind", ["redis", "sqlite", "memory"])
def test_workers_share_it(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    if kind == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        store = server.url
    else:
        store = {"sqlite": f"sqlite://{tmp_path}/shared.db", "memory": "memory"}[kind]
    flaky = Flaky()
    running: list[asyncio.Future[object]] = []

    async def play() -> None:
        async with asyncio.timeout(3 * PATIENCE_S), ScriptedUpstream(*[flaky] * 20_000) as upstream:
            compiled = plan(tmp_path, upstream.url, store)
            planes = WorkerPlane(_specs()), WorkerPlane(_specs())
            connected(planes, running)
            one, other = (Gateway(compiled, plane, server="uvicorn") for plane in planes)
            async with one, other:
                assert await status_of(other) == 200
                flaky.broken = True
                assert await status_of(one) == 502
                flaky.broken = False
                while await status_of(other) == 200:  # the upstream is well again, and only the record says open
                    pass
                assert await status_of(other) == 503
                while await status_of(one) != 200:  # the probe
                    pass
                while await status_of(other) != 200:
                    pass

    asyncio.run(play())
