"""Targets that fail calls or checks, idle connections that will soon be closed, calls that belong together: with scripted upstreams."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter

import pytest

from gateway.api.errors import Cause, UpstreamError
from gateway.api.messages import Headers, UpstreamRequest
from gateway.api.settings.upstream import UpstreamConfig
from gateway.testing.turns import until
from gateway.testing.upstream import Peer, Script, ScriptedUpstream, answering, ok

CHECK = b"GET /health HTTP/1.1\r\n"


def status(code: int, content_type: str = "text/plain") -> bytes:
    return f"HTTP/1.1 {code} So\r\nContent-Type: {content_type}\r\nContent-Length: 0\r\n\r\n".encode()


def calls(upstream: ScriptedUpstream) -> int:
    return sum(not request.startswith(CHECK) for request in upstream.requests)


async def send(caller, *, affinity: bytes | None = None, tried: list[str] | None = None):
    request = UpstreamRequest("GET", b"/", Headers([(b"host", b"a")]), None, None, tried, affinity)
    return await caller.upstream.send(request, asyncio.get_running_loop().time() + 5, replayable=True)


@pytest.mark.parametrize(
    ("answer", "out"),
    [
        (status(500), True),
        (status(503), True),
        (status(501), False),
        (status(404), False),
        (status(500, "text/xml; charset=utf-8"), False),  # a SOAP fault, which may be its caller's
        (status(500, "application/soap+xml"), False),
    ],
)
def test_what_counts_against_a_target(play, caller_of, caplog, answer: bytes, out: bool) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(answer)) as bad, ScriptedUpstream(answering(ok())) as good:
            caller = caller_of(bad.url, good.url, balance="round_robin")
            for _ in range(20):
                await caller.call()
            assert calls(bad) == (5 if out else 10)
            state = caller.upstream.states()[bad.url]
            assert (state["state"], state["called"]) == (("ejected", False) if out else ("in", True))
            assert caller.figures(bad.url)["ejections"] == out
            if out:
                assert state["why"] == f"5 failed calls in a row, the last: status {answer[9:12].decode()}"
                assert 29.0 <= state["back_in_s"] <= 30.0
                assert f"{bad.url} is ejected" in caplog.text
            assert caller.upstream.states()[good.url]["state"] == "in"

    caplog.set_level(logging.INFO, "sluicegate.upstream")
    play(scene)


def test_broken_and_truncated_answers_count(play, caller_of, read_whole) -> None:
    async def truncating(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        peer.close()

    async def scene() -> None:
        for script in (truncating, answering(b"garbage\r\n\r\n")):
            async with ScriptedUpstream(script) as bad, ScriptedUpstream(answering(ok())) as good:
                caller = caller_of(bad.url, good.url, balance="round_robin")
                for _ in range(14):
                    with contextlib.suppress(UpstreamError):
                        await read_whole(await caller.call())
                assert calls(bad) == 5
                assert caller.upstream.states()[bad.url]["state"] == "ejected"

    play(scene)


def test_an_ejected_target_is_tried_rather_than_none(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(status(503))) as bad:
            async with ScriptedUpstream(answering(ok())) as good:
                caller = caller_of(bad.url, good.url, balance="round_robin", connections={"idle": "1h"})
                for _ in range(10):
                    await caller.call()
                assert caller.upstream.states()[bad.url]["state"] == "ejected"
            await caller.until(lambda: caller.figures(good.url)["open"] == 0)
            assert (await caller.call()).status == 503
            assert caller.upstream.states()[good.url]["state"] == "unreachable"
            assert caller.upstream.states()[good.url]["why"].startswith("connect at connect")

    play(scene)


def test_a_call_whose_target_was_killed_goes_to_another(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as stays:
            async with ScriptedUpstream(answering(ok())) as dies:
                caller = caller_of(dies.url, stays.url, balance="round_robin")
                await caller.call()
                await caller.call()
                assert (calls(dies), calls(stays)) == (1, 1)
            assert (await caller.call(replayable=True)).status == 200
            assert (await caller.call(replayable=True)).status == 200
            assert calls(stays) == 3

    play(scene)


def test_retries_prefer_targets_that_were_not_tried(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as one, ScriptedUpstream(answering(ok())) as two:
            caller = caller_of(one.url, two.url)
            for _ in range(10):
                tried = [one.url]
                await send(caller, tried=tried)
                assert tried == [one.url, two.url]
                await send(caller, tried=tried)
                assert tried[2] == one.url  # of those tried, not the last
            assert (calls(one), calls(two)) == (10, 10)

    play(scene)


def test_calls_that_belong_together_go_to_one_target(play, caller_of) -> None:
    async def scene() -> None:
        async with (
            ScriptedUpstream(answering(ok())) as one,
            ScriptedUpstream(answering(ok())) as two,
            ScriptedUpstream(answering(ok())) as three,
        ):
            caller = caller_of(one.url, two.url, three.url, balance={"hash": "header:X-Tenant"})
            for number in range(8):
                before = [calls(each) for each in (one, two, three)]
                for _ in range(3):
                    await send(caller, affinity=b"tenant %d" % number)
                after = [calls(each) for each in (one, two, three)]
                assert sorted(b - a for a, b in zip(before, after, strict=True)) == [0, 0, 3]

    play(scene)


# health checks


def healthy_by(sick: Counter[str]) -> Script:
    """Answers checks with 500 while `sick` has something, and everything else with 200."""

    async def script(peer: Peer) -> None:
        while True:
            raw = await peer.request()
            await peer.send(status(500) if raw.startswith(CHECK) and sick["sick"] else ok())

    return script


HEALTH = {"interval": "5ms", "unhealthy": 3, "healthy": 2}


def test_a_target_that_fails_its_checks_is_left_out_and_comes_back(play, caller_of) -> None:
    async def scene() -> None:
        sick: Counter[str] = Counter(sick=1)
        async with ScriptedUpstream(healthy_by(sick)) as one, ScriptedUpstream(answering(ok())) as two:
            caller = caller_of(one.url, two.url, health=HEALTH, balance="round_robin")
            assert caller.upstream.states()[one.url]["state"] == "in"
            await caller.until(lambda: caller.upstream.states()[one.url]["state"] == "unhealthy")
            assert len([each for each in one.requests if each.startswith(CHECK)]) >= 3
            assert caller.upstream.states()[one.url]["why"] == "3 checks in a row failed, the last: status 500"
            before = calls(one)
            for _ in range(6):
                assert (await caller.call()).status == 200
            assert calls(one) == before
            sick.clear()
            await caller.until(lambda: caller.upstream.states()[one.url]["state"] == "in")
            assert caller.upstream.states()[one.url]["why"] == "2 checks in a row passed"
            await caller.call()
            await caller.call()
            assert calls(one) == before + 1
            assert b"host: 127.0.0.1" in one.requests[0]
            assert b"user-agent: sluicegate-health\r\n" in one.requests[0]
            caller.upstream.close()

    play(scene)


def test_no_healthy_target(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(status(500))) as one:
            caller = caller_of(one.url, health=HEALTH)
            await caller.until(lambda: caller.upstream.states()[one.url]["state"] == "unhealthy")
            with pytest.raises(UpstreamError) as caught:
                await caller.call()
            error = caught.value
            assert (error.cause, error.stage, error.sent) == (Cause.OVERLOAD, "queue", False)
            assert error.detail == "no healthy target"
            assert calls(one) == 0
            caller.upstream.reconfigure(UpstreamConfig.model_validate({"targets": [one.url]}))  # without checks
            assert (await caller.call()).status == 500
            caller.upstream.close()

    play(scene)


@pytest.mark.parametrize(
    ("answer", "expect", "passes"),
    [
        (status(204), "200-399", True),
        (status(401), "200-399", False),
        (status(401), "401", True),
        (b"nonsense\r\n\r\n", "200-399", False),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "200", True),
    ],
)
def test_what_passes_a_check(play, caller_of, answer: bytes, expect: str, passes: bool) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(answer)) as one:
            caller = caller_of(one.url, health={**HEALTH, "unhealthy": 1, "expect": expect})
            await caller.until(lambda: len(one.peers) >= 3)
            assert caller.upstream.states()[one.url]["state"] == ("in" if passes else "unhealthy")
            caller.upstream.close()

    play(scene)


def test_checks_of_another_port_and_without_http(play, caller_of) -> None:
    async def silent(peer: Peer) -> None:
        await peer.gone()

    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as one, ScriptedUpstream(silent) as checked:
            tcp = {**HEALTH, "unhealthy": 1, "tcp": True, "port": checked.port}
            caller = caller_of(one.url, health=tcp)
            await caller.until(lambda: len(checked.peers) >= 2)
            assert caller.upstream.states()[one.url]["state"] == "in"
            asked = {**tcp, "tcp": False, "timeout": "20ms"}
            caller.upstream.reconfigure(UpstreamConfig.model_validate({"targets": [one.url], "health": asked}))
            await caller.until(lambda: caller.upstream.states()[one.url]["state"] == "unhealthy")
            assert "timeout at head" in caller.upstream.states()[one.url]["why"]
            assert not one.requests
            caller.upstream.close()

    play(scene)


def test_closing_ends_the_checks(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as one:
            before = asyncio.all_tasks()
            caller = caller_of(one.url, health=HEALTH)
            checks = asyncio.all_tasks() - before
            assert len(checks) == 1
            await caller.until(lambda: len(one.requests) > 0)
            caller.upstream.close()
            await until(lambda: all(task.done() for task in checks))

    play(scene)


# idle connections


def age(caller, url: str, seconds: float) -> None:
    """As if the idle connections had been so for longer."""
    for connection in caller.upstream._targets.pools[url]._idle:
        connection.idle_since -= seconds


def test_a_connection_that_will_soon_be_closed_is_not_used(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok(b"ok", ("Keep-Alive", "timeout=5, max=100")))) as one:
            caller = caller_of(one.url)
            await caller.call()
            age(caller, one.url, 3.5)
            await caller.call()
            assert len(one.peers) == 1
            age(caller, one.url, 4.5)
            await caller.call()
            assert len(one.peers) == 2
            assert caller.figures()["idle"] == 2
            assert caller.upstream.states()[one.url]["closes_idle_after_s"] == 5.0

    play(scene)


def test_an_old_idle_connection_makes_room(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok(b"ok", ("Keep-Alive", "timeout=5")))) as one:
            caller = caller_of(one.url, connections={"max": 1})
            await caller.call()
            age(caller, one.url, 4.5)
            await caller.call()
            assert len(one.peers) == 2
            assert caller.figures()["open"] == 1

    play(scene)


def test_the_ages_of_closes_are_learned(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as one:
            caller = caller_of(one.url)
            for number in range(2):
                await caller.call()
                age(caller, one.url, 2.0)
                one.peers[-1].close()
                await caller.until(lambda: caller.figures()["open"] == 0)
                pool = caller.upstream._targets.pools[one.url]
                assert (pool.idle_limit.learned_s is None) == (number == 0)
                pool.idle_limit._event_at -= 1.0  # a while passes
            assert 2.0 <= caller.upstream.states()[one.url]["closes_idle_after_s"] < 2.1
            await caller.call()
            age(caller, one.url, 1.7)
            await caller.call()
            assert len(one.peers) == 4

    play(scene)


# configuration


def test_a_target_that_stays_keeps_its_standing_and_a_new_one_is_led_in(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(status(503))) as bad, ScriptedUpstream(answering(ok())) as good:
            caller = caller_of(bad.url, good.url, balance="round_robin", slow_start="1h")
            for _ in range(10):
                await caller.call()
            async with ScriptedUpstream(answering(ok())) as new:
                config = {"targets": [bad.url, good.url, new.url], "slow_start": "1h", "balance": "round_robin"}
                caller.upstream.reconfigure(UpstreamConfig.model_validate(config))
                states = {url: state["state"] for url, state in caller.upstream.states().items()}
                assert states == {bad.url: "ejected", good.url: "in", new.url: "slow_start"}
                for _ in range(100):
                    await caller.call()
                assert 1 <= calls(new) <= 25  # a tenth of its half, not all of it and not nothing
                assert calls(bad) == 5

    play(scene)
