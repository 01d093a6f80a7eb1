"""The cache and retries beside other policies, on both servers: what is stored, shared, repeated, and what is not."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from gateway.testing.upstream import Peer, answering, ok
from tests.wire.conftest import Perform
from tests.wire.plays import Stage, holds
from tests.wire.test_combinations import FRESH, IDEMPOTENT, JSON, KEY, TYPE, call, post, seen
from tests.wire.test_resilience import busy, value
from tests.wire.websockets import TEXT, connect, echo, frame, handshake


def test_heads_and_parts_of_a_stored_answer_are_not_coded(combined: Perform) -> None:
    async def scene(stage: Stage) -> None:
        coding = "Accept-Encoding: gzip"
        assert gzip.decompress((await stage.ask(call("GET", coding))).body) == JSON
        head = await stage.ask(call("HEAD", coding), "HEAD")
        assert (head.status, head.get(b"content-encoding")) == (200, [b"gzip"])
        assert head.get(b"content-length") in ([], [b"%d" % len((await stage.ask(call("GET", coding))).body)])
        part = await stage.ask(call("GET", coding, "Range: bytes=2-6"))
        assert (part.status, part.body, part.get(b"content-encoding")) == (206, JSON[2:7], [])
        plain = await stage.ask(call("HEAD"), "HEAD")
        assert plain.get(b"content-length") == [b"%d" % len(JSON)]
        assert seen(stage) == 1

    combined(
        scene,
        answering(ok(JSON, TYPE, FRESH, ("ETag", '"a"'))),
        cache={},
        compress={"encodings": ["gzip"]},
    )


def test_a_handshake_is_answered_by_no_store_and_waits_for_nobody(combined: Perform) -> None:
    async def plain_then_sockets(peer: Peer) -> None:
        if peer.number == 0:
            await answering(ok(b"stored", FRESH))(peer)
        else:
            await echo(peer)

    async def scene(stage: Stage) -> None:
        assert (await stage.ask(call())).body == b"stored"
        assert (await stage.ask(call())).get(b"cache-status")[0].startswith(b"sluicegate; hit")
        both = [await connect(stage, handshake(path=b"/orders")) for _ in range(2)]
        for number, client in enumerate(both):
            await client.send(frame(TEXT, b"%d" % number))
            assert (await client.next()).data == b"%d" % number
            client.caller.close()
        assert (await stage.ask(call())).body == b"stored"

    combined(
        scene,
        plain_then_sockets,
        cache={},
        compress={},
        retry={"backoff": "1ms"},
        breaker={},
        bulkhead={"max": 5},
        timeout={"total": "5s"},
    )


def test_an_open_breaker_is_bridged_by_what_is_stored(combined: Perform) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.send(
                b'HTTP/1.1 200 OK\r\nCache-Control: max-age=0\r\nETag: "a"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'
            )
        else:
            peer.reset()

    async def scene(stage: Stage) -> None:
        assert (await stage.ask(call())).body == b"ok"
        for _ in range(3):
            stale = await stage.ask(call())
            assert (stale.status, stale.body) == (200, b"ok"), stale
            assert b"stale-if-error" in stale.get(b"cache-status")[0]
        assert seen(stage) == 2  # the breaker is open: nobody was called again
        refused = await stage.ask(call("GET", path="/orders/other"))
        assert refused.problem["code"] == "breaker.open"

    combined(scene, script, cache={"stale_if_error": "1h"}, breaker={"failures": 1})


def test_the_next_in_line_asks_when_the_caller_of_a_shared_call_leaves(combined: Perform) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.gone()
        await go.wait()
        await peer.send(ok(b"ok", FRESH))
        await peer.gone()

    async def scene(stage: Stage) -> None:
        leader = await stage.caller()
        await leader.send(call())
        await holds(lambda: seen(stage) == 1)
        others = [asyncio.ensure_future(stage.ask(call())) for _ in range(5)]
        await holds(lambda: value(stage, "policy_decisions_total", "orders", "cache", "collapsed") == 5)
        leader.reset()
        await holds(lambda: seen(stage) == 2)
        go.set()
        assert [one.body for one in await asyncio.gather(*others)] == [b"ok"] * 5
        assert seen(stage) == 2

    combined(scene, script, cache={}, concurrency={"per": "ip", "max": 10}, retry={}, breaker={})


@pytest.mark.parametrize("how", ["endless", "silent"])
def test_a_refresh_that_nobody_waits_for_ends(combined: Perform, how: str) -> None:
    """Behind a stale answer the upstream is asked anew: its body is read as far as it may be stored, and by the deadline."""

    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            fields = b'Cache-Control: max-age=0\r\nETag: "a"\r\nConnection: close\r\n'
            await peer.send(b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\nok" % fields)
            return
        await peer.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"400\r\n" + b"x" * 1024 + b"\r\n"
        await peer.send(piece)
        while how == "endless":  # until the gateway closes
            await peer.send(piece)
        await peer.gone()

    async def scene(stage: Stage) -> None:
        assert (await stage.ask(call())).body == b"ok"
        assert (await stage.ask(call())).body == b"ok"
        await holds(lambda: seen(stage) == 2)
        await holds(lambda: value(stage, "bulkhead_in_use", "orders") == 0)
        await holds(lambda: stage.figures()["open"] == 0)

    combined(
        scene,
        script,
        cache={"stale_while_revalidate": "1h", "max_body": "16KiB"},
        bulkhead={"max": 1},
        timeout={"total": "1s"},
    )


# -- retries


def test_tries_end_with_the_deadline_and_the_breaker_counts_each(combined: Perform) -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async def scene(stage: Stage) -> None:
        started = asyncio.get_running_loop().time()
        answer = await stage.ask(call())
        took = asyncio.get_running_loop().time() - started
        assert (answer.status, answer.problem["code"]) == (504, "upstream.timeout")
        assert 0.25 < took < 2
        tries = seen(stage)
        assert 2 <= tries <= 4
        while (answer := await stage.ask(call())).status != 503:
            assert answer.status == 504
        assert answer.problem["code"] == "breaker.open"

    combined(
        scene,
        silent,
        upstream={"outlier": "off"},
        retry={"attempts": 10, "backoff": "1ms", "budget": "100%"},
        timeout={"total": "400ms", "attempt": "120ms"},
        breaker={"failures": 6},
    )


def test_a_body_that_streamed_is_never_sent_again_and_one_that_is_held_is(combined: Perform) -> None:
    big = b"x" * 300_000

    async def scene(stage: Stage) -> None:
        streamed = await stage.ask(post(KEY, body=big))
        assert (streamed.status, streamed.body) == (503, b"busy")
        assert seen(stage) == 1
        small = await stage.ask(post(KEY, body=b"small"))
        assert (small.status, small.body) == (200, b"served")
        assert [raw[-5:] for raw in stage.upstream.requests[1:]] == [b"small", b"small"]

    combined(
        scene,
        busy(2),
        upstream={"honours_idempotency_key": True},
        retry={"backoff": "1ms"},
        request_size={"max": "1MiB"},
    )


def test_a_long_body_that_a_key_holds_is_sent_again_whole(combined: Perform) -> None:
    big = b"x" * 300_000

    async def scene(stage: Stage) -> None:
        answer = await stage.ask(post(KEY, body=big))
        assert (answer.status, answer.body) == (200, b"served")
        assert [raw.endswith(b"\r\n\r\n" + big) for raw in stage.upstream.requests] == [True, True]

    combined(
        scene,
        busy(1),
        upstream={"honours_idempotency_key": True},
        idempotency=IDEMPOTENT,
        retry={"backoff": "1ms"},
    )
