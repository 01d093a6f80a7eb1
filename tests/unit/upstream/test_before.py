"""What is awaited before a call's first byte leaves: every kind of upstream asks, on every try, and heeds a no."""

from __future__ import annotations

import asyncio

import pytest

from gateway.api.errors import Cause, UpstreamError
from gateway.api.messages import Correlation
from gateway.testing.upstream import Peer, ScriptedUpstream, answering, ok


async def echo(peer: Peer) -> None:
    while True:
        await peer.send(await peer.read())


KINDS = [
    pytest.param("http", answering(ok()), {}, None, id="http"),
    pytest.param("tcp", echo, {"framing": {"length_prefix": 2}}, None, id="tcp"),
]


def url(upstream: ScriptedUpstream, kind: str) -> str:
    return f"{kind}://127.0.0.1:{upstream.port}"


@pytest.mark.parametrize(("kind", "script", "config", "correlation"), KINDS)
def test_it_is_asked_before_the_first_byte(
    play, caller_of, kind, script, config, correlation: Correlation | None
) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(url(upstream, kind), **config)
            calls = 0

            async def before() -> None:
                nonlocal calls
                calls += 1
                assert caller.figures()["requests"] == calls - 1
                await asyncio.sleep(0)

            for _ in range(2):  # the second finds an idle connection
                await caller.call("POST", body=b"ok", before=before, correlation=correlation)
            assert calls == 2

    play(scene)


@pytest.mark.parametrize(("kind", "script", "config", "correlation"), KINDS)
def test_a_no_ends_the_call_unsent_and_keeps_the_connection(
    play, caller_of, kind, script, config, correlation: Correlation | None
) -> None:
    async def no() -> None:
        raise UpstreamError(Cause.OVERLOAD, "queue", sent=False, detail="no")

    async def scene() -> None:
        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(url(upstream, kind), **config)
            await caller.call("POST", body=b"ok")
            with pytest.raises(UpstreamError, match="no") as refused:
                await caller.call("POST", body=b"ok", before=no, correlation=correlation)
            assert not refused.value.sent
            figures = caller.figures()
            assert (figures["requests"], figures["open"], figures["idle"], figures["errors"]) == (1, 1, 1, 0)
            await caller.call("POST", body=b"ok")
            assert len(upstream.peers) == 1

    play(scene)


def test_a_connection_that_ends_meanwhile_is_replaced(play, caller_of) -> None:
    async def once(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok())
        await upstream_closes.wait()
        peer.close()

    upstream_closes = asyncio.Event()

    async def scene() -> None:
        async with ScriptedUpstream(once) as upstream:
            caller = caller_of(upstream.url)
            await caller.call()

            async def before() -> None:
                if not upstream_closes.is_set():
                    upstream_closes.set()
                    await caller.until(lambda: caller.figures()["open"] == 0)

            assert (await caller.call("POST", body=b"x", before=before)).status == 200
            assert [len(upstream.peers), len(upstream.requests)] == [2, 2]

    play(scene)


def test_what_took_too_long_is_not_sent(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as upstream:
            caller = caller_of(upstream.url)

            async def before() -> None:
                late = asyncio.get_running_loop().time() + 0.02
                await caller.until(lambda: asyncio.get_running_loop().time() > late)

            with pytest.raises(UpstreamError, match="too late") as refused:
                await caller.call("POST", body=b"x", before=before, within_s=0.01)
            assert not refused.value.sent
            assert upstream.requests == []

    play(scene)


def test_ready_counts_connections_that_nobody_uses(play, caller_of) -> None:
    async def scene() -> None:
        both = asyncio.Event()

        async def answers_both_together(peer: Peer) -> None:  # else one connection may serve the two in turn
            await peer.request()
            if len(upstream.requests) == 2:
                both.set()
            await both.wait()
            await peer.send(ok())
            await peer.gone()

        async with ScriptedUpstream(answers_both_together) as upstream:
            caller = caller_of(upstream.url)
            assert not caller.upstream.ready(0)
            await asyncio.gather(caller.call(), caller.call())
            assert [caller.upstream.ready(others) for others in range(4)] == [True, True, False, False]

    play(scene)
