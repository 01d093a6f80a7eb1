"""Compression over the wire, on both servers: whole answers, streams, the cache behind it, validators."""

from __future__ import annotations

import gzip

import pytest

from gateway.testing.upstream import Peer, answering, ok
from tests.wire.conftest import Perform
from tests.wire.plays import TO_ALL, Broken, Stage

JSON = b'{"hello": "world"}' * 200
CODED = {**TO_ALL, "policies": {"compress": {}}}
CACHED = {**TO_ALL, "policies": {"compress": {"encodings": ["gzip"]}, "cache": {}}}
TYPE = ("Content-Type", "application/json")
FRESH = ("Cache-Control", "max-age=60")


def get(*fields: str, method: str = "GET") -> bytes:
    return "\r\n".join((f"{method} / HTTP/1.1", "Host: a", *fields, "", "")).encode()


def test_an_answer_is_coded_as_its_caller_can_read_it(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        coded = await stage.ask(get("Accept-Encoding: gzip"))
        assert coded.get(b"content-encoding") == [b"gzip"]
        assert coded.get(b"content-length") == [b"%d" % len(coded.body)]
        assert coded.get(b"vary") == [b"Accept-Encoding"]
        assert gzip.decompress(coded.body) == JSON
        plain = await stage.ask(get())
        assert (plain.body, plain.get(b"content-encoding")) == (JSON, [])
        assert plain.get(b"vary") == [b"Accept-Encoding"]

    play(scene, answering(ok(JSON, TYPE)), routes=[CODED])


def test_a_stream_is_coded(play: Perform) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def scene(stage: Stage) -> None:
        answer = await stage.ask(get("Accept-Encoding: gzip"))
        assert (answer.get(b"content-length"), answer.chunked) == ([], True)
        assert gzip.decompress(answer.body) == b"firstsecond"

    play(scene, answering(head, b"5\r\nfirst\r\n", b"6\r\nsecond\r\n0\r\n\r\n"), routes=[CODED])


def test_one_stored_answer_serves_callers_of_every_kind(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        coded = [await stage.ask(get("Accept-Encoding: gzip")) for _ in range(3)]
        assert {gzip.decompress(one.body) for one in coded} == {JSON}
        assert {one.get(b"etag")[0] for one in coded} == {b'W/"a"'}
        plain = await stage.ask(get())
        assert (plain.body, plain.get(b"etag")) == (JSON, [b'"a"'])
        same = await stage.ask(get("Accept-Encoding: gzip", 'If-None-Match: W/"a"'))
        assert (same.status, same.get(b"etag")) == (304, [b'W/"a"'])
        part = await stage.ask(get("Accept-Encoding: gzip", "Range: bytes=0-4"))
        assert (part.status, part.body, part.get(b"content-encoding")) == (206, JSON[:5], [])
        whole = await stage.ask(get("Accept-Encoding: gzip", "Range: bytes=0-4", 'If-Range: W/"a"'))
        assert (whole.status, gzip.decompress(whole.body)) == (200, JSON)
        head = await stage.ask(get("Accept-Encoding: gzip", method="HEAD"), "HEAD")
        assert (head.get(b"content-encoding"), head.get(b"content-length")) == ([b"gzip"], [])
        assert len(stage.upstream.requests) == 1

    play(scene, answering(ok(JSON, TYPE, FRESH, ("ETag", '"a"'))), routes=[CACHED])


def test_an_upstream_that_compares_to_the_letter_still_says_304(play: Perform) -> None:
    async def upstream(peer: Peer) -> None:
        while True:
            asked = await peer.request()
            known = any(b'"a"' in line.split(b", ") for line in asked.lower().replace(b": ", b", ").split(b"\r\n"))
            await peer.send(
                b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n' if known else ok(JSON, TYPE, ("ETag", '"a"'))
            )

    async def scene(stage: Stage) -> None:
        first = await stage.ask(get("Accept-Encoding: gzip"))
        assert first.get(b"etag") == [b'W/"a"']
        again = await stage.ask(get("Accept-Encoding: gzip", 'If-None-Match: W/"a"'))
        assert (again.status, again.get(b"etag")) == (304, [b'W/"a"'])

    play(scene, upstream, routes=[CODED])


def test_events_are_never_held_back(play: Perform) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def scene(stage: Stage) -> None:
        answer = await stage.ask(get("Accept-Encoding: gzip"))
        assert (answer.get(b"content-encoding"), answer.body) == ([], b"data: 1\n\n")

    play(scene, answering(head, b"9\r\ndata: 1\n\n\r\n0\r\n\r\n"), routes=[CODED])


def test_a_stream_that_breaks_off_is_no_whole_answer(play: Perform) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"

    async def upstream(peer: Peer) -> None:
        await peer.request()
        await peer.send(head + JSON[:2000])
        peer.close()

    async def scene(stage: Stage) -> None:
        with pytest.raises(Broken):
            await stage.ask(get("Accept-Encoding: gzip"))

    play(scene, upstream, routes=[CODED])
