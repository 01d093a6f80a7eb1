"""Streams and WebSockets through many policies at once, on both servers."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

from gateway.testing.upstream import Peer, answering, ok
from tests.wire.conftest import Perform
from tests.wire.plays import Stage, holds
from tests.wire.test_combinations import CREATED, FRESH, IDEMPOTENT, JSON, KEY, TYPE, call, post, seen
from tests.wire.test_resilience import value
from tests.wire.websockets import TEXT, connect, echo, frame, handshake

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"
EVERYTHING: dict[str, Any] = {
    "ip_allow": {"allow": ["127.0.0.1"]},
    "cors": {"origins": ["https://a.example", "https://b.example"]},
    "compress": {"encodings": ["gzip"]},
    "request_size": {"max": "1MiB"},
    "rate_limit": {"per": "ip", "rate": "500/s"},
    "quota": {"per": "ip", "limit": "100/day"},
    "concurrency": {"per": "ip", "max": 2, "queue": 2},
    "idempotency": {**IDEMPOTENT, "required": False},
    "cache": {},
    "headers": {"response": {"set": {"X-A": "1"}}},
    "retry": {"backoff": "1ms"},
    "bulkhead": {"max": 2, "queue": 2},
    "breaker": {"failures": 1},
    "timeout": {"total": "10s"},
}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def nothing_is_held(stage: Stage) -> None:
    """No call, place, connection or verdict is left over."""
    await stage.quiet()
    assert value(stage, "bulkhead_in_use", "orders") == 0
    assert value(stage, "bulkhead_waiting", "orders") == 0
    assert value(stage, "breaker_state", "orders") == 0
    await holds(lambda: stage.figures()["open"] == stage.figures()["idle"])


def test_a_stream_through_every_policy_that_holds_nothing(combined: Perform) -> None:
    """Each piece arrives before the next is sent, both ways; places are given back when the last one has."""
    pieces = [b"one", b"two", b"three"]

    async def script(peer: Peer) -> None:
        await peer.head()
        got = b""
        while pieces[0] not in got:
            got += await peer.read()
        reached.set()
        while not got.endswith(b"\r\n0\r\n\r\n"):
            got += await peer.read()
        await peer.send(STREAM.replace(b"json", b"octet-stream"))
        for piece in pieces:
            await peer.send(chunk(piece))
            await arrived.wait()
            arrived.clear()
        await peer.send(b"0\r\n\r\n")
        await peer.gone()

    reached, arrived = asyncio.Event(), asyncio.Event()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        fields = ("Transfer-Encoding: chunked", "Accept-Encoding: gzip", "Origin: https://a.example")
        await caller.send(call("POST", *fields))
        for piece in pieces:
            await caller.send(chunk(piece))
            await reached.wait()
        await caller.send(b"0\r\n\r\n")
        assert await caller.head() == 200
        assert value(stage, "bulkhead_in_use", "orders") == 1
        for piece in pieces:
            assert piece in await caller.reader.readuntil(piece)
            arrived.set()
        await caller.reader.readuntil(b"0\r\n\r\n")
        await nothing_is_held(stage)

    combined(scene, script, **EVERYTHING)


def test_what_is_stored_is_nobodys_in_particular(combined: Perform) -> None:
    """Fields that policies add for one caller (origin, limits, coding, request id) are not in another's stored answer."""

    async def scene(stage: Stage) -> None:
        callers = (("Origin: https://a.example", "Accept-Encoding: gzip"), ("Origin: https://b.example",), ())
        for method, extra in (("GET", ()), ("POST", (KEY, "Content-Length: 0"))):
            one, two, three = [await stage.ask(call(method, *extra, *fields)) for fields in callers]
            origins = [answer.get(b"access-control-allow-origin") for answer in (one, two, three)]
            assert origins == [[b"https://a.example"], [b"https://b.example"], []]
            assert gzip.decompress(one.body) == two.body == three.body == JSON
            assert len({answer.get(b"x-request-id")[0] for answer in (one, two, three)}) == 3
            assert {len(answer.get(b"ratelimit")) for answer in (one, two, three)} == {1}
            assert {tuple(answer.get(b"x-a")) for answer in (one, two, three)} == {(b"1",)}
        assert seen(stage) == 2

    combined(scene, answering(ok(JSON, TYPE, FRESH)), **EVERYTHING)


def test_an_answer_too_large_to_keep_is_given_once_and_coded(combined: Perform) -> None:
    big = JSON * 100

    async def scene(stage: Stage) -> None:
        first = await stage.ask(post(KEY, "Accept-Encoding: gzip"))
        assert gzip.decompress(first.body) == big
        assert (await stage.ask(post(KEY))).problem["code"] == "idempotency.too-large"
        await nothing_is_held(stage)

    policies = {**EVERYTHING, "idempotency": {**IDEMPOTENT, "max_response": "1KiB"}}
    combined(scene, answering(STREAM, chunk(big[:100_000]), chunk(big[100_000:]), b"0\r\n\r\n"), **policies)


def test_a_body_that_is_too_long_leaves_its_key_free(combined: Perform) -> None:
    async def scene(stage: Stage) -> None:
        for framing in ("length", "chunked"):
            caller = await stage.caller()
            if framing == "length":
                await caller.send(post(KEY, body=b"x" * 2000))
            else:
                await caller.send(call("POST", KEY, "Transfer-Encoding: chunked"), chunk(b"x" * 2000), b"0\r\n\r\n")
            assert (await caller.answer()).status == 413
        assert (await stage.ask(post(KEY))).status == 201
        await nothing_is_held(stage)

    combined(scene, answering(CREATED), **{**EVERYTHING, "request_size": {"max": "1KiB"}})


def test_a_websocket_holds_its_places_to_its_end_and_outlives_the_deadline(combined: Perform) -> None:
    async def scene(stage: Stage) -> None:
        first, second = [await connect(stage, handshake(path=b"/orders/socket")) for _ in range(2)]
        caller = await stage.caller()
        await caller.send(handshake(path=b"/orders/socket"))
        refused = await caller.answer(check=False)  # Granian's own fields of the upgrade stand on it
        assert (refused.status, refused.problem["code"]) == (429, "concurrency.exceeded")
        assert value(stage, "bulkhead_in_use", "orders") == 2
        begun = asyncio.get_running_loop().time()
        await holds(lambda: asyncio.get_running_loop().time() > begun + 0.4)
        for client in (first, second):
            await client.send(frame(TEXT, b"still here"))
            assert (await client.next()).data == b"still here"
        first.caller.reset()
        await holds(lambda: value(stage, "bulkhead_in_use", "orders") == 1)
        third = await connect(stage, handshake(path=b"/orders/socket"))
        await third.send(frame(TEXT, b"welcome"))
        assert (await third.next()).data == b"welcome"
        second.caller.close()
        third.caller.close()
        await stage.quiet()
        assert value(stage, "bulkhead_in_use", "orders") == 0

    policies = {**EVERYTHING, "timeout": {"total": "300ms"}, "concurrency": {"per": "ip", "max": 2}}
    combined(scene, echo, echo, echo, **policies)
