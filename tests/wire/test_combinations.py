"""Policies and adapters that meet on one route, on both servers: each does what it does alone, and none undoes another."""

from __future__ import annotations

import asyncio
import gzip
import re

from gateway.testing.upstream import answering, ok
from tests.wire.conftest import Perform
from tests.wire.plays import Answer, Stage, holds
from tests.wire.test_resilience import resets, value

CREATED = b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"id":7}'
JSON = b'{"hello": "world"}' * 200
TYPE = ("Content-Type", "application/json")
FRESH = ("Cache-Control", "max-age=60")
IDEMPOTENT = {"scope": "route", "store": "sqlite?sync=normal"}
KEY = "Idempotency-Key: k-1"


def call(method: str = "GET", *fields: str, body: bytes | None = None, path: str = "/orders") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: a", *fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode() + (body or b"")


def post(*fields: str, body: bytes = b"{}", path: str = "/orders") -> bytes:
    return call("POST", *fields, body=body, path=path)


def seen(stage: Stage) -> int:
    return len(stage.upstream.requests)


# -- idempotency beside others


def test_a_replay_is_coded_as_the_first_answer_was(combined: Perform) -> None:
    async def scene(stage: Stage) -> None:
        answers = [await stage.ask(post(KEY, "Accept-Encoding: gzip")) for _ in range(2)]
        assert [gzip.decompress(one.body) for one in answers] == [JSON, JSON]
        assert [one.get(b"content-encoding") for one in answers] == [[b"gzip"], [b"gzip"]]
        plain = await stage.ask(post(KEY))
        assert (plain.body, plain.get(b"content-encoding")) == (JSON, [])
        assert b"accept-encoding: identity" in stage.upstream.requests[0].lower()
        assert seen(stage) == 1

    combined(scene, answering(ok(JSON, TYPE)), idempotency=IDEMPOTENT, compress={"encodings": ["gzip"]})


def test_a_replay_forgets_nothing_that_is_stored_and_a_first_call_does(combined: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask(call())
        assert (await stage.ask(call())).get(b"cache-status")[0].startswith(b"sluicegate; hit")
        await stage.ask(post(KEY))
        assert (await stage.ask(call())).get(b"cache-status") == [b"sluicegate; fwd=uri-miss; fwd-status=200; stored"]
        replayed = await stage.ask(post(KEY))
        assert replayed.get(b"idempotency-replayed") == [b"true"]
        assert (await stage.ask(call())).get(b"cache-status")[0].startswith(b"sluicegate; hit")
        assert seen(stage) == 3

    combined(scene, answering(ok(b"ok", FRESH)), idempotency={**IDEMPOTENT, "required": False}, cache={})


def test_a_key_is_free_again_when_the_breaker_refused_its_call(combined: Perform) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask(post("Idempotency-Key: other"))).status == 502
        refused = await stage.ask(post(KEY))
        assert (refused.status, refused.problem["code"]) == (503, "breaker.open")
        first: Answer | None = None
        while first is None or first.status == 503:  # until `open` is over
            first = await stage.ask(post(KEY))
        assert (first.status, first.get(b"idempotency-replayed")) == (201, [])
        again = await stage.ask(post(KEY))
        assert (again.status, again.get(b"idempotency-replayed")) == (201, [b"true"])

    combined(
        scene,
        resets,
        answering(CREATED),
        idempotency=IDEMPOTENT,
        breaker={"failures": 1, "open": "50ms"},
        retry={"backoff": "1ms"},
    )


def test_a_call_that_may_have_been_executed_stays_so_when_its_retry_meets_an_open_breaker(
    combined: Perform,
) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask(post(KEY))).status == 503  # the second try was refused, the first may have arrived
        again = await stage.ask(post(KEY))
        assert (again.status, again.problem["code"]) == (409, "idempotency.outcome-unknown")
        assert seen(stage) == 1

    combined(
        scene,
        resets,
        answering(CREATED),
        upstream={"honours_idempotency_key": True},
        idempotency=IDEMPOTENT,
        breaker={"failures": 1},
        retry={"backoff": "1ms"},
    )


def test_a_retry_under_a_key_is_one_outcome(combined: Perform) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask(post(KEY))).body == b'{"id":7}'
        assert seen(stage) == 2
        assert (await stage.ask(post(KEY))).get(b"idempotency-replayed") == [b"true"]
        assert seen(stage) == 2

    combined(
        scene,
        resets,
        answering(CREATED),
        upstream={"honours_idempotency_key": True},
        idempotency=IDEMPOTENT,
        retry={"backoff": "1ms"},
    )


def test_a_key_and_a_full_bulkhead(combined: Perform) -> None:
    """What the bulkhead refused was not executed, and a call that waits in its queue while its caller leaves is none, either."""
    go = asyncio.Event()

    async def scene(stage: Stage) -> None:
        first, second = await stage.caller(), await stage.caller()
        await first.send(post("Idempotency-Key: first"))
        await holds(lambda: seen(stage) == 1)
        await second.send(post(KEY))
        await holds(lambda: value(stage, "bulkhead_waiting", "orders") == 1)
        refused = await stage.ask(post("Idempotency-Key: third"))
        assert refused.problem["code"] == "bulkhead.full"
        second.reset()
        go.set()
        assert (await first.answer()).status == 201
        await stage.quiet()
        again = await stage.ask(post(KEY))
        assert again.status == 201
        assert (await stage.ask(post("Idempotency-Key: third"))).get(b"idempotency-replayed") == []
        assert seen(stage) == 3  # whether it ran on or not: each key once
        assert value(stage, "bulkhead_in_use", "orders") == 0

    combined(scene, answering(CREATED, after=go), idempotency=IDEMPOTENT, bulkhead={"max": 1, "queue": 1})


# -- what a quota counts


def test_a_quota_counts_what_was_forwarded_and_gives_back_hits_and_replays(combined: Perform) -> None:
    async def scene(stage: Stage) -> None:
        def left(answer: Answer) -> int:
            (found,) = re.findall(rb'"route-quota";r=(\d+)', answer.get(b"ratelimit")[0])
            return int(found)

        assert left(await stage.ask(call())) == 9  # a miss
        await stage.ask(call())  # a hit
        await stage.quiet()
        assert left(await stage.ask(post(KEY))) == 8
        await stage.ask(post(KEY))
        await stage.quiet()
        assert left(await stage.ask(call("GET", "Cache-Control: no-cache"))) == 7
        assert seen(stage) == 3

    combined(
        scene,
        answering(ok(b"ok", FRESH)),
        quota={"per": "route", "limit": "10/day"},
        idempotency={**IDEMPOTENT, "required": False},
        cache={},
    )


def test_a_limit_in_shadow_beside_a_quota_that_is_enforced(combined: Perform) -> None:
    async def scene(stage: Stage) -> None:
        answers = [await stage.ask(call()) for _ in range(4)]
        assert [one.status for one in answers] == [200, 200, 200, 429]
        assert answers[3].problem["code"] == "quota.exceeded"
        assert {one.get(b"ratelimit-policy")[0].partition(b";")[0] for one in answers} == {b'"route-quota"'}
        for name, decision, count in (
            ("quota.route", "allow", 3),
            ("quota.route", "refuse", 1),
            ("rate_limit.tight", "shadow-allow", 1),
            ("rate_limit.tight", "shadow-refuse", 2),
        ):
            assert value(stage, "policy_decisions_total", "orders", name, decision) == count
        assert seen(stage) == 3

    combined(
        scene,
        answering(ok()),
        rate_limit={"name": "tight", "per": "route", "rate": "1/h", "burst": 1, "mode": "shadow"},
        quota={"per": "route", "limit": "3/day", "count": "all"},
    )
