"""Keys on the wire: replays, races, callers that leave, keys and bodies that are none. Records are in SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.testing.upstream import Peer, answering, ok
from tests.redis_servers import RedisServer
from tests.wire.conftest import Perform
from tests.wire.plays import Stage, holds

CREATED = b'HTTP/1.1 201 Created\r\nx-a: b\r\ncontent-length: 8\r\n\r\n{"id":7}'


def post(*fields: bytes, body: bytes = b"{}") -> bytes:
    head = (b"POST /orders HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *fields)
    return b"\r\n".join((*head, b"", body))


KEY = b'Idempotency-Key: "k-1"'


@pytest.fixture
def keyed(play: Perform, tmp_path: Path) -> Perform:
    """A play whose one route takes keys."""

    def perform(scene: Any, *scripts: Any, **policy: Any) -> None:
        route = {
            "name": "create",
            "match": {"path": "/orders"},
            "public": True,
            "upstream": "orders",
            "policies": {"idempotency": {"scope": "route", "store": "sqlite?sync=normal", **policy}},
        }
        play(scene, *scripts, routes=[route], state=str(tmp_path / "state"))

    return perform


def test_a_retry_gets_the_first_answer(keyed: Perform) -> None:
    async def scene(stage: Stage) -> None:
        first = await stage.ask(post(KEY))
        again = await stage.ask(post(b"Idempotency-Key: k-1", b"Content-Type: application/json"))
        assert (first.status, first.body) == (again.status, again.body) == (201, b'{"id":7}')
        assert first.end_to_end == [(b"x-a", b"b"), (b"content-length", b"8")]
        assert sorted(again.end_to_end) == sorted([*first.end_to_end, (b"idempotency-replayed", b"true")])
        (sent,) = stage.upstream.requests
        assert b'idempotency-key: "k-1"\r\n' in sent
        assert b"accept-encoding: identity\r\n" in sent
        assert (await stage.ask(post(KEY, body=b"[]"))).problem["code"] == "idempotency.other-request"

    keyed(scene, answering(CREATED))


@pytest.fixture(params=["sqlite", "redis", "memory"])
def store(request: pytest.FixtureRequest) -> str:
    if request.param == "redis":
        server = request.getfixturevalue("redis_server")
        return f"{server.url}?timeout=5s"
    return "sqlite?sync=normal" if request.param == "sqlite" else "memory"


@pytest.mark.parametrize("in_flight", ["reject", "wait"])
def test_callers_that_race_execute_once(keyed: Perform, store: str, in_flight: str) -> None:
    async def scene(stage: Stage) -> None:
        answers = await asyncio.gather(*(stage.ask(post(KEY)) for _ in range(200)))
        assert len(stage.upstream.requests) == 1
        given = [answer for answer in answers if answer.status == 201]
        assert {answer.body for answer in given} == {b'{"id":7}'}
        refused = [answer.problem["code"] for answer in answers if answer.status != 201]
        assert set(refused) <= {"idempotency.in-flight"}
        assert in_flight == "reject" or not refused

    keyed(scene, answering(CREATED), in_flight=in_flight, store=store)


def test_a_call_runs_on_when_its_caller_leaves(keyed: Perform) -> None:
    gone = asyncio.Event()

    async def upstream(peer: Peer) -> None:
        await peer.request()
        await gone.wait()
        await peer.send(CREATED)
        await peer.gone()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(post(KEY))
        await holds(stage.upstream.seen.is_set)
        caller.reset()
        assert (await stage.ask(post(KEY))).status == 409
        for _ in range(300):  # long enough for a call that is watched (100 ms) to notice
            turn = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.001, turn.set_result, None)
            await turn
        gone.set()
        await stage.quiet()
        again = await stage.ask(post(KEY))
        assert (again.status, again.get(b"idempotency-replayed")) == (201, [b"true"])
        assert len(stage.upstream.requests) == 1

    keyed(scene, upstream)


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (b"Idempotency-Key:",),
        (b"Idempotency-Key: " + b"k" * 10_240,),
        ("Idempotency-Key: é".encode(),),
        (KEY, KEY),
        (b"Idempotency-Key: a, b",),
        (b'Idempotency-Key: "a", "b"',),
    ],
    ids=["none", "empty", "10 KB", "not ASCII", "twice", "two, plain", "two, quoted"],
)
def test_what_is_no_key_is_400(keyed: Perform, fields: tuple[bytes, ...]) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask(post(*fields))
        assert answer.status == 400
        assert answer.problem["code"].startswith("idempotency.key-")
        assert stage.upstream.requests == []

    keyed(scene, answering(ok()))


def test_a_body_that_ends_early_claims_nothing(keyed: Perform) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(post(KEY)[:-1])
        caller.reset()
        await stage.quiet()
        assert (await stage.ask(post(KEY))).status == 201
        assert len(stage.upstream.requests) == 1

    keyed(scene, answering(CREATED))


def test_an_outcome_that_nobody_knows_is_said(keyed: Perform) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask(post(KEY))).status == 502
        assert (await stage.ask(post(KEY))).problem["code"] == "idempotency.outcome-unknown"
        assert len(stage.upstream.requests) == 1

    keyed(scene, answering(then=Peer.reset))


def test_a_drain_waits_for_a_call_whose_caller_has_left(keyed: Perform, tmp_path: Path) -> None:
    answered = asyncio.Event()

    async def upstream(peer: Peer) -> None:
        await peer.request()
        await answered.wait()
        await peer.send(CREATED)
        await peer.gone()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(post(KEY))
        await holds(stage.upstream.seen.is_set)
        caller.reset()
        drained = asyncio.ensure_future(stage.gateway.drain())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(drained), 0.2)
        answered.set()
        assert await drained
        with sqlite3.connect(tmp_path / "state" / "lasting.db") as kept:
            ((record,),) = kept.execute("select value from entries")
        assert record.startswith(b"final ")
        kept.close()

    keyed(scene, upstream)


def test_a_drain_waits_for_outcomes_that_wait_for_their_store(keyed: Perform, redis_program: str) -> None:
    """Redis is gone when the call ends, and comes back while the gateway drains: the answer is kept."""
    server = RedisServer(redis_program, "--appendonly", "yes", "--appendfsync", "always")

    async def upstream(peer: Peer) -> None:
        await peer.request()
        server.stop()
        await peer.send(CREATED)
        await peer.gone()

    async def scene(stage: Stage) -> None:
        assert (await stage.ask(post(KEY))).status == 201
        assert stage.plane.unfinished() == 1
        drained = asyncio.ensure_future(stage.gateway.drain(timeout_s=20))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(drained), 0.5)
        await asyncio.to_thread(server.start)
        assert await drained
        assert stage.plane.unfinished() == 0
        (key,) = await asyncio.to_thread(server.ask, "KEYS", "*idempotency*")  # type: ignore[misc]
        record = await asyncio.to_thread(server.ask, "GET", key)
        assert isinstance(record, bytes)
        assert record.startswith(b"final ")

    with server:
        keyed(scene, upstream, store=f"{server.url}?acks=0")


def test_nothing_is_sent_that_too_few_replicas_have_acknowledged(keyed: Perform, redis_server: RedisServer) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask(post(KEY))
        assert (answer.status, answer.problem["code"]) == (503, "idempotency.store-unavailable")
        assert stage.upstream.requests == []

    keyed(scene, answering(CREATED), store=f"{redis_server.url}?acks=1&timeout=200ms")
