"""Server-sent events through the gateway: each as it comes, and every way for such a stream to end."""

from __future__ import annotations

import asyncio

from gateway.testing.upstream import Peer
from tests.wire.conftest import Perform
from tests.wire.plays import PATIENCE_S, Caller, Stage

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nLast-Event-ID: 7\r\n\r\n"


def event(number: int) -> bytes:
    data = b"id: %d\ndata: x\n\n" % number
    return b"%x\r\n%b\r\n" % (len(data), data)


async def comes(caller: Caller, number: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await caller.reader.readuntil(b"id: %d\ndata: x\n\n" % number)


def test_each_event_arrives_before_the_next_is_sent_and_the_end_passes(play: Perform) -> None:
    step = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD)
        for number in range(5):
            await peer.send(event(number))
            await step.wait()
            step.clear()
        await peer.send(b"0\r\n\r\n")

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(GET)
        assert b"text/event-stream" in await caller.reader.readuntil(b"\r\n\r\n")
        for number in range(5):
            await comes(caller, number)
            step.set()
        await caller.reader.readuntil(b"\r\n0\r\n\r\n")
        assert b"last-event-id: 7" in stage.upstream.requests[0]
        line = await stage.logged()
        assert (line["status"], line.get("complete")) == (200, None)

    play(scene, script)


def test_a_caller_that_leaves_ends_the_upstreams_stream(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD, event(1))
        await peer.gone()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(GET)
        await comes(caller, 1)
        caller.close()
        async with asyncio.timeout(PATIENCE_S):
            await stage.upstream.peers[0].ended.wait()
        await stage.quiet()

    play(scene, script)


def test_silence_ends_a_stream(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD, event(1))
        await peer.gone()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(GET)
        await comes(caller, 1)
        assert not (await caller.rest()).endswith(b"0\r\n\r\n"), "it was cut, and does not look whole"
        line = await stage.logged()
        assert (line["codes"], line["complete"]) == (["upstream.timeout"], False)

    play(scene, script, upstream={"timeout": {"idle": "150ms"}})


def test_events_do_not_prolong_streams_max(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD)
        number = 0
        while True:
            number += 1
            await peer.send(event(number))
            turn = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.02, turn.set_result, None)
            await turn

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(GET)
        await comes(caller, 3)
        assert not (await caller.rest()).endswith(b"0\r\n\r\n")
        assert (await stage.logged())["codes"] == ["streams.max"]

    play(scene, script, streams={"max": "300ms"})
