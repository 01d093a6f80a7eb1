"""Upstreams fail: what partners see of it with retry, breaker, bulkhead and concurrency, on both servers."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from gateway.telemetry.metrics import Report
from gateway.testing.upstream import Peer, ScriptedUpstream, answering, ok
from tests.wire.conftest import Perform
from tests.wire.plays import TO_ALL, Stage, holds, plan_of

GET = b"GET /orders HTTP/1.1\r\nHost: a\r\n\r\n"


def post(*fields: bytes, body: bytes = b"a=1") -> bytes:
    extra = b"".join(field + b"\r\n" for field in fields)
    return b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%b\r\n" % (len(body), extra) + body


async def resets(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def hangs(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


def busy(times: int, then: bytes = b"") -> Any:
    """Answers 503 so often, then 200."""
    left = times

    async def script(peer: Peer) -> None:
        nonlocal left
        while True:
            await peer.request()
            left -= 1
            await peer.send(
                b"HTTP/1.1 503 Busy\r\n%bContent-Length: 4\r\n\r\nbusy" % then if left >= 0 else ok(b"served")
            )

    return script


def policies(**written: Any) -> dict[str, Any]:
    return {"policies": written}


def value(stage: Stage, name: str, *labels: str) -> Any:
    whole = Report()
    for part in stage.plane._resources.metrics.parts():
        whole.add(part)
    return whole.values[f"sluicegate_{name}"][labels]


def test_a_get_that_broke_is_tried_again(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask(GET)
        assert (answer.status, answer.body) == (200, b"ok")
        assert len(stage.upstream.requests) == 3
        assert value(stage, "upstream_retries_total", "orders", "reset") == 2

    play(scene, resets, resets, answering(ok()), upstream=policies(retry={"backoff": "1ms"}))


def test_a_post_of_which_bytes_left_is_never_sent_again(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask(post())
        assert (answer.status, answer.problem["code"]) == (502, "upstream.reset")
        assert len(stage.upstream.requests) == 1

    play(scene, resets, answering(ok()), upstream=policies(retry={"backoff": "1ms"}))


def test_a_post_with_a_key_that_the_upstream_honours_is_sent_again_whole(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask(post(b"Idempotency-Key: k1", body=b"amount=100"))
        assert answer.status == 200
        assert [raw[-10:] for raw in stage.upstream.requests] == [b"amount=100", b"amount=100"]

    config = {"honours_idempotency_key": True, **policies(retry={"backoff": "1ms"})}
    play(scene, resets, answering(ok()), upstream=config)


def test_statuses_are_retried_and_the_last_answer_is_passed_on(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask(GET)).body == b"served"
        assert len(stage.upstream.requests) == 3
        posted = await stage.ask(post())
        assert posted.status == 200

    play(scene, busy(2), upstream=policies(retry={"backoff": "1ms"}))


def test_a_retry_after_beyond_the_deadline_is_passed_on(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask(GET)
        assert (answer.status, answer.get(b"retry-after"), answer.body) == (503, [b"120"], b"busy")
        assert len(stage.upstream.requests) == 1

    play(scene, busy(9, b"Retry-After: 120\r\n"), upstream=policies(retry={"backoff": "1ms"}))


def test_the_next_try_goes_to_another_target(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        async with ScriptedUpstream(answering(ok(b"other"))) as other:
            document = {
                "version": 1,
                "listen": {"host": "127.0.0.1", "port": 0},
                "log": {"access": "off"},
                "upstreams": {
                    "orders": {
                        "targets": [stage.upstream.url, other.url],
                        "outlier": "off",
                        **policies(retry={"backoff": "1ms", "attempts": 2, "budget": "100%"}),
                    }
                },
                "routes": [TO_ALL],
            }

            await stage.gateway.apply(plan_of(stage.folder, document))
            for _ in range(30):
                answer = await stage.ask(GET)
                assert (answer.status, answer.body) == (200, b"other")
            assert stage.upstream.requests

    play(scene, resets)


def test_an_open_breaker_answers_at_once_and_calls_nobody(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        for _ in range(3):
            assert (await stage.ask(GET)).status == 502
        answer = await stage.ask(GET)
        assert (answer.status, answer.problem["code"], answer.get(b"retry-after")) == (503, "breaker.open", [b"30"])
        assert len(stage.upstream.requests) == 3
        assert value(stage, "breaker_state", "orders") == 2
        assert value(stage, "breaker_changes_total", "orders", "open") == 1

    play(scene, resets, upstream=policies(breaker={"failures": 3}))


def test_a_retry_does_not_ask_an_open_breaker_again(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask(GET)
        assert (answer.status, answer.problem["code"]) == (503, "breaker.open")
        assert len(stage.upstream.requests) == 1

    play(scene, resets, upstream=policies(breaker={"failures": 1}, retry={"backoff": "1ms"}))


def test_a_probe_whose_client_leaves_frees_its_place_and_the_next_closes_it(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask(GET)).status == 502
        while True:  # refused until the time of `open` is over
            caller = await stage.caller()
            await caller.send(GET)
            answer = asyncio.ensure_future(caller.answer())
            await holds(lambda answer=answer: answer.done() or len(stage.upstream.requests) == 2)
            if not answer.done():
                break
            assert (await answer).status == 503
        assert (await stage.ask(GET)).problem["code"] == "breaker.open"  # the probe is under way
        answer.cancel()
        caller.close()
        await stage.quiet()
        assert (await stage.ask(GET)).status == 200
        assert value(stage, "breaker_state", "orders") == 0

    play(scene, resets, hangs, answering(ok()), upstream=policies(breaker={"failures": 1, "open": "50ms"}))


def test_a_client_that_goes_away_never_opens_the_breaker(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        for number in range(3):
            caller = await stage.caller()
            await caller.send(GET)
            await holds(lambda number=number: len(stage.upstream.requests) > number)
            caller.close()
        await stage.quiet()
        assert (await stage.ask(GET)).status == 200

    play(scene, hangs, hangs, hangs, answering(ok()), upstream=policies(breaker={"failures": 1}))


def test_a_full_bulkhead_refuses_early_and_a_queue_waits_in_order(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        first, second = await stage.caller(), await stage.caller()
        await first.send(GET)
        await holds(lambda: stage.upstream.requests)
        await second.send(GET)
        await holds(lambda: value(stage, "bulkhead_waiting", "orders") == 1)
        refused = await stage.ask(GET)
        assert (refused.status, refused.problem["code"], refused.get(b"retry-after")) == (503, "bulkhead.full", [b"1"])
        go.set()
        assert (await first.answer()).status == 200
        assert (await second.answer()).status == 200
        assert value(stage, "bulkhead_in_use", "orders") == 0

    go = asyncio.Event()

    play(scene, answering(ok(), after=go), upstream=policies(bulkhead={"max": 1, "queue": 1}))


def test_a_caller_in_the_queue_that_leaves_gives_its_place_to_the_next(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        first, second = await stage.caller(), await stage.caller()
        await first.send(GET)
        await holds(lambda: stage.upstream.requests)
        await second.send(GET)
        await holds(lambda: value(stage, "bulkhead_waiting", "orders") == 1)
        second.close()
        await holds(lambda: value(stage, "bulkhead_waiting", "orders") == 0)
        first.close()
        await stage.quiet()
        assert value(stage, "bulkhead_in_use", "orders") == 0

    play(scene, hangs, upstream=policies(bulkhead={"max": 1, "queue": 1}))


def test_a_caller_has_so_many_calls_at_a_time(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(GET)
        await holds(lambda: stage.upstream.requests)
        refused = await stage.ask(GET)
        assert (refused.status, refused.problem["code"]) == (429, "concurrency.exceeded")
        caller.close()
        await stage.quiet()
        assert (await stage.ask(GET)).status == 200

    route = {**TO_ALL, "policies": {"concurrency": {"per": "ip", "max": 1}}}
    play(scene, hangs, answering(ok()), routes=[route])


def test_the_time_left_is_told_and_a_caller_cannot_tell_another(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        raw = GET.replace(b"\r\n\r\n", b"\r\nX-Request-Timeout-Ms: 999999\r\n\r\n")
        assert (await stage.ask(raw)).status == 200
        (told,) = re.findall(rb"(?i)\r\nx-request-timeout-ms: (\d+)", stage.upstream.requests[0])
        assert 1_000 < int(told) <= 2_000

    play(scene, upstream={"send_deadline": True, **policies(timeout={"total": "2s"})})
