"""An upstream that speaks HTTP/2, seen through the gateway on both servers."""

from __future__ import annotations

import asyncio

from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection

from tests.unit.upstream.http2_peer import Http2Peer, ended
from tests.wire.conftest import Perform
from tests.wire.plays import Stage, holds
from tests.wire.websockets import BINARY, TEXT, closing, connect, fields_of, frame, handshake

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


def test_websockets_are_refused_where_they_are_not_offered(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(handshake())
        answer = await caller.answer(check=False)
        assert (answer.status, answer.problem["code"]) == (501, "websocket.http2")
        assert server.heads == []
        await holds(lambda: not server.live)

    server = Http2Peer(ended(lambda peer, stream: peer.answer(stream)))
    play(scene, server, upstream=HTTP2)


class WebSocketPeer(Http2Peer):
    """Takes WebSockets by extended CONNECT (RFC 8441), and gives back what comes on them."""

    def __init__(self, status: bytes = b"200", *fields: tuple[bytes, bytes], window: int = 65535) -> None:
        super().__init__(self._on, tunnels=True, window=window)
        self._answer = status, fields
        self._frames: dict[int, Connection] = {}

    async def _on(self, peer: Http2Peer, event: Event) -> None:
        status, fields = self._answer
        match event:
            case RequestReceived() if status == b"200":
                self._frames[event.stream_id] = Connection(ConnectionType.SERVER)
                self.h2.send_headers(event.stream_id, [(b":status", status), *fields])
            case RequestReceived():
                self.answer(event.stream_id, b"no", *fields, status=status)
            case DataReceived(stream_id=stream) if stream in self._frames:
                frames = self._frames[stream]
                frames.receive_data(event.data)
                for message in frames.events():
                    if not isinstance(message, CloseConnection):  # the gateway closes without waiting for an answer
                        self.h2.send_data(stream, frames.send(message))


def test_websockets_pass_by_extended_connect(play: Perform) -> None:
    server = WebSocketPeer(b"200", (b"sec-websocket-protocol", b"chat"))

    async def scene(stage: Stage) -> None:
        client = await connect(stage, handshake(b"Sec-WebSocket-Protocol: chat, other", b"Cookie: a=b", path=b"/a?b=c"))
        assert fields_of(client.head)[b"sec-websocket-protocol"] == b"chat"
        head = server.heads[0]
        assert (head[b":method"], head[b":protocol"], head[b":path"]) == (b"CONNECT", b"websocket", b"/a?b=c")
        assert (head[b":scheme"], head[b":authority"], head[b"cookie"]) == (b"http", stage.host, b"a=b")
        assert head[b"sec-websocket-version"] == b"13"
        assert head[b"sec-websocket-protocol"] == b"chat, other"
        assert not {b"sec-websocket-key", b"connection", b"upgrade"} & head.keys()
        for data in ("grüße".encode(), b"", b"x" * 20_000):
            await client.send(frame(TEXT, data))
            assert (await client.next()).data == data
        await client.send(closing(1000))
        assert (await client.next()).code == 1000
        await holds(lambda: not server.live)
        assert (await stage.logged())["status"] == 101

    play(scene, server, upstream=HTTP2)


def test_a_message_waits_for_the_upstreams_window(play: Perform) -> None:
    server = WebSocketPeer(window=1000)

    async def scene(stage: Stage) -> None:
        client = await connect(stage)
        for _ in range(4):
            await client.send(frame(BINARY, b"x" * 50_000))
        for _ in range(4):
            assert len((await client.next()).data) == 50_000

    play(scene, server, upstream=HTTP2)


def test_a_refusal_of_a_tunnel_passes(play: Perform) -> None:
    server = WebSocketPeer(b"403", (b"x-why", b"because"))

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(handshake())
        answer = await caller.answer(check=False)
        assert (answer.status, answer.get(b"x-why"), answer.body) == (403, [b"because"], b"no")
        await holds(lambda: not server.live)

    play(scene, server, upstream=HTTP2)


def test_a_connection_that_is_lost_ends_its_websocket(play: Perform) -> None:
    server = WebSocketPeer()

    async def scene(stage: Stage) -> None:
        client = await connect(stage)
        for peer in list(server.live):
            peer.close()
        assert (await client.next()).code == 1011

    play(scene, server, upstream=HTTP2)


def test_what_was_not_offered_is_a_broken_answer(play: Perform) -> None:
    server = WebSocketPeer(b"200", (b"sec-websocket-extensions", b"permessage-deflate"))

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(handshake())
        answer = await caller.answer(check=False)
        assert (answer.status, answer.problem["code"]) == (502, "upstream.protocol")

    play(scene, server, upstream=HTTP2)
