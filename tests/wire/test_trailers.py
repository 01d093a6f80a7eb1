"""Trailers of answers: passed where the server has a way for them and the caller wants them, else dropped; never confused."""

from __future__ import annotations

import pytest

from gateway.testing.upstream import Peer, answering
from tests.unit.upstream.http2_peer import Http2Peer, ended
from tests.wire.conftest import Perform
from tests.wire.plays import Caller, Stage

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TRAILERS = b"X-Sum: 42\r\nSet-Cookie: a=b\r\nContent-Length: 9\r\nGrpc-Status: 0\r\n"
WANTED = b"GET / HTTP/1.1\r\nHost: a\r\nTE: deflate;q=0.5, trailers\r\n\r\n"
UNWANTED = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def at_once(peer: Peer) -> None:
    await answering(CHUNKED + b"3\r\nabc\r\n0\r\n" + TRAILERS + b"\r\n")(peer)


async def in_pieces(peer: Peer) -> None:
    for _ in range(2):
        await peer.request()
        for piece in (CHUNKED, b"3\r\nabc\r\n", b"0\r\nX-S", b"um: 42\r\nGrpc-Status:0\r", b"\n\r\n"):
            await peer.send(piece)


def http2(peer: Http2Peer, stream: int) -> None:
    peer.h2.send_headers(stream, [(b":status", b"200")])
    peer.h2.send_data(stream, b"abc")
    peer.h2.send_headers(stream, [(b"x-sum", b"42"), (b"grpc-status", b"0")], end_stream=True)


async def ask(stage: Stage, raw: bytes) -> tuple[Caller, bytes]:
    """The body as it is on the wire, to the end of the answer."""
    caller = await stage.caller()
    await caller.send(raw)
    head = await caller.reader.readuntil(b"\r\n\r\n")
    assert b"x-sum" not in head
    assert b"grpc-status" not in head
    assert b"transfer-encoding: chunked" in head.lower()
    return caller, await caller.reader.readuntil(b"0\r\n") + await caller.reader.readuntil(b"\r\n")


@pytest.mark.parametrize("protocol", ["at once", "in pieces", "http2"])
@pytest.mark.parametrize("wanted", [True, False], ids=["wanted", "unwanted"])
def test_trailers_pass_where_there_is_a_way(
    play: Perform, request: pytest.FixtureRequest, protocol: str, *, wanted: bool
) -> None:
    has_way = "uvicorn" in request.node.callspec.id

    async def scene(stage: Stage) -> None:
        caller, body = await ask(stage, WANTED if wanted else UNWANTED)
        while wanted and has_way and not body.endswith(b"\r\n\r\n"):
            body += await caller.reader.readuntil(b"\r\n")
        after = b"x-sum: 42\r\ngrpc-status: 0\r\n\r\n" if wanted and has_way else b"\r\n"
        assert body.endswith(b"abc\r\n0\r\n" + after)
        await stage.quiet()
        await caller.send(UNWANTED)  # the connection goes on
        assert await caller.head() == 200

    script = {"at once": at_once, "in pieces": in_pieces, "http2": Http2Peer(ended(http2))}[protocol]
    play(scene, script, script, upstream={"protocol": "http2"} if protocol == "http2" else None)
