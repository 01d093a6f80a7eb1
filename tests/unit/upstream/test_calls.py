"""Calls against a scripted upstream: what it sees, which connection serves, what happens when it fails or hangs."""

from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.api.errors import Cause, ClientGone, RequestRefused, UpstreamError
from gateway.api.messages import Abort, Body, Headers, UpstreamRequest
from gateway.api.settings.upstream import UpstreamConfig
from gateway.testing.upstream import Peer, ScriptedUpstream, answering, ok
from gateway.upstream import Sweep, Upstream


async def failure(call) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await call
    assert caught.value.upstream == "orders"
    return caught.value


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_what_the_upstream_sees(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as upstream:
            caller = caller_of(upstream.url)
            fields = ((b"accept", b"*/*"), (b"x-a", b"1"), (b"x-a", b"2"))
            response = await caller.call("GET", b"/a%2Fb?c=%20d", fields=fields)
            assert (response.status, response.body, response.headers) == (200, b"ok", [(b"content-length", b"2")])
            await caller.call("POST", b"/", b"body")
            await caller.call("POST", b"/", None)
            await caller.call("PURGE", b"/", b"")
            host = b"host: 127.0.0.1:%d\r\n" % upstream.port
            assert upstream.requests == [
                b"GET /a%2Fb?c=%20d HTTP/1.1\r\n" + host + b"accept: */*\r\nx-a: 1\r\nx-a: 2\r\n\r\n",
                b"POST / HTTP/1.1\r\n" + host + b"content-length: 4\r\n\r\nbody",
                b"POST / HTTP/1.1\r\n" + host + b"content-length: 0\r\n\r\n",
                b"PURGE / HTTP/1.1\r\n" + host + b"\r\n",
            ]
            assert len(upstream.peers) == 1
            assert caller.figures() == {
                "open": 1,
                "idle": 1,
                "opening": 0,
                "waiting": 0,
                "waits": 0,
                "requests": 4,
                "errors": 0,
                "ejections": 0,
            }

    play(scene)


@pytest.mark.parametrize(("host", "seen"), [("client", b"caller.example"), ("API.internal", b"API.internal")])
def test_the_host_that_is_sent(play, caller_of, host: str, seen: bytes) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as upstream:
            await caller_of(upstream.url, host=host).call()
            assert upstream.requests[0] == b"GET / HTTP/1.1\r\nhost: " + seen + b"\r\n\r\n"

    play(scene)


@pytest.mark.parametrize(
    ("target", "field"),
    [
        (b"/ HTTP/1.1\r\nx: y\r\n\r\nGET /", (b"a", b"b")),
        (b"/a b", (b"a", b"b")),
        (b"/", (b"a", b"b\r\ncontent-length: 5")),
        (b"/", (b"a", b"b\nc: d")),
        (b"/", (b"a", b"b\0")),
        (b"/", (b"a\r\nb", b"c")),
    ],
)
def test_nothing_breaks_out_of_its_line(play, caller_of, target: bytes, field: tuple[bytes, bytes]) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as upstream:
            caller = caller_of(upstream.url)
            with pytest.raises(RequestRefused) as refused:
                await caller.call("GET", target, fields=(field,))
            assert refused.value.status == 400
            assert not upstream.peers

    play(scene)


def test_idle_connections_are_used_last_in_first_out(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as upstream:
            caller = caller_of(upstream.url)
            await asyncio.gather(*(caller.call() for _ in range(3)))
            await caller.until(lambda: caller.figures()["idle"] == 3)
            for _ in range(4):
                await caller.call()
            assert len(upstream.peers) == 3
            assert caller.figures()["idle"] == 3

    play(scene)


def test_the_cap_holds_and_the_queue_is_in_order(play, caller_of) -> None:
    async def scene() -> None:
        go = asyncio.Event()

        async with ScriptedUpstream(answering(ok(), after=go)) as upstream:
            caller = caller_of(upstream.url, connections={"max": 2})
            done: list[int] = []

            async def call(number: int) -> None:
                await caller.call(target=b"/%d" % number)
                done.append(number)

            calls = [asyncio.create_task(call(number)) for number in range(8)]
            await caller.until(lambda: len(upstream.requests) == 2)
            assert caller.figures()["waiting"] == 6
            assert caller.figures()["waits"] == 6
            calls[4].cancel()
            go.set()
            await asyncio.gather(*calls, return_exceptions=True)
            assert done == [0, 1, 2, 3, 5, 6, 7]
            assert len(upstream.peers) == 2
            assert caller.figures()["waiting"] == 0
            assert not caller.sweep.waiting

    play(scene)


def test_a_full_queue_is_overload_and_nothing_was_sent(play, caller_of) -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.gone()

        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(upstream.url, connections={"max": 1})
            first = asyncio.create_task(caller.call())
            await caller.until(lambda: len(upstream.requests) == 1)
            slow: list[int] = []
            error = await failure(caller.call(within_s=0.15, on_slow=lambda abort: slow.append(1)))
            assert (error.cause, error.stage, error.sent) == (Cause.OVERLOAD, "queue", False)
            assert slow == [1]
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await upstream.peers[0].ended.wait()
            assert caller.figures()["open"] == 0

    play(scene)


def test_figures_are_divided_among_workers(play) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as upstream:
            config = UpstreamConfig.model_validate({"targets": [upstream.url], "connections": {"max": 5}})
            client = Upstream("orders", config, Sweep(asyncio.get_running_loop()), workers=2)
            request = UpstreamRequest("GET", b"/", Headers([(b"host", b"h")]))
            deadline = asyncio.get_running_loop().time() + 5
            await asyncio.gather(*(client.send(request, deadline) for _ in range(20)))
            end = asyncio.get_running_loop().time() + 5
            figures = client.statistics
            while figures()[upstream.url]["idle"] < 3:
                assert asyncio.get_running_loop().time() < end
                await client.send(request, deadline)
            assert len(upstream.peers) == 3

    play(scene)


def test_a_connection_closed_while_idle_is_not_handed_out(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok(), then=Peer.close), answering(ok())) as upstream:
            caller = caller_of(upstream.url)
            await caller.call("POST", b"/", b"1")
            await caller.until(lambda: caller.figures()["open"] == 0)
            await caller.call("POST", b"/", b"2")
            assert [request[-1:] for request in upstream.requests] == [b"1", b"2"]

    play(scene)


def test_a_close_that_the_loop_has_not_seen_yet_is_noticed(play, caller_of) -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(5)
            caller = caller_of(f"http://127.0.0.1:{listener.getsockname()[1]}")
            call = asyncio.create_task(caller.call())
            accepted, _ = await loop.run_in_executor(None, listener.accept)
            accepted.settimeout(5)
            await loop.run_in_executor(None, accepted.recv, 65536)
            accepted.sendall(ok())
            await call
            accepted.close()  # no turn of the loop between this and the next call
            call = asyncio.create_task(caller.call("POST", b"/", b"only once"))
            accepted, _ = await loop.run_in_executor(None, listener.accept)
            with accepted:
                assert (await loop.run_in_executor(None, accepted.recv, 65536)).endswith(b"only once")
                accepted.sendall(ok())
                assert (await call).status == 200

    play(scene)


def closing_on_the_second(peer_number: int):
    """Connection 0 answers one request and closes when the next one comes; others answer."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok())
        if peer.number == peer_number:
            await peer.head()
            peer.reset()
            return
        await answering(ok())(peer)

    return script


@pytest.mark.parametrize(
    ("method", "replayable", "again"),
    [("GET", True, True), ("PUT", True, True), ("GET", False, False), ("POST", True, False)],
)
def test_a_stale_connection(play, caller_of, method: str, replayable: bool, again: bool) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(closing_on_the_second(0)) as upstream:
            caller = caller_of(upstream.url)
            await caller.call()
            call = caller.call(
                method, b"/second", b"body" if method in ("PUT", "POST") else None, replayable=replayable
            )
            if again:
                assert (await call).status == 200
                assert sum(b"/second" in request for request in upstream.requests) == 2
                assert len(upstream.peers) == 2
            else:
                error = await failure(call)
                assert (error.cause, error.stage, error.sent) == (Cause.RESET, "head", True)
                assert sum(b"/second" in request for request in upstream.requests) == 1

    play(scene)


def test_a_stale_connection_is_left_once_only(play, caller_of) -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            if peer.number == 0:
                await peer.request()
                await peer.send(ok())
            await peer.head()
            peer.reset()

        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(upstream.url)
            await caller.call()
            assert (await failure(caller.call(replayable=True))).sent
            assert len(upstream.requests) == 3

    play(scene)


def test_an_answer_that_began_is_not_asked_for_again(play, caller_of) -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(ok())
            await peer.request()
            await peer.send(b"HTTP/1.1 200")
            peer.close()

        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(upstream.url)
            await caller.call()
            assert (await failure(caller.call(replayable=True))).cause is Cause.RESET
            assert len(upstream.requests) == 2

    play(scene)


def test_bounds(play, caller_of) -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            while b"/ok" in (raw := await peer.request()):
                await peer.send(ok())
            if b"/body" in raw:
                await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
            await peer.gone()

        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(upstream.url, timeout={"first_byte": "400ms", "idle": "50ms", "connect": "5s"})
            slow: list[bytes] = []
            error = await failure(caller.call(on_slow=lambda _abort: slow.append(b"/")))
            assert (error.cause, error.stage, error.sent) == (Cause.TIMEOUT, "head", True)
            assert slow == [b"/"]
            await caller.call(target=b"/ok")
            error = await failure(caller.call(within_s=0.03))
            assert (error.cause, error.stage, error.sent) == (Cause.TIMEOUT, "head", True)
            response = await caller.call(target=b"/body")
            assert isinstance(response.body, Body)
            assert await response.body.read() == b"he"
            error = await failure(response.body.read())
            assert (error.cause, error.stage) == (Cause.TIMEOUT, "body")
            await caller.until(lambda: all(peer.ended.is_set() for peer in upstream.peers))
            assert caller.figures()["open"] == 0

    play(scene)


def test_an_order_to_end_a_call_never_ends_another(play, caller_of, read_whole) -> None:
    async def scene() -> None:
        go = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await go.wait()
            await peer.send(ok())
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe", b"re")
            await peer.gone()

        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(upstream.url)
            orders: list[Abort] = []
            first = asyncio.create_task(caller.call(on_slow=orders.append))
            await caller.until(lambda: bool(orders))
            go.set()
            await first
            second = await caller.call()
            for order in orders:
                order(ClientGone())
            assert await read_whole(second) == b"here"
            assert len(upstream.peers) == 1

    play(scene)


def test_a_slow_reader_is_not_the_upstreams_fault(play, caller_of, read_whole) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok(b"x" * 1_000_000))) as upstream:
            caller = caller_of(upstream.url, timeout={"idle": "40ms"})
            response = await caller.call()
            begun = asyncio.get_running_loop().time()
            await caller.until(lambda: asyncio.get_running_loop().time() > begun + 0.15)
            assert len(await read_whole(response)) == 1_000_000

    play(scene)


def test_cancelling_a_call_closes_its_connection(play, caller_of) -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.gone()

        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(upstream.url)
            call = asyncio.create_task(caller.call())
            await caller.until(lambda: len(upstream.requests) == 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await upstream.peers[0].ended.wait()
            assert caller.figures()["open"] == 0
            assert not caller.sweep.waiting

    play(scene)


def test_cancelling_while_connecting_leaves_the_connection_to_others(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as upstream:
            caller = caller_of(upstream.url)
            call = asyncio.create_task(caller.call())
            await caller.until(lambda: caller.figures()["opening"] == 1)
            call.cancel()
            await caller.until(lambda: caller.figures()["idle"] == 1)
            await caller.call()
            assert len(upstream.peers) == 1

    play(scene)


def test_a_caller_that_leaves_as_its_turn_comes_passes_the_connection_on(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as upstream:
            caller = caller_of(upstream.url, connections={"max": 1})
            await caller.call()
            pool = caller.upstream._targets.only
            connection = pool.take(asyncio.get_running_loop().time(), sure=True)
            first, second = (asyncio.create_task(caller.call()) for _ in range(2))
            await caller.until(lambda: caller.figures()["waiting"] == 2)
            pool.release(connection)
            first.cancel()  # in the same turn
            assert (await second).status == 200
            assert first.cancelled()
            assert caller.figures()["idle"] == 1

    play(scene)


def test_the_queue_goes_on_when_a_connection_is_lost(play, caller_of) -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            peer.reset() if peer.number == 0 else await peer.send(ok())
            await peer.gone()

        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(upstream.url, connections={"max": 1})
            calls = await asyncio.gather(*(caller.call() for _ in range(2)), return_exceptions=True)
            assert isinstance(calls[0], UpstreamError)
            assert calls[1].status == 200

    play(scene)


def test_the_queue_of_a_dead_target_fails_without_waiting(play, caller_of) -> None:
    async def scene() -> None:
        caller = caller_of(f"http://127.0.0.1:{free_port()}", connections={"max": 1})
        calls = await asyncio.gather(*(caller.call(within_s=60) for _ in range(5)), return_exceptions=True)
        assert [(call.cause, call.sent) for call in calls] == [(Cause.UNREACHABLE, False)] * 5
        assert caller.figures()["opening"] == 0

    play(scene)


def test_refused(play, caller_of) -> None:
    async def scene() -> None:
        error = await failure(caller_of(f"http://127.0.0.1:{free_port()}").call())
        assert (error.cause, error.stage, error.sent) == (Cause.UNREACHABLE, "connect", False)

    play(scene)


def test_no_such_name(play, caller_of) -> None:
    async def scene() -> None:
        caller = caller_of("http://no-such-name.invalid", timeout={"connect": "4s"})
        error = await failure(caller.call())
        assert error.stage == "resolve"
        assert not error.sent

    play(scene)


def test_a_connect_that_takes_too_long(play, caller_of) -> None:
    async def scene() -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            port = full.getsockname()[1]
            fillers = [socket.socket() for _ in range(4)]  # the backlog is full: further SYNs are dropped
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            error = await failure(caller_of(f"http://127.0.0.1:{port}", timeout={"connect": "60ms"}).call())
            assert (error.cause, error.stage, error.sent) == (Cause.TIMEOUT, "connect", False)
            for filler in fillers:
                filler.close()

    play(scene)


@pytest.mark.parametrize("balance", ["round_robin", "least_request"])
def test_a_target_that_refuses_is_passed_over(play, caller_of, balance: str) -> None:
    async def scene() -> None:
        dead = f"http://127.0.0.1:{free_port()}"
        async with ScriptedUpstream(answering(ok())) as upstream:
            caller = caller_of(dead, upstream.url, balance=balance)
            for _ in range(10):
                assert (await caller.call("POST", b"/", b"x")).status == 200
            assert caller.figures(dead)["errors"] <= 1
            assert len(upstream.requests) == 10

    play(scene)


def test_an_upstream_of_dead_targets_fails_after_each_was_tried(play, caller_of) -> None:
    async def scene() -> None:
        urls = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
        caller = caller_of(*urls)
        assert (await failure(caller.call())).cause is Cause.UNREACHABLE
        assert [caller.figures(url)["errors"] for url in urls] == [1, 1]
        assert (await failure(caller.call())).cause is Cause.UNREACHABLE

    play(scene)


def test_closing_retires_idle_connections_now_and_busy_ones_later(play, caller_of, read_whole) -> None:
    async def scene() -> None:
        go = asyncio.Event()

        async def script(peer: Peer) -> None:
            raw = await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe")
            if b"/slow" in raw:
                await go.wait()
            await peer.send(b"re")
            await peer.gone()

        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(upstream.url)
            slow = await caller.call(target=b"/slow")
            await read_whole(await caller.call())
            caller.upstream.close()
            await upstream.peers[1].ended.wait()
            go.set()
            assert await read_whole(slow) == b"here"
            await upstream.peers[0].ended.wait()
            assert caller.figures()["open"] == 0

    play(scene)


def test_idle_connections_grow_old(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as upstream:
            caller = caller_of(upstream.url, connections={"idle": "10ms"})
            await caller.call()
            await caller.until(lambda: caller.figures()["open"] == 0)
            await caller.until(lambda: not caller.sweep.housekeeping)

    play(scene)


def test_reconfiguring_keeps_what_stays(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as one, ScriptedUpstream(answering(ok())) as two:
            caller = caller_of(one.url)
            await caller.call()
            changed = {"targets": [one.url, two.url], "balance": "round_robin", "host": "x", "timeout": "3s"}
            caller.upstream.reconfigure(UpstreamConfig.model_validate(changed))
            for _ in range(4):
                await caller.call()
            assert (len(one.peers), len(one.requests), len(two.requests)) == (1, 3, 2)
            assert b"host: x\r\n" in one.requests[-1]
            caller.upstream.reconfigure(UpstreamConfig.model_validate({"targets": [two.url]}))
            await caller.call()
            assert len(two.requests) == 3
            assert list(caller.upstream.statistics()) == [two.url]

    play(scene)


class Uploading(Body):
    """A caller's body, piece by piece; an exception among the pieces is raised."""

    def __init__(self, *pieces: bytes | Exception | asyncio.Event, length: int | None = None) -> None:
        self.length = length
        self.pieces = list(pieces)
        self.reads = 0

    async def read(self) -> bytes:
        self.reads += 1
        while self.pieces:
            piece = self.pieces.pop(0)
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif isinstance(piece, bytes):
                return piece
            else:
                raise piece
        return b""

    def close(self) -> None:
        raise AssertionError("the body is its owner's to close")


def test_bodies_that_stream_up(play, caller_of) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as upstream:
            caller = caller_of(upstream.url)
            await caller.call("POST", b"/", Uploading(b"hello", length=5))
            await caller.call("POST", b"/", Uploading(b"hel", b"lo", length=5))
            await caller.call("POST", b"/", Uploading(b"hel", b"lo, somebody"))
            await caller.call("POST", b"/", Uploading())
            bodies = [request.partition(b"\r\n\r\n") for request in upstream.requests]
            assert [body for _, _, body in bodies] == [
                b"hello",
                b"hello",
                b"3\r\nhel\r\nc\r\nlo, somebody\r\n0\r\n\r\n",
                b"",
            ]
            assert [b"content-length: 5" in head for head, _, _ in bodies] == [True, True, False, False]
            assert b"transfer-encoding: chunked" in bodies[2][0]
            assert bodies[3][0].endswith(b"content-length: 0")
            assert len(upstream.peers) == 1

    play(scene)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (lambda: Uploading(length=5), RequestRefused),
        (lambda: Uploading(b"he", length=5), RequestRefused),
        (lambda: Uploading(b"he", b"llo, somebody", length=5), RequestRefused),
        (lambda: Uploading(b"hello, somebody", length=5), RequestRefused),
        (lambda: Uploading(b"he", ClientGone(), length=5), ClientGone),
        (lambda: Uploading(b"he", RequestRefused(413, "request_size.exceeded", "Too large.")), RequestRefused),
    ],
)
def test_bodies_that_break(play, caller_of, body, error) -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            await peer.head()
            await peer.gone()

        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(upstream.url)
            with pytest.raises(error):
                await caller.call("POST", b"/", body())
            await caller.until(lambda: all(peer.ended.is_set() for peer in upstream.peers))
            assert caller.figures()["open"] == 0

    play(scene)


def test_an_early_answer_stops_the_upload(play, caller_of, read_whole) -> None:
    async def scene() -> None:
        never = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.head()
            await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nto")
            await peer.send(b"o!")
            await peer.gone()

        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(upstream.url)
            body = Uploading(b"begin", never, length=50)
            response = await caller.call("POST", b"/", body)
            assert (response.status, await read_whole(response)) == (413, b"too!")
            await upstream.peers[0].ended.wait()
            assert caller.figures()["open"] == 0

    play(scene)


def test_an_upload_waits_for_an_upstream_that_does_not_read(play, caller_of) -> None:
    async def scene() -> None:
        go = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.head()
            await go.wait()
            await peer.send(ok())
            await peer.gone()

        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(upstream.url)
            body = Uploading(*[bytes(1 << 20)] * 64)
            call = asyncio.create_task(caller.call("POST", b"/", body))
            await caller.until(lambda: bool(upstream.requests))
            reads = -1

            def stalled() -> bool:
                nonlocal reads
                before, reads = reads, body.reads
                return before == reads

            await caller.until(stalled)
            assert body.reads < 40
            go.set()
            assert (await call).status == 200

    play(scene)


def test_an_upload_that_nobody_reads_ends(play, caller_of) -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            await peer.head()
            await asyncio.Event().wait()

        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(upstream.url, timeout={"idle": "60ms"})
            error = await failure(caller.call("POST", b"/", Uploading(*[bytes(1 << 20)] * 64)))
            assert (error.cause, error.stage, error.sent) == (Cause.TIMEOUT, "write", True)

    play(scene)


def test_a_slow_upload_is_not_bounded_by_first_byte(play, caller_of) -> None:
    async def scene() -> None:
        more = asyncio.Event()
        async with ScriptedUpstream(answering(ok())) as upstream:
            caller = caller_of(upstream.url, timeout={"first_byte": "80ms"})
            loop = asyncio.get_running_loop()
            loop.call_later(0.2, more.set)
            response = await caller.call("POST", b"/", Uploading(b"be", more, b"gun", length=5))
            assert response.status == 200
            assert upstream.requests[0].endswith(b"begun")

    play(scene)


def test_a_large_body_down_holds_little(play, caller_of) -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 << 20))
            for _ in range(64):
                await peer.send(bytes(1 << 20))
            await peer.gone()

        async with ScriptedUpstream(script) as upstream:
            caller = caller_of(upstream.url)
            response = await caller.call()
            assert isinstance(response.body, Body)
            total = largest = 0
            while piece := await response.body.read():
                total += len(piece)
                largest = max(largest, len(piece))
            assert total == 64 << 20
            assert largest <= 512 * 1024
            assert caller.figures()["idle"] == 1

    play(scene)
