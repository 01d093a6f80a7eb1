"""The configuration as shipped, in real processes, on both servers: it serves, reloads, and bears with what goes wrong."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path

import httpx
import pytest
import uvloop

from gateway.compile import compile_configuration
from gateway.compile.plan import Plan
from gateway.compile.registry import installed
from tests.redis_servers import RedisServer
from tests.wire.serving import BOUND_S
from tests.wire.shipped import FAULTS, KEY, ROOT, Shipped, shipped
from tests.wire.websockets import handshake

JSON = {"Content-Type": "application/json"}
GOOD_CALLS = 16


def plan() -> Plan:
    compiled = compile_configuration(ROOT / "config")
    assert compiled.plan is not None, compiled.findings
    return compiled.plan


def test_it_uses_every_policy_and_adapter() -> None:
    routes = plan().routes.values()
    assert {policy.policy for route in routes for policy in route.policies} == set(installed().policies)
    assert {route.adapter.adapter for route in routes if route.adapter} == set(installed().adapters)
    assert {upstream.config.kind for upstream in plan().upstreams.values()} == {"http", "tcp", "file"}


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_reloads_and_survives(workers: int, server: str, tmp_path: Path, redis_program: str) -> None:
    async def play() -> None:
        with RedisServer(redis_program, "--maxmemory-policy", "noeviction") as redis:
            async with shipped(tmp_path, redis, workers=workers, server=server) as stage:
                await every_route_answers(stage)
                await reloads_under_a_stream(stage)
                await misbehaving_upstreams_are_survived(stage)
                await a_dead_redis_is_survived(stage)
                stage.gateway.signal(signal.SIGTERM)
                assert await stage.gateway.ended() == 0
                await stage.gateway.log
                bugs = [line for line in stage.gateway.lines if "bug" in line["message"] or "Traceback" in str(line)]
                assert bugs == []

    uvloop.run(play())


async def every_route_answers(stage: Shipped) -> None:
    acme, machine = stage.token(), {"X-API-Key": KEY}
    once = {**acme, **JSON, "Idempotency-Key": "first"}
    movement = b'{"account_id": 42, "amount": 1.5, "purpose": "rent"}'
    calls = [
        ("create-order", "POST", "/orders", once, b"{}", 200),
        ("list-orders", "GET", "/orders", acme, None, 200),
        ("get-order", "GET", "/orders/17", acme, None, 200),
        ("orders-export", "GET", "/orders/export", acme, None, 200),
        ("order-changes", "GET", "/changes/some", acme, None, 200),
        ("get-item", "GET", "/inventory/valve", acme, None, 200),
        ("reserve-item", "POST", "/reservations", once, b'{"Item": "valve", "Quantity": 2}', 200),
        ("inventory-soap", "GET", "/soap/inventory?wsdl", acme, None, 200),
        ("get-account", "GET", "/accounts/42", acme, None, 200),
        ("book-movement", "POST", "/movements", once, movement, 200),
        ("movements", "PUT", "/movements", {**machine, "Content-Type": "application/x-ndjson"}, movement + b"\n", 202),
        ("stock", "GET", "/internal/stock/7", machine, None, 200),
        ("settlements", "GET", "/settlements/monday", {"Client-Cert": stage.certificate}, None, 200),
        ("settlements", "GET", "/settlements/monday", acme, None, 200),
        ("status", "GET", "/status", {}, None, 200),
        ("robots", "GET", "/robots.txt", {}, None, 200),
        ("create-order", "POST", "/orders", {}, b"{}", 401),
        ("stock", "GET", "/internal/stock/7", {"X-API-Key": "wrong"}, None, 401),
    ]
    for name, method, path, headers, content, status in calls:
        answer = await stage.client.request(method, path, headers=headers, content=content)
        assert answer.status_code == status, (name, answer.text)
    assert {name for name, *_ in calls} == set(plan().routes)
    assert len(list(stage.spool.glob("MOV.warehouse.*"))) == 1
    assert (await stage.client.get("/accounts/42", headers=acme)).json()["balance"] == 12.34
    assert (
        (await stage.client.get("/inventory/valve", headers=acme)).headers["cache-status"].startswith("sluicegate; hit")
    )
    assert (await stage.client.post("/orders", headers=once, content=b"{}")).headers["idempotency-replayed"] == "true"


async def reloads_under_a_stream(stage: Shipped) -> None:
    """A change of another route, one with an error, and a stream that sees neither."""
    caller = await stage.caller()
    fields = [f"{name}: {value}".encode() for name, value in stage.token().items()]
    await caller.send(b"\r\n".join((b"GET /changes/events HTTP/1.1", b"Host: a", *fields, b"", b"")))
    async with asyncio.timeout(BOUND_S):
        await caller.reader.readuntil(b"data: 1")
    file = stage.folder / "routes" / "orders.yaml"
    text = file.read_text()
    file.write_text(text.replace("default_ttl: 5s", "default_ttl: 6s"))
    answer = await stage.reload()
    assert (answer.status_code, answer.json()["changed"]) == (200, 1), answer.text
    file.write_text(text.replace("default_ttl: 5s", "default_ttl: soon"))
    answer = await stage.reload()
    assert (answer.status_code, len(answer.json()["findings"])) == (422, 1), answer.text
    stage.streams[-1].event(2)
    async with asyncio.timeout(BOUND_S):
        await caller.reader.readuntil(b"data: 2")
    caller.close()
    assert (await stage.client.get("/orders/17", headers=stage.token())).status_code == 200


async def misbehaving_upstreams_are_survived(stage: Shipped) -> None:
    acme = stage.token()

    async def ask(fault: str, number: int = 0) -> int:
        """The status; 0 for an answer that was cut where the upstream's body broke off."""
        try:
            if number % 2:
                keyed = {**acme, "Idempotency-Key": f"{fault}-{number}"}
                answer = await stage.client.post(f"/orders?/{fault}", headers=keyed, content=b"{}")
            else:
                answer = await stage.client.get(f"/orders/{fault}", headers=acme)
        except httpx.RemoteProtocolError:
            return 0
        return answer.status_code

    hanging = [asyncio.ensure_future(ask("hang", number)) for number in range(2)]
    # One fault, as GET and as POST, among good calls: those never notice. Each worker has its own breaker, and the client's
    # connections belong to workers: the two come at another place among the calls each time, so that no worker has all.
    for place, fault in enumerate(FAULTS):
        calls = [("fine", 0)] * GOOD_CALLS
        calls[place : place + 1] = [(fault, 0), ("fine", 0), (fault, 1)]
        answers = list(zip(calls, await asyncio.gather(*(ask(*call) for call in calls)), strict=True))
        assert {status for call, status in answers if call[0] == fault} <= {0, 200, 502, 503}, (fault, answers)
        assert {status for call, status in answers if call[0] == "fine"} == {200}, (fault, answers)
    assert set(await asyncio.gather(*hanging)) == {504}
    # all of them at once open the breaker, and what is refused is refused early
    storm = await asyncio.gather(*(ask(fault, 100 + number) for number in range(8) for fault in FAULTS))
    assert set(storm) <= {0, 200, 502, 503}, Counter(storm)
    await stage.until(200, "GET", "/orders/17", headers=acme)
    unknown = await stage.client.post("/orders?/hang", headers={**acme, "Idempotency-Key": "hang-1"}, content=b"{}")
    assert (unknown.status_code, unknown.json()["code"]) == (409, "idempotency.outcome-unknown")
    stranger = await stage.caller()
    await stranger.send(handshake(path=b"/changes/socket"))
    assert await stranger.head() == 401
    stranger.close()


async def a_dead_redis_is_survived(stage: Shipped) -> None:
    acme = stage.token()
    stage.redis.stop()
    await stage.until(200, "GET", "/orders/18", headers=acme)
    await stage.until(200, "GET", "/inventory/pump", headers=acme)
    refused = await stage.until(503, "POST", "/orders", headers={**acme, "Idempotency-Key": "second"}, content=b"{}")
    assert refused.json()["code"] == "idempotency.store-unavailable"
    assert (await stage.client.post("/orders", headers=acme, content=b"{}")).status_code == 200
    assert (await stage.client.get("/internal/stock/7", headers={"X-API-Key": KEY})).status_code == 200
    assert "sluicegate_store_degraded{" in await stage.metrics()
    assert (await stage.gateway.ops("/readyz"))["ready"] is True
    stage.redis.start()
    third = {**acme, "Idempotency-Key": "third"}
    await stage.until(200, "POST", "/orders", headers=third, content=b"{}")
    replayed = await stage.client.post("/orders", headers=third, content=b"{}")
    assert replayed.headers.get("idempotency-replayed") == "true"
