"""Callers that take their time: heads, bodies and pauses are bounded by the listener's figures, on both servers."""

from __future__ import annotations

import asyncio

import pytest

from gateway.testing.upstream import Peer
from tests.wire.conftest import Perform
from tests.wire.plays import TO_ALL, Broken, Caller, Server, Stage, holds

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
QUICK = {"header_timeout": "100ms", "keep_alive": "200ms", "body_timeout": "150ms"}


@pytest.fixture(autouse=True)
def swept_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.edge.body.SWEEP_S", 0.05)


async def trickles(caller: Caller, octets: bytes) -> None:
    """One octet every 50 ms, for as long as the gateway listens."""
    loop = asyncio.get_running_loop()
    for at in range(len(octets)):
        await caller.send(octets[at : at + 1])
        pause = loop.create_future()
        loop.call_later(0.05, pause.set_result, None)
        await pause


async def refusal(caller: Caller) -> int | None:
    """The status of a refusal, None when the connection was closed without one; it is closed either way."""
    try:
        answer = await caller.answer(check=False)
    except Broken:
        return None
    assert answer.ends_connection
    assert await caller.rest() == b""
    return answer.status


HEADS = {
    "nothing": b"",
    "empty lines": b"\r\n\r\n",
    "half a request line": b"GET /",
    "no last line": GET[:-2],
    "half a field": GET[:-6],
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_does_not_end(play: Perform, server: Server, name: str) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(HEADS[name])
        status = await refusal(caller)
        assert status is None if server == "granian" or not HEADS[name] else status == 408
        assert stage.upstream.requests == []

    play(scene, listen=QUICK)


def test_a_head_that_trickles(play: Perform, server: Server) -> None:
    """The bound is for the whole head: another octet in time does not win more of it."""

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        trickling = asyncio.ensure_future(trickles(caller, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1000))
        assert await refusal(caller) == (None if server == "granian" else 408)
        trickling.cancel()

    play(scene, listen=QUICK)


def test_an_idle_connection_is_closed(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(GET)
        assert (await caller.answer()).status == 200
        assert await caller.rest() == b""

    play(scene, listen=QUICK)


BODIES = {
    "a length, and no body": b"Content-Length: 3\r\n\r\n",
    "a giant length": b"Content-Length: 9223372036854775807\r\n\r\nabc",
    "half a body": b"Content-Length: 6\r\n\r\nabc",
    "no last chunk": b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "half a chunk": b"Transfer-Encoding: chunked\r\n\r\n6\r\nabc",
    "half a size": b"Transfer-Encoding: chunked\r\n\r\n1",
    "an extension without end": b"Transfer-Encoding: chunked\r\n\r\n1;a",
    "no end of the trailers": b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n",
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_does_not_come(play: Perform, name: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.gone()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(POST + BODIES[name])
        answer = await caller.answer()
        assert (answer.status, answer.problem["code"]) == (408, "request.body-timeout")
        assert answer.ends_connection
        assert await caller.rest() == b""
        await holds(lambda: stage.figures()["open"] == 0)

    play(scene, script, listen=QUICK)


def test_a_body_that_trickles_is_bounded_by_the_deadline(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.gone()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(POST + b"Content-Length: 1000\r\n\r\n")
        trickling = asyncio.ensure_future(trickles(caller, b"a" * 1000))
        answer = await caller.answer()
        assert answer.status in (408, 504), "whichever bound is seen first"
        trickling.cancel()
        caller.close()
        await holds(lambda: stage.figures()["open"] == 0)

    route = {**TO_ALL, "policies": {"timeout": {"total": "400ms", "attempt": "300ms"}}}
    play(scene, script, routes=[route])
