"""Limits over whole gateways: one for several on one Redis, on while it is gone, and what operators see of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from gateway.compile import Compiler
from gateway.compile.registry import installed
from gateway.ops.application import ops_application
from gateway.runtime.standalone import Standalone
from tests.redis_servers import RedisServer

BOUND_S = 20.0

CONFIGURATION = """
version: 1
listen: {host: 127.0.0.1, port: 0}
ops: {port: 0}
log: {access: off}
store: REDIS?timeout=1s
tiers:
  partner: {rate: 1/h, burst: 12, quota: 30/month, concurrency: 90}
consumers:
  acme: {tier: partner, api_keys: [{id: k, sha256: DIGEST}]}
routes:
  - {name: rated, match: {path: /rated}, respond: {body: ok}, policies: {api_key: {}, rate_limit: {}, concurrency: {}}}
  - {name: counted, match: {path: /counted}, respond: {body: ok}, policies: {api_key: {}, quota: {count: all}}}
  - name: strict
    match: {path: /strict}
    respond: {body: ok}
    public: true
    policies: {rate_limit: {per: ip, rate: 1/h, burst: 3, on_store_error: deny}}
  - {name: watched, match: {path: /watched}, respond: {body: ok}, public: true, policies: {rate_limit: {per: ip, rate: 1/h, mode: shadow}}}
"""
KEY = {"X-API-Key": "key"}


@dataclass
class Stage:
    """Two gateways on one Redis."""

    gateways: list[Standalone]
    client: httpx.AsyncClient
    redis: RedisServer

    async def calls(self, path: str, count: int) -> Counter[int]:
        """So many calls at the same time, half of them at each gateway."""
        urls = [self.gateways[number % 2].urls[0] + path for number in range(count)]
        answers = await asyncio.gather(*(self.client.get(url, headers=KEY) for url in urls))
        return Counter(answer.status_code for answer in answers)

    async def limits(self, method: str = "GET", consumer: str = "acme") -> httpx.Response:
        return await self.client.request(method, f"{self.gateways[0].ops_url}/limits", params={"consumer": consumer})

    async def metric(self, line: str) -> bool:
        return line in (await self.client.get(f"{self.gateways[0].ops_url}/metrics")).text

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(BOUND_S):
            while not await holds():
                await asyncio.sleep(0.02)


@pytest.fixture
def own_redis(redis_program: str) -> Any:
    with RedisServer(redis_program) as server:
        yield server


def play(server: str, folder: Path, redis: RedisServer, scene: Callable[[Stage], Awaitable[None]]) -> None:
    text = CONFIGURATION.replace("REDIS", redis.url).replace("DIGEST", hashlib.sha256(b"key").hexdigest())
    (folder / "gateway.yaml").write_text(text)

    async def go() -> None:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=BOUND_S))
            gateways = [
                await stack.enter_async_context(
                    Standalone(Compiler(folder).compile, installed(), server=server, ops_app=ops_application)  # type: ignore[arg-type]
                )
                for _ in range(2)
            ]
            await scene(Stage(gateways, client, redis))

    uvloop.run(go())


def test_two_gateways_hold_one_limit(server: str, tmp_path: Path, own_redis: RedisServer) -> None:
    async def scene(stage: Stage) -> None:
        assert await stage.calls("/rated", 20) == {200: 12, 429: 8}
        assert await stage.calls("/counted", 40) == {200: 30, 429: 10}
        assert await stage.calls("/watched", 5) == {200: 5}
        shown = (await stage.limits()).json()
        assert (shown["consumer"], shown["tier"]) == ("acme", "partner")
        assert {one["policy"]: one["left"] for one in shown["limits"]} == {
            "rate_limit": 0,
            "quota": 0,
            "concurrency": 90,
        }
        assert (await stage.limits("DELETE")).status_code == 200
        assert await stage.calls("/rated", 13) == {200: 12, 429: 1}
        assert (await stage.limits(consumer="nobody")).status_code == 404
        assert (await stage.limits(consumer="")).status_code == 404
        missing = await stage.client.get(f"{stage.gateways[0].ops_url}/limits")
        assert (missing.status_code, missing.json()["code"]) == (400, "ops.limits")

    play(server, tmp_path, own_redis, scene)


def test_without_redis_each_goes_on_with_its_share(server: str, tmp_path: Path, own_redis: RedisServer) -> None:
    async def scene(stage: Stage) -> None:
        processes = 'sluicegate_store_processes{store="'
        await stage.until(lambda: stage.metric(processes))
        await stage.until(lambda: _heard_of_both(stage))
        assert await stage.calls("/strict", 2) == {200: 2}
        stage.redis.stop()
        first = await stage.calls("/rated", 40)
        assert set(first) == {200, 429}
        assert first[200] <= 14  # their shares, and what was on its way
        assert await stage.calls("/strict", 2) == {503: 2}
        stage.redis.start()
        await stage.until(lambda: stage.metric('sluicegate_limits_switches_total{to="store"} 1.0'))
        assert await stage.metric('sluicegate_limits_switches_total{to="local"} 1.0')
        await stage.until(lambda: _merged(stage))
        assert await stage.calls("/rated", 20) == {429: 20}  # what was used meanwhile counts

    async def _heard_of_both(stage: Stage) -> bool:
        text = (await stage.client.get(f"{stage.gateways[0].ops_url}/metrics")).text
        return any(
            line.startswith("sluicegate_store_processes{") and line.endswith(" 2.0") for line in text.splitlines()
        )

    async def _merged(stage: Stage) -> bool:
        for gateway in stage.gateways:
            text = (await stage.client.get(f"{gateway.ops_url}/metrics")).text
            if 'sluicegate_limits_switches_total{to="store"} 1.0' not in text:
                return False
        return True

    play(server, tmp_path, own_redis, scene)
