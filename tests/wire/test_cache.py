"""The cache over the wire, on both servers: hits, fields, ranges, conditions, and bodies stored while they stream."""

from __future__ import annotations

from gateway.api.orders import Purge
from gateway.testing.upstream import answering, ok
from tests.redis_servers import RedisServer
from tests.wire.conftest import Perform
from tests.wire.plays import TO_ALL, Stage, holds

CACHED = {**TO_ALL, "policies": {"cache": {}}}
FRESH = ("Cache-Control", "max-age=60")
CHUNKED = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(path: str = "/", *fields: str, method: str = "GET") -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: a", *fields, "", "")).encode()


def test_the_second_caller_is_served_from_the_store(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        first = await stage.ask(get())
        assert first.get(b"cache-status") == [b"sluicegate; fwd=uri-miss; fwd-status=200; stored"]
        second = await stage.ask(get())
        assert (second.status, second.body) == (200, b"ok")
        assert second.get(b"cache-status")[0].startswith(b"sluicegate; hit; ttl=")
        assert second.get(b"age") == [b"0"]
        head = await stage.ask(get(method="HEAD"), "HEAD")
        assert (head.status, head.get(b"content-length")) == (200, [b"2"])
        assert len(stage.upstream.requests) == 1

    play(scene, answering(ok(b"ok", FRESH)), routes=[CACHED])


def test_parts_and_conditions_are_answered_from_the_store(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask(get())
        part = await stage.ask(get("/", "Range: bytes=1-2"))
        assert (part.status, part.body, part.get(b"content-range")) == (206, b"el", [b"bytes 1-2/5"])
        assert part.get(b"content-length") == [b"2"]
        assert (await stage.ask(get("/", "Range: bytes=9-"))).status == 416
        same = await stage.ask(get("/", 'If-None-Match: "a"'))
        assert (same.status, same.body, same.get(b"etag")) == (304, b"", [b'"a"'])
        assert len(stage.upstream.requests) == 1

    play(scene, answering(ok(b"hello", FRESH, ("ETag", '"a"'))), routes=[CACHED])


def test_a_chunked_answer_is_stored_while_it_streams(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        for _ in range(2):
            answer = await stage.ask(get())
            assert answer.body == b"hello"
            await stage.quiet()
        assert len(stage.upstream.requests) == 1
        assert not answer.chunked

    play(scene, answering(CHUNKED, b"2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n"), routes=[CACHED])


def test_an_unsafe_request_and_a_purge_make_it_forgotten(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask(get())
        await stage.ask(get("/", "Content-Length: 0", method="POST"))
        await stage.ask(get())
        assert len(stage.upstream.requests) == 3
        assert await stage.plane.purge(Purge(url="http://a/")) == [1]
        await stage.ask(get())
        assert len(stage.upstream.requests) == 4

    play(scene, answering(ok(b"ok", FRESH)), routes=[CACHED])


def test_answers_are_kept_in_a_redis_that_others_may_empty(play: Perform, redis_server: RedisServer) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask(get())
        await holds(lambda: [key.endswith(b"lease") for key in redis_server.ask("KEYS", "*{cache|*")] == [False])
        assert (await stage.ask(get())).get(b"cache-status")[0].startswith(b"sluicegate; hit; ttl=")
        redis_server.ask("FLUSHALL")
        again = await stage.ask(get())
        assert again.get(b"cache-status") == [b"sluicegate; fwd=uri-miss; fwd-status=200; stored"]
        assert len(stage.upstream.requests) == 2

    play(scene, answering(ok(b"ok", FRESH)), routes=[CACHED], store=redis_server.url)
