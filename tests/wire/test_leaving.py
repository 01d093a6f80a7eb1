"""Callers that leave, at each stage of a call and with every policy on its way, on both servers: nothing is held that nobody waits for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.testing.upstream import Peer, ScriptedUpstream, answering, ok
from tests.redis_servers import RedisServer
from tests.wire.conftest import Perform
from tests.wire.plays import Caller, Stage, holds, plan_of
from tests.wire.test_combinations import FRESH, KEY, TYPE, call, post, seen
from tests.wire.test_combined_streams import EVERYTHING, STREAM, chunk, nothing_is_held
from tests.wire.test_resilience import hangs, value


async def leaves_while_sending(stage: Stage, caller: Caller) -> None:
    await caller.send(call("POST", KEY, "Content-Length: 10"), b"half")
    await holds(lambda: stage.plane.in_flight() == 1)


async def leaves_while_streaming_up(stage: Stage, caller: Caller) -> None:
    await caller.send(call("POST", "Transfer-Encoding: chunked"), chunk(b"x" * 1000))
    await holds(lambda: seen(stage) == 1)


async def leaves_while_the_upstream_thinks(stage: Stage, caller: Caller) -> None:
    await caller.send(call("GET", path="/orders/silent"))
    await holds(lambda: seen(stage) == 1)


async def leaves_in_the_body(stage: Stage, caller: Caller) -> None:
    await caller.send(call("GET", "Accept-Encoding: gzip", path="/orders/stream"))
    assert await caller.head() == 200
    await caller.reader.readuntil(b"\r\n")


async def leaves_under_a_key(stage: Stage, caller: Caller) -> None:
    await caller.send(post(KEY, path="/orders/stream"))
    await holds(lambda: seen(stage) == 1)


STAGES = [
    leaves_while_sending,
    leaves_while_streaming_up,
    leaves_while_the_upstream_thinks,
    leaves_in_the_body,
    leaves_under_a_key,
]


@pytest.mark.parametrize("leaves", STAGES, ids=lambda one: one.__name__)
def test_a_caller_that_leaves_holds_nothing(combined: Perform, leaves: Any) -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            head = await peer.head()
            if b"/stream " in head:
                await peer.send(STREAM, chunk(b"begun"))
                await gone.wait()
                await peer.send(chunk(b"ended"), b"0\r\n\r\n")
            elif b"/silent " in head or b"chunked" in head:
                await peer.gone()
                return
            else:
                await peer.send(ok(b"ok", FRESH))

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await leaves(stage, caller)
        caller.reset()
        if leaves is not leaves_under_a_key:  # that one runs on until the upstream has ended
            await stage.quiet()
        gone.set()
        await nothing_is_held(stage)
        # what was half stored serves nobody, what was executed is known, and places are free
        again = await stage.ask(call("GET", path="/orders/stream"))
        assert (again.status, again.body) == (200, b"begunended")
        if leaves is leaves_in_the_body:
            assert b"hit" not in again.get(b"cache-status")[0]
        replayed = await stage.ask(post(KEY, path="/orders/stream"))
        assert (replayed.status, replayed.body) == (200, b"begunended")
        assert (replayed.get(b"idempotency-replayed") == [b"true"]) == (leaves is leaves_under_a_key)
        both = await asyncio.gather(*(stage.ask(call("GET", path=f"/orders/{n}")) for n in range(4)))
        assert [one.status for one in both] == [200] * 4
        await nothing_is_held(stage)

    combined(scene, script, **EVERYTHING)


def test_callers_that_leave_queues_leave_no_gap(combined: Perform) -> None:
    go = asyncio.Event()

    async def scene(stage: Stage) -> None:
        callers = [await stage.caller() for _ in range(4)]
        for number, caller in enumerate(callers):
            await caller.send(call("GET", path=f"/orders/{number}"))
            await holds(lambda number=number: stage.plane.in_flight() == number + 1)
        await holds(lambda: seen(stage) == 2)
        refused = await stage.ask(call("GET", path="/orders/9"))
        assert (refused.status, refused.problem["code"]) == (429, "concurrency.exceeded")
        callers[2].reset()  # waits for a place of its address's two
        await holds(lambda: stage.plane.in_flight() == 3)
        callers[0].reset()
        await holds(lambda: seen(stage) == 3)  # the fourth has its place
        go.set()
        assert [(await callers[number].answer()).status for number in (1, 3)] == [200, 200]
        await nothing_is_held(stage)

    combined(scene, answering(ok(), after=go), **EVERYTHING)


def test_a_caller_that_leaves_while_its_token_is_looked_at(play: Perform, tmp_path: Path) -> None:
    asked, let_go = asyncio.Event(), asyncio.Event()

    async def slow_keys(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await let_go.wait()
        await peer.send(ok(b'{"keys": []}', TYPE))

    async def scene(stage: Stage) -> None:
        async with ScriptedUpstream(slow_keys) as issuer:
            document = json.loads((stage.folder / "gateway.yaml").read_text())
            document["issuers"]["partners"]["jwks"] = f"{issuer.url}/keys"
            await stage.gateway.apply(plan_of(stage.folder, document))
            header = "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImEifQ"
            claims = "eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIn0"
            caller = await stage.caller()
            await caller.send(call("GET", f"Authorization: Bearer {header}.{claims}.AAAA"))
            async with asyncio.timeout(10):
                await asked.wait()
            caller.reset()
            let_go.set()
            await stage.quiet()
            assert seen(stage) == 0
            assert value(stage, "bulkhead_in_use", "orders") == 0

    route = {
        "name": "known",
        "match": {"path": "/orders"},
        "upstream": "orders",
        "policies": {"oauth2": {"issuer": "partners"}, "bulkhead": {"max": 1}},
    }
    play(
        scene,
        answering(ok()),
        routes=[route],
        issuers={
            "partners": {
                "issuer": "https://idp.example",
                "audience": "orders",
                "jwks": "http://127.0.0.1:9/keys",
                "unknown_consumer": "allow",
            }
        },
    )


def test_places_in_redis_are_free_again_when_callers_leave(play: Perform, redis_server: RedisServer) -> None:
    async def scene(stage: Stage) -> None:
        for number in range(3):
            caller = await stage.caller()
            await caller.send(call())
            await holds(lambda number=number: seen(stage) == number + 1)
            refused = await stage.ask(call())
            assert (refused.status, refused.problem["code"]) == (429, "concurrency.exceeded")
            caller.reset()
            await stage.quiet()
            await holds(lambda: redis_server.ask("KEYS", "*concurrency*ip*") == [])

    route = {
        "name": "all",
        "match": {"path": "/**"},
        "public": True,
        "upstream": "orders",
        "policies": {"concurrency": {"per": "ip", "max": 1}},
    }
    play(scene, hangs, hangs, hangs, routes=[route], store=f"{redis_server.url}?timeout=5s")
