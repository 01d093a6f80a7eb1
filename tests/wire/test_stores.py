"""The gateway beside a Redis that comes and goes: what callers get, and what operators see."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.runtime.reload import Abandoned
from gateway.runtime.standalone import NotServedError
from gateway.testing.upstream import ScriptedUpstream, answering
from tests.redis_servers import RedisServer, free_port
from tests.wire.test_standalone import play, standalone

CONFIGURATION = """
version: 1
listen: {host: 127.0.0.1, port: 0}
ops: {port: 0, ready_requires: [shared]}
log: {access: off}
stores: {shared: "redis://127.0.0.1:REDIS/0?timeout=2s"}
store: shared
upstreams: {orders: {targets: ["UPSTREAM"]}}
routes:
  - {name: create, match: {path: /orders}, public: true, upstream: orders, policies: {idempotency: {scope: route}}}
"""
CREATED = b'HTTP/1.1 201 Created\r\ncontent-length: 8\r\n\r\n{"id":7}'


def write(folder: Path, redis_port: int, upstream: str) -> None:
    text = CONFIGURATION.replace("REDIS", str(redis_port)).replace("UPSTREAM", upstream)
    (folder / "gateway.yaml").write_text(text)


async def until_ready(client: httpx.AsyncClient, ops: str, *, ready: bool) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while True:
            answer = await client.get(f"{ops}/readyz")
            shown: dict[str, Any] = answer.json()
            if shown["stores"] == {"shared": ready}:
                assert answer.status_code == (200 if ready else 503)
                return shown
            await asyncio.sleep(0.01)


def test_it_begins_without_its_store_and_uses_it_whenever_it_is_there(
    tmp_path: Path, redis_program: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "sluicegate.store")
    port = free_port()

    async def scene(client: httpx.AsyncClient) -> None:
        async with ScriptedUpstream(answering(CREATED)) as upstream:
            write(tmp_path, port, upstream.url)
            async with standalone(tmp_path) as gateway:

                async def post(key: str) -> httpx.Response:
                    return await client.post(f"{gateway.urls[0]}/orders", headers={"idempotency-key": key}, json={})

                await until_ready(client, gateway.ops_url, ready=False)
                refused = await post("a")
                assert (refused.status_code, refused.json()["code"]) == (503, "idempotency.store-unavailable")
                assert 'sluicegate_store_degraded{store="shared"} 1.0' in await metrics(client, gateway.ops_url)
                with RedisServer(redis_program, port=port) as server:
                    await until_ready(client, gateway.ops_url, ready=True)
                    assert (await post("a")).status_code == 201
                    assert (await post("a")).headers["idempotency-replayed"] == "true"
                    server.stop()
                    assert (await post("a")).status_code == 503
                    await until_ready(client, gateway.ops_url, ready=False)
                    server.start()
                    await until_ready(client, gateway.ops_url, ready=True)
                    assert (await post("b")).status_code == 201
                    told = await metrics(client, gateway.ops_url)
                    assert 'sluicegate_store_degraded{store="shared"} 0.0' in told
                    assert 'sluicegate_store_switches_total{store="shared"} 1.0' in told
                    assert 'sluicegate_store_processes{store="shared"} 1.0' in told
                    assert 'status="500"' not in told

    play(scene)
    assert "store shared is away" in caplog.messages[0]
    assert sum("is back" in message for message in caplog.messages) == 2


def test_it_does_not_begin_on_a_store_that_drops_what_must_last(tmp_path: Path, redis_program: str) -> None:
    async def scene(client: httpx.AsyncClient) -> None:
        with RedisServer(redis_program, "--maxmemory-policy", "allkeys-lru") as server:
            write(tmp_path, server.port, "http://127.0.0.1:9")
            with pytest.raises(NotServedError) as refused:
                async with standalone(tmp_path):
                    pass
            assert isinstance(refused.value.outcome, Abandoned)
            assert "store shared: it drops keys when its memory is full" in refused.value.outcome.reason

    play(scene)


def test_a_store_that_nobody_names_any_more_is_left(tmp_path: Path, redis_server: RedisServer) -> None:
    async def scene(client: httpx.AsyncClient) -> None:
        write(tmp_path, redis_server.port, "http://127.0.0.1:9")
        async with standalone(tmp_path) as gateway:
            await until_ready(client, gateway.ops_url, ready=True)
            assert connections(redis_server) == 1
            file = tmp_path / "gateway.yaml"
            file.write_text(file.read_text().replace("idempotency: {scope: route}", "idempotency: off"))
            assert (await client.post(f"{gateway.ops_url}/reload")).status_code == 200
            async with asyncio.timeout(10):
                while connections(redis_server):
                    await asyncio.sleep(0.01)
            assert (await client.get(f"{gateway.ops_url}/readyz")).json()["stores"] == {}

    play(scene)


def connections(server: RedisServer) -> int:
    return str(server.ask("CLIENT", "LIST")).count(" name=sluicegate ")


async def metrics(client: httpx.AsyncClient, ops: str) -> str:
    return (await client.get(f"{ops}/metrics")).text
