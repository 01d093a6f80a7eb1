"""WebSockets through the gateway, on both servers: policies before the upgrade, messages both ways, every way to end."""

from __future__ import annotations

import asyncio

import pytest

from gateway.testing.upstream import Peer, answering
from tests.wire.conftest import Perform
from tests.wire.plays import TO_ALL, Server, Stage, holds
from tests.wire.websockets import (
    ACCEPT,
    BINARY,
    CLOSE,
    KEY,
    PING,
    PONG,
    TEXT,
    accept,
    closing,
    connect,
    echo,
    fields_of,
    frame,
    handshake,
)


def test_messages_pass_both_ways(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        client = await connect(stage, handshake(b"Cookie: a=b", b"Origin: http://o", path=b"/a%2Fb?c=d"))
        assert fields_of(client.head)[b"sec-websocket-accept"] == ACCEPT
        head = fields_of(stage.upstream.requests[0])
        assert stage.upstream.requests[0].startswith(b"GET /a%2Fb?c=d HTTP/1.1\r\n")
        assert head[b"host"] == stage.host
        assert (head[b"cookie"], head[b"origin"]) == (b"a=b", b"http://o")
        assert head[b"x-forwarded-for"] == b"127.0.0.1"
        assert head[b"x-forwarded-host"] == b"a"
        assert (head[b"connection"], head[b"upgrade"]) == (b"Upgrade", b"websocket")
        assert head[b"sec-websocket-key"] != KEY
        assert stage.upstream.requests[0].lower().count(b"sec-websocket-key") == 1
        assert b"x-request-id" in head
        for opcode, data in (
            (TEXT, "grüße".encode()),
            (BINARY, b"\0\xff"),
            (TEXT, b""),
            (BINARY, b""),
            (TEXT, b"x" * 70_000),
        ):
            await client.send(frame(opcode, data))
            got = await client.next()
            assert (got.opcode, got.data, got.masked) == (opcode, data, False)
        await client.send(frame(TEXT, b"in ", fin=False), frame(0, b"two"))
        assert (await client.next()).data == b"in two"
        await client.send(frame(PING, b"p"))
        pong = await client.next()
        assert (pong.opcode, pong.data) == (PONG, b"p")
        await client.send(closing(1000))
        assert (await client.next()).code == 1000
        await stage.quiet()
        line = await stage.logged()
        assert (line["status"], line["route"], line["upstream"], line["bytes"]) == (
            101,
            "all",
            "orders",
            70_000 + 2 + 7 + 6,
        )
        assert "complete" not in line

    play(scene, echo)


def test_a_message_behind_the_handshake_is_not_lost(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        client = await connect(stage, handshake() + frame(TEXT, b"early"))
        assert (await client.next()).data == b"early"

    play(scene, echo)


def test_subprotocols_pass_and_extensions_do_not(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        server = await accept(peer, b"Sec-WebSocket-Protocol: two")
        await server.next()

    async def scene(stage: Stage) -> None:
        offer = (b"Sec-WebSocket-Protocol: one, two", b"Sec-WebSocket-Extensions: permessage-deflate")
        client = await connect(stage, handshake(*offer))
        assert fields_of(client.head)[b"sec-websocket-protocol"] == b"two"
        assert b"sec-websocket-extensions" not in fields_of(client.head)
        head = fields_of(stage.upstream.requests[0])
        assert head[b"sec-websocket-protocol"] == b"one, two"
        assert b"sec-websocket-extensions" not in head

    play(scene, script)


@pytest.mark.parametrize("code", [1000, 1001, 1008, 3000, 4999])
def test_close_codes_pass_both_ways(play: Perform, code: int) -> None:
    seen: list[tuple[int, bytes]] = []

    async def script(peer: Peer) -> None:
        server = await accept(peer)
        if peer.number:
            await server.send(closing(code, b"why", masked=False))
        got = await server.next()
        seen.append((got.code, got.data[2:]))

    async def scene(stage: Stage) -> None:
        client = await connect(stage)
        await client.send(closing(code, b"why"))
        assert (await client.next()).code == code
        await stage.quiet()
        client = await connect(stage)
        got = await client.next()
        assert (got.opcode, got.code, got.data[2:]) == (CLOSE, code, b"why")
        await stage.quiet()
        assert seen[0][0] == code

    play(scene, script)


def test_what_an_upstream_closes_with_at_once_reaches_the_caller(play: Perform) -> None:
    """Its message and close frame come in one segment with its 101."""

    async def script(peer: Peer) -> None:
        await accept(peer, behind=frame(TEXT, b"last", masked=False) + closing(3001, b"why", masked=False))
        await peer.gone()

    async def scene(stage: Stage) -> None:
        client = await connect(stage)
        assert (await client.next()).data == b"last"
        got = await client.next()
        assert (got.opcode, got.code, got.data[2:]) == (CLOSE, 3001, b"why")
        await stage.quiet()

    play(scene, script)


def test_an_upstreams_1014_becomes_1011(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        server = await accept(peer)
        await server.send(closing(1014, b"why", masked=False))
        await peer.gone()

    async def scene(stage: Stage) -> None:
        client = await connect(stage)
        assert (await client.next()).code == 1011
        await stage.quiet()

    play(scene, script)


def test_a_caller_without_credentials_is_refused_before_the_upgrade(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(handshake())
        answer = await caller.answer(check=False)
        assert answer.status == 401
        assert answer.get(b"www-authenticate") != []
        assert stage.upstream.requests == []
        await stage.quiet()
        assert (await stage.logged())["status"] == 401

    routes = [{"name": "all", "match": {"path": "/**"}, "upstream": "orders", "policies": {"api_key": {}}}]
    play(scene, echo, routes=routes)


def test_limits_count_handshakes(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await connect(stage)
        caller = await stage.caller()
        await caller.send(handshake())
        assert (await caller.answer(check=False)).status == 429

    route = {**TO_ALL, "policies": {"rate_limit": {"per": "ip", "rate": "1/h", "burst": 1}}}
    play(scene, echo, routes=[route])


BAD = {
    "no key": handshake().replace(b"\r\nSec-WebSocket-Key: " + KEY, b""),
    "short key": handshake(key=b"dGhl"),
    "no base64": handshake(key=b"!" * 24),
    "two keys": handshake(b"Sec-WebSocket-Key: " + KEY),
    "version 8": handshake().replace(b"Version: 13", b"Version: 8"),
    "no version": handshake().replace(b"\r\nSec-WebSocket-Version: 13", b""),
    "two hosts": handshake(b"Host: b"),
    "no host": handshake().replace(b"Host: a\r\n", b""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_handshake_is_one_request_with_one_answer(play: Perform, name: str) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(BAD[name])
        answer = await caller.answer(check=False)
        assert answer.status in (400, 426)
        await caller.send(b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        rest = await caller.rest()
        assert rest.count(b"HTTP/1.1 ") <= 1
        assert all(request.startswith(b"GET /next ") for request in stage.upstream.requests)

    play(scene, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))


@pytest.mark.parametrize(
    "said",
    [
        b"Connection: Upgrade\r\nConnection: keep-alive\r\nUpgrade: websocket",
        b"Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: websocket",
        b"Connection: keep-alive , UPGRADE\r\nUpgrade: WebSocket",
        b"Connection: Upgrade\r\nUpgrade: h2c, websocket",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket",
    ],
)
def test_a_handshake_may_say_it_in_lists_and_several_fields(play: Perform, said: bytes) -> None:
    """RFC 6455 §4.2.1: Connection and Upgrade include the words; RFC 9110 §5.3: several fields are one list."""

    async def scene(stage: Stage) -> None:
        raw = handshake().replace(b"Connection: Upgrade\r\nUpgrade: websocket", said)
        client = await connect(stage, raw)
        await client.send(frame(TEXT, b"hi"))
        assert (await client.next()).data == b"hi"

    play(scene, echo)


def test_a_refused_handshake_says_whether_the_connection_goes_on(play: Perform) -> None:
    """RFC 9112 §9.6: who will read no other request says close."""

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(handshake())
        answer = await caller.answer(check=False)
        assert answer.status == 401
        if b"close" in answer.get(b"connection"):
            assert await caller.rest() == b""
        else:
            await caller.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await caller.answer(check=False)).status == 401

    routes = [{"name": "all", "match": {"path": "/**"}, "upstream": "orders", "policies": {"api_key": {}}}]
    play(scene, echo, routes=routes)


SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
WITH_BODY = {
    "length": handshake(b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,
    "chunks": handshake(b"Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
    "bad and length": handshake(b"Content-Length: %d" % len(SMUGGLED), key=b"x") + SMUGGLED,
    "no key and length": BAD["no key"].replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED))
    + SMUGGLED,
}


@pytest.mark.parametrize("name", WITH_BODY)
def test_a_body_of_a_handshake_is_no_request(play: Perform, name: str) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(WITH_BODY[name])
        await caller.answer(check=False)
        caller.half_close()
        await caller.rest()
        await stage.quiet()
        assert not [request for request in stage.upstream.requests if request.startswith(b"GET /admin")]

    play(scene, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))


ANSWERS = {
    "wrong accept": b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
    "no accept": b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "garbage": b"garbage\r\n\r\n",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_upstream_that_does_not_accept_rightly_is_502(play: Perform, name: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(ANSWERS[name])
        await peer.gone()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(handshake())
        answer = await caller.answer(check=False)
        assert (answer.status, answer.problem["code"]) == (502, "upstream.protocol")

    play(scene, script)


@pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n", b"Connection: upgraded, x-upgrade\r\n"])
def test_a_101_whose_connection_does_not_say_upgrade_is_502(play: Perform, connection: bytes) -> None:
    """RFC 6455 §4.1, step 3 of what a client must check."""

    async def script(peer: Peer) -> None:
        await accept(peer, connection=connection)
        await peer.gone()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(handshake())
        answer = await caller.answer(check=False)
        assert (answer.status, answer.problem["code"]) == (502, "upstream.protocol")

    play(scene, script)


def test_a_101_may_name_more_in_connection(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        server = await accept(peer, connection=b"connection: keep-alive , UPGRADE\r\n")
        await server.next()

    async def scene(stage: Stage) -> None:
        await connect(stage)

    play(scene, script)


def test_an_extension_or_a_subprotocol_that_was_not_offered_is_502(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        lines = (b"Sec-WebSocket-Extensions: permessage-deflate", b"Sec-WebSocket-Protocol: other")
        await accept(peer, lines[peer.number])
        await peer.gone()

    async def scene(stage: Stage) -> None:
        for _ in range(2):
            caller = await stage.caller()
            await caller.send(handshake(b"Sec-WebSocket-Protocol: mine"))
            assert (await caller.answer(check=False)).status == 502

    play(scene, script)


def test_an_upstreams_refusal_passes(play: Perform) -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nDate: Mon, 23 Nov 2026 06:26:04 GMT\r\nContent-Type: text/plain\r\nX-Why: a\r\nContent-Length: 4\r\n\r\nno!!"

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(handshake())
        answer = await caller.answer(check=False)
        assert (answer.status, answer.body, answer.get(b"x-why")) == (403, b"no!!", [b"a"])
        assert len(answer.get(b"date")) == 1

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(refusal)
        await peer.gone()

    play(scene, script)


def test_a_refusal_in_chunks_is_put_together(play: Perform) -> None:
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = (head + b'4\r\n{"wh\r\n5;x=y\r\ny":', b"1}\r\n0\r\n", b"X: y\r\n\r\n")

    async def scene(stage: Stage) -> None:
        for _ in range(2):
            caller = await stage.caller()
            await caller.send(handshake())
            answer = await caller.answer(check=False)
            assert (answer.status, answer.body) == (403, b'{"why":1}')
            assert answer.get(b"content-type") == [b"application/json"]
        await stage.quiet()

    async def script(peer: Peer) -> None:
        await peer.head()
        if peer.number:
            await peer.send(b"".join(pieces))
        else:
            for piece in pieces:
                await peer.send(piece)
                await asyncio.sleep(0.01)
        await peer.gone()

    play(scene, script)


def test_a_refusal_in_broken_chunks_is_502(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(handshake())
        assert (await caller.answer(check=False)).status == 502

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n")
        await peer.gone()

    play(scene, script)


def test_a_route_that_answers_itself_does_so(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(handshake())
        answer = await caller.answer(check=False)
        assert (answer.status, answer.body) == (200, b"hello")

    play(scene, routes=[{"name": "own", "match": {"path": "/**"}, "public": True, "respond": {"body": "hello"}}])


def test_an_upstream_that_breaks_off_is_1011(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        await accept(peer)
        if peer.number:
            await peer.send(frame(TEXT, b"\xff\xfe", masked=False))  # no UTF-8 (RFC 6455 §8.1)
            await peer.gone()
        else:
            peer.reset()

    async def scene(stage: Stage) -> None:
        client = await connect(stage)
        got = await client.next()
        assert (got.opcode, got.code) == (CLOSE, 1011)
        await stage.quiet()
        assert (await stage.logged())["complete"] is False
        client = await connect(stage)
        got = await client.next()
        assert (got.opcode, got.code) == (CLOSE, 1011)

    play(scene, script)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(TEXT, b"\xff\xff"), 1007),
        (frame(TEXT, b"hi", masked=False), 1002),
        (frame(3, b"x"), 1002),
        (frame(0, b"x"), 1002),
        (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
        (frame(PING, b"a", fin=False), 1002),
        (frame(PING, b"a" * 126), 1002),
        (closing(1005), 1002),
        (frame(CLOSE, b"a"), 1002),
    ],
    ids=[
        "no UTF-8",
        "not masked",
        "unknown opcode",
        "continues nothing",
        "two messages at once",
        "ping in pieces",
        "long ping",
        "a code never sent",
        "half a code",
    ],
)
def test_bad_frames_of_a_caller_end_its_connection(play: Perform, server: Server, bad: bytes, code: int) -> None:
    """RFC 6455 §7.1.7; Granian's close mostly has no code."""

    async def script(peer: Peer) -> None:
        server = await accept(peer)
        assert (await server.next()).opcode == CLOSE

    async def scene(stage: Stage) -> None:
        client = await connect(stage)
        await client.send(bad)
        got = await client.next()
        assert got.opcode == CLOSE
        assert got.code == code or (server == "granian" and got.code == 1005)
        assert await client.caller.rest() == b""
        await stage.quiet()

    play(scene, script)


def test_a_caller_that_vanishes_ends_the_upstreams_side(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        client = await connect(stage)
        client.caller.reset()
        async with asyncio.timeout(10):
            await stage.upstream.peers[0].ended.wait()
        await stage.quiet()

    async def script(peer: Peer) -> None:
        await accept(peer)
        await peer.gone()

    play(scene, script)


def test_quiet_for_too_long_is_closed(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        client = await connect(stage)
        await client.send(frame(TEXT, b"a"))
        assert (await client.next()).data == b"a"
        assert (await client.next()).code == 1001

    play(scene, echo, upstream={"timeout": {"idle": "200ms"}})


def test_streams_max_ends_them(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        client = await connect(stage)
        assert (await client.next()).opcode == CLOSE
        await stage.quiet()
        assert (await stage.logged())["codes"] == ["streams.max"]

    play(scene, echo, streams={"max": "200ms"})


def test_a_drain_closes_with_1012(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        clients = [await connect(stage) for _ in range(20)]
        for client in clients:
            await client.send(frame(TEXT, b"a"))
            assert (await client.next()).data == b"a"
        drained = asyncio.ensure_future(stage.gateway.drain())
        for client in clients:
            assert (await client.next()).code == 1012
            await client.send(closing(1012))
        assert await drained

    play(scene, echo)


def test_a_caller_that_does_not_read_holds_the_upstream_back(play: Perform) -> None:
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await accept(peer)
        piece = frame(BINARY, bytes(60_000), masked=False)
        while sent < 60_000_000:
            await peer.send(piece)
            sent += 60_000

    async def scene(stage: Stage) -> None:
        caller = await stage.caller(receive_buffer=4096)
        await caller.send(handshake())
        while True:  # until nothing moves any more
            before = sent
            turn = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.2, turn.set_result, None)
            await turn
            if before == sent > 0:
                break
        assert sent < 30_000_000
        caller.reset()
        await stage.quiet()

    play(scene, script)


def test_a_message_of_a_caller_that_is_too_long_is_1009(play: Perform) -> None:
    seen: list[int] = []

    async def script(peer: Peer) -> None:
        server = await accept(peer)
        seen.append((await server.next()).code)

    async def scene(stage: Stage) -> None:
        client = await connect(stage)
        await client.send(frame(BINARY, bytes(2**20), fin=False), *[frame(0, bytes(2**20), fin=False)] * 15)
        await client.send(frame(0, b"x"))
        assert (await client.next()).code == 1009
        await holds(lambda: seen == [1009])

    play(scene, script)


def test_a_message_of_an_upstream_that_is_too_long_is_not_held(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        server = await accept(peer)
        await server.send(frame(BINARY, bytes(2**20), fin=False, masked=False))
        for _ in range(16):
            await server.send(frame(0, bytes(2**20), fin=False, masked=False))
        await peer.gone()

    async def scene(stage: Stage) -> None:
        client = await connect(stage)
        assert (await client.next()).code == 1011
        await stage.quiet()

    play(scene, script)
