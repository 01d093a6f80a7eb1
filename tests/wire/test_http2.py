"""An upstream that speaks HTTP/2, seen through the gateway on both servers."""

from __future__ import annotations

import asyncio

from h2.errors import ErrorCodes
from h2.events import Event, RequestReceived

from tests.unit.upstream.http2_peer import Http2Peer, ended
from tests.wire.conftest import Perform
from tests.wire.plays import Stage, holds

HTTP2 = {"protocol": "http2"}


def test_calls_of_many_callers_share_one_connection(play: Perform) -> None:
    waiting: list[int] = []

    def hold(peer: Http2Peer, stream: int) -> None:
        waiting.append(stream)
        if len(waiting) == 8:
            for number in waiting:
                peer.answer(number, b"hello", (b"x-a", b"1"))

    server = Http2Peer(ended(hold))

    async def scene(stage: Stage) -> None:
        raw = b"POST /a?b=c HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        answers = await asyncio.gather(*(stage.ask(raw) for _ in range(8)))
        assert [(one.status, one.body, one.get(b"x-a")) for one in answers] == [(200, b"hello", [b"1"])] * 8
        assert server.connections == 1
        assert server.heads[0][b":path"] == b"/a?b=c"
        assert server.heads[0][b"x-forwarded-for"] == b"127.0.0.1"
        assert set(server.bodies.values()) == {b"abc"}

    play(scene, server, upstream=HTTP2)


def test_a_caller_that_leaves_cancels_its_stream(play: Perform) -> None:
    async def on(peer: Http2Peer, event: Event) -> None:
        if isinstance(event, RequestReceived):
            peer.h2.send_headers(event.stream_id, [(b":status", b"200"), (b"content-type", b"text/event-stream")])
            peer.h2.send_data(event.stream_id, b"data: 1\n\n")

    server = Http2Peer(on)

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"data: 1" in await caller.reader.readuntil(b"data: 1\n\n")
        caller.reset()
        await holds(lambda: server.resets == [ErrorCodes.CANCEL])
        await stage.quiet()

    play(scene, server, upstream=HTTP2)


def test_websockets_are_refused_there(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        answer = await caller.answer(check=False)
        assert (answer.status, answer.problem["code"]) == (501, "websocket.http2")

    play(scene, upstream=HTTP2)
