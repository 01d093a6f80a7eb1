"""What fails under several policies at once, on both servers: a store that is away, bodies that do not fit, calls under a reload."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.testing.upstream import Peer, answering, ok
from tests.redis_servers import RedisServer
from tests.unit.upstream.http2_peer import Http2Peer, ended
from tests.wire.conftest import Perform
from tests.wire.plays import Stage, holds
from tests.wire.test_combinations import CREATED, FRESH, IDEMPOTENT, KEY, call, post, seen
from tests.wire.test_combined_adapters import ENVELOPE, WSDL, in_turn
from tests.wire.test_messages import bulk, chunk, line, record
from tests.wire.test_resilience import value
from tests.wire.test_stream_ends import reload
from tests.wire.websockets import TEXT, connect, echo, frame, handshake

ND = "Content-Type: application/x-ndjson"
SHADOW: dict[str, Any] = {
    "rate_limit": {"per": "ip", "rate": "1/h", "on_store_error": "deny"},
    "quota": {"per": "ip", "limit": "1/day", "on_store_error": "deny"},
    "concurrency": {"per": "ip", "max": 1},
    "idempotency": {"scope": "route"},
    "cache": {},
}


def orders(policies: dict[str, Any]) -> dict[str, Any]:
    return {"name": "orders", "match": {"path": "/orders"}, "public": True, "upstream": "orders", "policies": policies}


def test_what_is_in_shadow_never_matters_not_even_without_its_store(play: Perform, redis_program: str) -> None:
    async def scene(stage: Stage) -> None:
        for number in range(3):
            for raw in (call(), post(KEY), post()):
                answer = await stage.ask(raw)
                assert (answer.status, answer.body) == (200, b"ok"), answer
                assert not answer.get(b"ratelimit")
                assert not answer.get(b"cache-status")
                assert not answer.get(b"idempotency-replayed")
            if not number:
                redis.stop()
        assert seen(stage) == 9

    with RedisServer(redis_program) as redis:
        policies = {name: {**block, "mode": "shadow"} for name, block in SHADOW.items()}
        play(scene, answering(ok(b"ok", FRESH)), routes=[orders(policies)], store=f"{redis.url}?acks=0&timeout=1s")


def test_without_its_store_each_policy_does_what_it_says(play: Perform, redis_program: str) -> None:
    async def scene(stage: Stage) -> None:
        assert [(await stage.ask(call())).status for _ in range(2)] == [200, 200]
        assert (await stage.ask(post("Idempotency-Key: before"))).status == 200
        redis.stop()
        got = await stage.ask(call())
        assert (got.status, got.body) == (200, b"ok")
        for key in (KEY, "Idempotency-Key: before"):
            refused = await stage.ask(post(key))
            assert (refused.status, refused.problem["code"]) == (503, "idempotency.store-unavailable")
        assert (await stage.ask(post())).status == 200
        limited = [(await stage.ask(call())).status for _ in range(12)]
        assert set(limited) == {200, 429}  # its share of the limit holds on
        assert limited[-1] == 429

    with RedisServer(redis_program) as redis:
        policies = {
            "rate_limit": {"per": "ip", "rate": "1/h", "burst": 15},
            "quota": {"per": "ip", "limit": "100/day"},
            "concurrency": {"per": "ip", "max": 5},
            "idempotency": {"scope": "route", "required": False},
            "cache": {},
        }
        play(scene, answering(ok(b"ok", FRESH)), routes=[orders(policies)], store=f"{redis.url}?acks=0&timeout=1s")


# -- lines of JSON under a key


@pytest.mark.parametrize("where", ["first", "far"])
def test_a_line_that_does_not_fit_under_a_key(play: Perform, tmp_path: Path, where: str) -> None:
    """In a folder nothing is written, so the key is free; over HTTP a part of a long one may have been looked at."""
    many = 10 if where == "first" else 5_000
    bad = line(1) * many + line(10**9)
    spool = tmp_path / "spool"
    spool.mkdir()

    async def scene(stage: Stage) -> None:
        first, again = [await stage.ask(post(KEY, ND, body=bad, path="/x")) for _ in range(2)]
        assert (first.status, first.problem["pointer"]) == (422, "/ticket")
        assert (again.status, again.problem.get("pointer")) == (422, "/ticket"), again
        await holds(lambda: list(spool.iterdir()) == [])
        good = [await stage.ask(post("Idempotency-Key: k-2", ND, body=line(1) * many, path="/x")) for _ in range(2)]
        assert [one.status for one in good] == [202, 202]
        assert good[1].get(b"idempotency-replayed") == [b"true"]
        assert good[0].body == good[1].body
        await stage.quiet()
        assert len(list(spool.iterdir())) == 1

    play(
        scene,
        upstream={"targets": [f"file://{spool}"], "drop": {"name": "F.{file.unique}"}},
        **_keyed(tmp_path),
    )


def _keyed(tmp_path: Path, **policies: Any) -> dict[str, Any]:
    (route,) = bulk(tmp_path, None)["routes"]
    return {
        "routes": [{**route, "policies": {"idempotency": IDEMPOTENT, **policies}}],
        "state": str(tmp_path / "state"),
    }


def test_lines_under_a_key_are_executed_once_and_given_again(play: Perform, tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk(record(0, 1, "r") * 3))
            await peer.send(chunk(record(0, 2, "r")), b"0\r\n\r\n")

    async def scene(stage: Stage) -> None:
        raw = post(KEY, ND, body=line(1) * 3, path="/x")
        first, again = [await stage.ask(raw) for _ in range(2)]
        assert (first.status, first.body.count(b"\n")) == (200, 4)
        assert first.body == again.body
        assert again.get(b"idempotency-replayed") == [b"true"]
        assert again.get(b"content-type") == first.get(b"content-type") == [b"application/x-ndjson"]
        assert seen(stage) == 1

    play(scene, script, **_keyed(tmp_path, compress={}, retry={}, breaker={}))


# -- HTTP/2


def test_a_key_and_a_long_body_to_an_upstream_of_http_2(combined: Perform) -> None:
    big = b"x" * 300_000
    tries: list[int] = []

    def answer(peer: Http2Peer, stream: int) -> None:
        tries.append(len(peer.bodies[stream]))
        peer.answer(stream, b"busy" if len(tries) == 1 else b"done", status=b"503" if len(tries) == 1 else b"201")

    async def scene(stage: Stage) -> None:
        first, again = [await stage.ask(post(KEY, body=big)) for _ in range(2)]
        assert (first.status, first.body, again.body) == (201, b"done", b"done")
        assert again.get(b"idempotency-replayed") == [b"true"]
        assert tries == [len(big)] * 2

    combined(
        scene,
        Http2Peer(ended(answer)),
        upstream={"protocol": "http2", "honours_idempotency_key": True},
        idempotency=IDEMPOTENT,
        retry={"backoff": "1ms"},
        compress={},
        breaker={},
        bulkhead={"max": 1},
    )


# -- SOAP clients under a key


def test_a_soap_client_repeats_under_a_key(play: Perform, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        def raw(item: str, *fields: str) -> bytes:
            asked = f'<i:GetItem xmlns:i="urn:example:inventory"><i:Item>{item}</i:Item></i:GetItem>'
            return post("Content-Type: text/xml", *fields, body=ENVELOPE.format(asked).encode())

        missing = await stage.ask(raw("valve"))
        assert b"idempotency.key-missing" in missing.body
        assert b"Fault" in missing.body
        first, again = [await stage.ask(raw("valve", KEY)) for _ in range(2)]
        assert first.status == 200
        assert first.body == again.body
        assert again.get(b"idempotency-replayed") == [b"true"]
        assert first.get(b"content-type") == again.get(b"content-type")
        other = await stage.ask(raw("pump", KEY))
        assert b"idempotency.other-request" in other.body
        assert b"Fault" in other.body
        assert seen(stage) == 1

    answer = (
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{"Item":"valve","OnHand":3} '
    )
    listen = {"operations": {"GetItem": {"method": "GET", "path": "/items/{body./Item}"}}}
    route = {
        "name": "soap",
        "match": {"path": "/orders"},
        "public": True,
        "upstream": "orders",
        "adapter": {"soap": {"wsdl": str(WSDL), "listen": listen}},
        "policies": {"idempotency": IDEMPOTENT},
    }
    play(scene, in_turn(answer), routes=[route], state=str(tmp_path / "state"))


# -- reloads under calls


def test_a_reload_under_calls_that_hold_keys_places_and_queues(combined: Perform) -> None:
    """Figures change under them: nothing is executed twice, nobody is lost, and no place is."""
    go = asyncio.Event()

    async def scene(stage: Stage) -> None:
        asks = [asyncio.ensure_future(stage.ask(post(f"Idempotency-Key: {number}"))) for number in range(4)]
        await holds(lambda: seen(stage) == 2 and value(stage, "bulkhead_waiting", "orders") == 2)

        def edit(document: dict[str, Any]) -> None:
            policies = document["routes"][0]["policies"]
            policies["bulkhead"] = {"max": 3, "queue": 4}
            policies["concurrency"]["max"] = 8
            policies["idempotency"]["ttl"] = "12h"
            policies["headers"] = {"response": {"set": {"X-New": "1"}}}

        await reload(stage, edit)
        asks += [asyncio.ensure_future(stage.ask(post(f"Idempotency-Key: {number}"))) for number in (0, 4, 5)]
        await holds(lambda: value(stage, "bulkhead_waiting", "orders") == 3)
        await holds(lambda: seen(stage) == 3)
        go.set()
        answers = await asyncio.gather(*asks)
        assert [one.status for one in answers] == [201, 201, 201, 201, 409, 201, 201]
        assert seen(stage) == 6
        await stage.quiet()
        assert value(stage, "bulkhead_in_use", "orders") == 0
        assert (await stage.ask(post("Idempotency-Key: 0"))).get(b"idempotency-replayed") == [b"true"]

    combined(
        scene,
        answering(CREATED, after=go),
        idempotency=IDEMPOTENT,
        concurrency={"per": "ip", "max": 4},
        bulkhead={"max": 2, "queue": 4},
        retry={},
        breaker={},
    )


def test_a_websocket_whose_handshake_broke_is_tried_again(combined: Perform) -> None:
    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.head()
            peer.reset()
        else:
            await echo(peer)

    async def scene(stage: Stage) -> None:
        client = await connect(stage, handshake(path=b"/orders/socket"))
        await client.send(frame(TEXT, b"hello"))
        assert (await client.next()).data == b"hello"
        assert seen(stage) == 2
        client.caller.close()
        await stage.quiet()
        assert value(stage, "bulkhead_in_use", "orders") == 0

    combined(scene, script, retry={"backoff": "1ms"}, breaker={}, bulkhead={"max": 1}, cache={}, compress={})
