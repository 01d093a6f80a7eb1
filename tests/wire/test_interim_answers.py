"""Interim answers of upstreams (RFC 9110 §15.2): passed at once where the server has a way for them, never taken for the answer."""

from __future__ import annotations

import pytest

from gateway.testing.upstream import Peer
from tests.unit.upstream.http2_peer import Http2Peer, ended
from tests.wire.conftest import Perform
from tests.wire.plays import Stage

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Own: 1\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def at_once(peer: Peer) -> None:
    while await peer.request():
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + HINTS + OK)


def http2(peer: Http2Peer, stream: int) -> None:
    for status in (b"100", b"102"):
        peer.h2.send_headers(stream, [(b":status", status)])
    fields = [(b"link", b"</a.css>; rel=preload"), (b"content-length", b"0"), (b"x-own", b"1")]
    peer.h2.send_headers(stream, [(b":status", b"103"), *fields])
    peer.h2.send_headers(stream, [(b":status", b"200"), (b"content-length", b"2")])
    peer.h2.send_data(stream, b"ok", end_stream=True)


def has_way(request: pytest.FixtureRequest) -> bool:
    return "uvicorn" in request.node.callspec.id


@pytest.mark.parametrize("protocol", ["http1", "http2"])
def test_they_pass_before_the_answer_where_there_is_a_way(
    play: Perform, request: pytest.FixtureRequest, protocol: str
) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        for _ in range(2):  # the connection goes on
            await caller.send(GET)
            if has_way(request):
                assert await caller.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 102 Processing\r\n\r\n"
                hints = await caller.reader.readuntil(b"\r\n\r\n")
                assert hints == b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nx-own: 1\r\n\r\n"
            assert await caller.head() == 200
            assert await caller.reader.readexactly(2) == b"ok"

    script = at_once if protocol == "http1" else Http2Peer(ended(http2))
    play(scene, script, script, upstream={"protocol": "http2"} if protocol == "http2" else None)


def test_they_do_not_wait_for_the_answer(play: Perform, request: pytest.FixtureRequest) -> None:
    if not has_way(request):
        pytest.skip("Granian has no way for them")

    async def slow(peer: Peer) -> None:
        await peer.request()
        await peer.send(HINTS)
        await peer.request()  # nothing more until another request, which does not come

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(GET)
        assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 103 ")

    play(scene, slow)


def test_http_1_0_has_none(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        assert await caller.head() == 200

    play(scene, at_once)
