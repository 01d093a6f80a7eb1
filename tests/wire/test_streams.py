"""Bodies while they move: back-pressure both ways, callers that leave, answers that come early, bodies that break."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.testing.upstream import Peer, answering, ok
from tests.wire.conftest import Perform
from tests.wire.plays import TO_ALL, Broken, Caller, Server, Stage, holds

MIB = 2**20
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
CHUNKED_UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECTING = b"POST %b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
STATIC = {"name": "static", "match": {"path": "/static"}, "public": True, "respond": {"status": 200, "body": "hello"}}
# What the kernel holds of one stalled stream: both buffers of both connections, grown to their usual limits
KERNEL = 28 * MIB


class Flood:
    """Sends endlessly much, and counts what was taken off its hands."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.sent = 0

    async def pour(self, write: Callable[[bytes], None], drain: Callable[[], object]) -> None:
        piece = bytes(256 * 1024)
        while self.sent < self.total:
            write(piece)
            await drain()  # type: ignore[misc]  # a coroutine
            self.sent += len(piece)

    async def stalls(self) -> int:
        """Wait until nothing moves any more; how much had moved."""
        last, quiet = -1, 0

        def still() -> bool:
            nonlocal last, quiet
            quiet = quiet + 1 if self.sent == last else 0
            last = self.sent
            return quiet > 100

        await holds(still)
        return self.sent


def test_a_caller_that_does_not_read_stops_the_upstream(play: Perform) -> None:
    flood = Flood(64 * MIB)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % flood.total)
        await flood.pour(peer._writer.write, peer._writer.drain)
        await peer.gone()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller(receive_buffer=64 * 1024)
        await caller.send(GET)
        assert await caller.head() == 200
        assert await flood.stalls() < KERNEL
        size = 0
        while size < flood.total:
            size += len(await caller.reader.read(MIB))
        await holds(lambda: stage.figures()["idle"] == 1)
        await stage.quiet()

    play(scene, script)


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upstream_that_does_not_read_stops_the_caller(play: Perform, *, chunked: bool) -> None:
    flood = Flood(64 * MIB)

    async def script(peer: Peer) -> None:
        await peer.head()
        await holds(go_on.is_set)
        size = 0
        while size < flood.total:
            size += len(await peer.read())
        await peer.send(ok(b"%d" % min(size, flood.total)))
        await peer.gone()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(CHUNKED_UPLOAD if chunked else UPLOAD % flood.total)

        def write(piece: bytes) -> None:
            caller.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)

        pouring = asyncio.ensure_future(flood.pour(write, caller.writer.drain))
        await holds(lambda: stage.upstream.requests)
        assert await flood.stalls() < KERNEL
        go_on.set()
        await pouring
        if chunked:
            await caller.send(b"0\r\n\r\n")
        assert (await caller.answer()).body == b"%d" % flood.total

    go_on = asyncio.Event()
    # the whole upload counts, and Granian's threads and the three parties of this test share one interpreter
    patient = {**TO_ALL, "policies": {"timeout": {"total": "30s", "attempt": "30s"}}}
    play(scene, script, upstream={"timeout": {"first_byte": "20s", "idle": "20s"}}, routes=[patient])


def test_a_stream_ends_at_its_bound_however_little_its_caller_reads(play: Perform) -> None:
    flood = Flood(64 * MIB)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % flood.total)
        await flood.pour(peer._writer.write, peer._writer.drain)

    async def scene(stage: Stage) -> None:
        caller = await stage.caller(receive_buffer=64 * 1024)
        await caller.send(GET)
        assert await caller.head() == 200
        line = await stage.logged()
        assert (line["status"], line["complete"], line["codes"]) == (200, False, ["streams.max"])
        assert stage.figures()["open"] == 0

    play(scene, script, streams={"max": "200ms"})


def test_a_stream_without_end_arrives_piece_by_piece(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            await peer.send(b"9\r\ndata: %d\n\n\r\n" % number)
            await holds(lambda number=number: received > number)
        await peer.send(b"0\r\n\r\n")

    received = 0

    async def scene(stage: Stage) -> None:
        nonlocal received
        caller = await stage.caller()
        await caller.send(GET)
        assert await caller.head() == 200
        for number in range(3):
            assert await caller.reader.readuntil(b"\n\n\r\n") == b"9\r\ndata: %d\n\n\r\n" % number
            received += 1
        assert await caller.reader.readexactly(5) == b"0\r\n\r\n"

    play(scene, script)


@pytest.mark.parametrize("ends", [Peer.close, Peer.reset, None], ids=["close", "reset", "in order"])
def test_the_head_of_a_stream_does_not_wait_for_its_body(play: Perform, ends: Callable[[Peer], None] | None) -> None:
    """An event stream is open before its first event; a body that breaks before its first octet is a body that breaks."""
    arrived = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await holds(arrived.is_set)
        if ends is None:
            await peer.send(b"4\r\nsome\r\n0\r\n\r\n")
        else:
            ends(peer)

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(GET)
        assert await caller.head() == 200
        arrived.set()
        assert await caller.rest() == b"" if ends else (await caller.reader.readexactly(14)).endswith(b"0\r\n\r\n")

    play(scene, script)


def leaves(how: str, caller: Caller) -> None:
    {"close": caller.close, "half-close": caller.half_close, "reset": caller.reset}[how]()


@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
def test_a_caller_that_leaves_while_the_upstream_thinks(play: Perform, how: str) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(GET)
        await holds(lambda: stage.upstream.requests)
        leaves(how, caller)
        async with asyncio.timeout(5):
            await stage.upstream.peers[0].ended.wait()
        line = await stage.logged()
        assert (line["status"], line["complete"]) == (499, False)

    play(scene, hanging)


async def hanging(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_caller_that_leaves_in_the_middle_of_an_answer(play: Perform, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        await peer.gone()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(GET)
        assert await caller.head() == 200
        assert await caller.reader.readexactly(4) == b"some"
        leaves(how, caller)
        async with asyncio.timeout(5):
            await stage.upstream.peers[0].ended.wait()
        line = await stage.logged()
        assert (line["status"], line["complete"], line["bytes"]) == (200, False, 4)

    play(scene, script)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_caller_that_leaves_in_the_middle_of_an_upload(play: Perform, how: str, *, chunked: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.gone()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(CHUNKED_UPLOAD + b"4\r\nsome\r\n" if chunked else UPLOAD % 100 + b"some")
        await holds(lambda: stage.upstream.requests)
        leaves(how, caller)
        async with asyncio.timeout(5):
            await stage.upstream.peers[0].ended.wait()
        line = await stage.logged()
        assert (line["status"], line["codes"]) == (400, ["request.body-broken"])
        assert stage.figures()["open"] == 0

    play(scene, script)


def test_a_caller_that_leaves_behind_a_pipeline(play: Perform) -> None:
    """All that it still asked for is not asked of the upstream."""

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(GET * 3)
        await holds(lambda: stage.upstream.requests)
        caller.reset()
        await stage.quiet()
        assert len(stage.upstream.requests) <= 2

    play(scene, hanging, upstream={"timeout": {"first_byte": "500ms"}})


def test_the_body_is_asked_for_when_it_is_wanted(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(EXPECTING % b"/")
        assert await caller.head() == 100
        await caller.send(b"hi")
        answer = await caller.answer()
        assert (answer.status, answer.interim) == (200, [])
        assert stage.upstream.requests[0].endswith(b"content-length: 2\r\n\r\nhi")
        assert b"expect" not in stage.upstream.requests[0]

    play(scene)


@pytest.mark.parametrize(
    ("target", "status"), [(b"/nowhere", 404), (b"/private", 401), (b"/small", 413), (b"/get", 405), (b"/static", 200)]
)
def test_a_body_that_nobody_wants_is_not_asked_for(play: Perform, target: bytes, status: int) -> None:
    routes = [
        {"name": "private", "match": {"path": "/private"}, "upstream": "orders", "policies": {"api_key": {}}},
        {**TO_ALL, "name": "small", "match": {"path": "/small"}, "policies": {"request_size": {"max": "1B"}}},
        {**TO_ALL, "name": "get", "match": {"path": "/get", "method": "GET"}},
        STATIC,
    ]

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(EXPECTING % target)
        answer = await caller.answer()
        assert (answer.status, answer.interim) == (status, [])
        assert stage.upstream.requests == []

    play(scene, routes=routes)


def test_http_1_0_has_no_interim_answers(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask((EXPECTING % b"/").replace(b"1.1", b"1.0") + b"hi")
        assert (answer.status, answer.interim) == (200, [])

    play(scene)


async def refusing_early(peer: Peer) -> None:
    await peer.head()
    await peer.send(b"HTTP/1.1 413 Too Much\r\nContent-Length: 5\r\n\r\nearly")
    await peer.gone()


async def refusing_early_and_resetting(peer: Peer) -> None:
    """As servers do that close while there is something to read (RFC 9112 §9.6 asks them not to)."""
    await peer.head()
    await peer.read()
    await peer.send(b"HTTP/1.1 413 Too Much\r\nContent-Length: 5\r\n\r\nearly")
    peer.reset()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("by", ["upstream", "upstream, with a reset", "gateway"])
def test_an_early_answer_arrives_though_the_body_is_still_being_sent(play: Perform, by: str, *, chunked: bool) -> None:
    flood = Flood(16 * MIB)
    policies = {"request_size": {"max": "1MiB"}} if by == "gateway" else {}

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(CHUNKED_UPLOAD if chunked else UPLOAD % flood.total)

        def write(piece: bytes) -> None:
            caller.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)

        pouring = asyncio.ensure_future(flood.pour(write, caller.writer.drain))
        answer = await caller.answer()
        assert answer.status == 413
        assert answer.ends_connection, "the rest of the body is in the way of another request"
        assert answer.body == b"early" or answer.problem["code"] == "request_size.exceeded"
        await asyncio.wait([pouring])
        if not pouring.cancelled():
            pouring.exception()
        caller.close()
        await stage.quiet()
        await holds(lambda: stage.figures()["open"] == 0)

    script = refusing_early_and_resetting if "reset" in by else refusing_early
    play(scene, script, routes=[{**TO_ALL, "policies": policies}])


@pytest.mark.parametrize("by", ["upstream", "gateway"])
def test_a_caller_that_writes_everything_before_it_reads_gets_its_early_answer(play: Perform, by: str) -> None:
    flood = Flood(8 * MIB)
    policies = {"request_size": {"max": "1MiB"}} if by == "gateway" else {}

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(UPLOAD % flood.total)
        await flood.pour(caller.writer.write, caller.writer.drain)
        answer = await caller.answer()
        assert (answer.status, answer.ends_connection) == (413, True)
        await stage.quiet()

    play(scene, refusing_early, routes=[{**TO_ALL, "policies": policies}])


def test_a_small_body_that_nobody_reads_keeps_the_connection(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        for _ in range(3):
            await caller.send((UPLOAD % 5).replace(b" /", b" /static", 1) + b"hello")
            answer = await caller.answer()
            assert (answer.status, answer.body, answer.ends_connection) == (200, b"hello", False)

    play(scene, routes=[STATIC])


BROKEN = {
    "a short body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome", Peer.close),
    "a reset": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome", Peer.reset),
    "no last chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n", Peer.close),
    "a bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n", None),
    "a body until close that is reset": (b"HTTP/1.1 200 OK\r\n\r\nsome", Peer.reset),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_a_body_that_breaks_cuts_the_connection(play: Perform, server: Server, name: str, version: bytes) -> None:
    begins, ends = BROKEN[name]
    arrived = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(begins)
        await holds(arrived.is_set)
        if ends is None:
            await peer.send(b"zz\r\n")
            await peer.gone()
        else:
            ends(peer)

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(GET.replace(b"1.1", version))
        assert await caller.head() == 200
        await caller.reader.readuntil(b"some")
        arrived.set()
        rest = await caller.rest()
        assert b"0\r\n" not in rest, "no last chunk"
        assert b"HTTP/" not in rest
        line = await stage.logged()
        assert (line["status"], line["complete"]) == (200, False)
        assert line["codes"][0] in ("upstream.reset", "upstream.protocol")
        assert stage.figures()["open"] == 0

    play(scene, script)


def test_pipelined_requests_are_answered_in_order(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        while True:
            target = (await peer.request()).split(b" ")[1]
            await peer.send(ok(target))

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(b"".join(GET.replace(b" /", b" /%d" % n, 1) for n in range(40)))
        for n in range(40):
            assert (await caller.answer()).body == b"/%d" % n

    play(scene, script)


def test_an_endless_pipeline_is_bounded(play: Perform, server: Server) -> None:
    """Granian reads one request after the other; what uvicorn reads at once is held, so there is a limit and then the end."""

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        sending = asyncio.ensure_future(caller.send(GET * 3000))
        answers = 0
        try:
            while answers < 3000:
                answer = await caller.answer()
                answers += 1
                if answer.ends_connection:
                    break
        except Broken:
            pass
        await sending
        assert answers == 3000 if server == "granian" else 64 < answers < 3000

    play(scene, answering(ok()))
