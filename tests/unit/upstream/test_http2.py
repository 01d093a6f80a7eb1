"""HTTP/2 upstreams, against a server that is scripted event by event (RFC 9113)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme
from h2.errors import ErrorCodes
from h2.events import Event, RequestReceived, StreamEnded

from gateway.api.errors import Cause, RequestRefused, UpstreamError
from gateway.api.messages import Body
from gateway.testing.upstream import ScriptedUpstream, answering, ok
from gateway.upstream.http2_frames import MAX_CHATTER, Chatter
from gateway.upstream.wire import Violation
from tests.unit.upstream.conftest import Caller, whole
from tests.unit.upstream.http2_peer import Http2Peer, ended

Play = Callable[[Callable[[], Any]], None]
CallerOf = Callable[..., Caller]


class Pieces(Body):
    def __init__(self, *pieces: bytes, length: int | None = None) -> None:
        self.length = length
        self.pieces = list(pieces)

    async def read(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def close(self) -> None:
        self.pieces.clear()


def test_a_call_and_its_answer(play: Play, caller_of: CallerOf) -> None:
    async def scene() -> None:
        server = Http2Peer(ended(lambda peer, stream: peer.answer(stream, b"hello", (b"x-a", b"1"))))
        async with ScriptedUpstream(server) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            answer = await caller.call("POST", b"/a?b=1", b"body", fields=((b"x-b", b"2"),))
            assert (answer.status, answer.headers, answer.body) == (200, [(b"x-a", b"1")], b"hello")
            assert server.bodies == {1: b"body"}
            head = server.heads[0]
            assert head[b":method"] == b"POST"
            assert head[b":path"] == b"/a?b=1"
            assert head[b":scheme"] == b"http"
            assert head[b":authority"] == upstream.url.removeprefix("http://").encode()
            assert (head[b"x-b"], head[b"content-length"]) == (b"2", b"4")
            assert b"host" not in head
            caller.upstream.close()

    play(scene)


def test_many_calls_share_one_connection(play: Play, caller_of: CallerOf) -> None:
    async def scene() -> None:
        waiting: list[int] = []

        def hold(peer: Http2Peer, stream: int) -> None:
            waiting.append(stream)
            if len(waiting) == 50:
                for number in reversed(waiting):
                    peer.answer(number, b"%d" % number)

        server = Http2Peer(ended(hold))
        async with ScriptedUpstream(server) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            answers = await asyncio.gather(*(caller.call() for _ in range(50)))
            assert {answer.body for answer in answers} == {b"%d" % number for number in waiting}
            assert (server.connections, server.most) == (1, 50)
            caller.upstream.close()

    play(scene)


def test_beyond_the_streams_allowed_another_connection_is_opened_and_then_calls_wait(
    play: Play, caller_of: CallerOf
) -> None:
    async def scene() -> None:
        held: list[tuple[Any, Any, int]] = []

        def hold(peer: Http2Peer, stream: int) -> None:
            held.append((peer.peer, peer.h2, stream))

        server = Http2Peer(ended(hold), streams=2)
        async with ScriptedUpstream(server) as upstream:
            caller = caller_of(upstream.url, protocol="http2", connections={"max": 2})
            calls = [asyncio.ensure_future(caller.call()) for _ in range(5)]
            await caller.until(lambda: len(held) == 4)
            assert server.connections == 2
            for number in range(5):

                def arrived(number: int = number) -> bool:
                    return len(held) > number

                await caller.until(arrived)
                server.peer, server.h2, stream = held[number]
                server.answer(stream)
                await server.flush()
            assert [(await call).body for call in calls] == [b"ok"] * 5
            assert (server.connections, server.most) == (2, 2)
            caller.upstream.close()

    play(scene)


def test_a_streamed_request_is_held_back_by_the_upstreams_window(play: Play, caller_of: CallerOf) -> None:
    async def scene() -> None:
        server = Http2Peer(ended(lambda peer, stream: peer.answer(stream)), window=1000)
        async with ScriptedUpstream(server) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            for length in (30_000, None):
                body = Pieces(b"a" * 10_000, b"b" * 10_000, b"c" * 10_000, length=length)
                assert (await caller.call("POST", body=body)).status == 200
            assert [len(body) for body in server.bodies.values()] == [30_000, 30_000]
            assert [head.get(b"content-length") for head in server.heads] == [b"30000", None]
            caller.upstream.close()

    play(scene)


def test_a_reader_that_is_slow_closes_the_window_of_its_own_stream_only(play: Play, caller_of: CallerOf) -> None:
    async def scene() -> None:
        sent = 0
        streams: list[int] = []

        async def on(peer: Http2Peer, event: Event) -> None:
            nonlocal sent
            if isinstance(event, RequestReceived):
                if streams:
                    peer.answer(event.stream_id, b"quick")
                else:
                    streams.append(event.stream_id)
                    peer.h2.send_headers(event.stream_id, [(b":status", b"200")])
            while streams and sent < 4_000_000 and (room := peer.h2.local_flow_control_window(streams[0])):
                piece = b"x" * min(room, peer.h2.max_outbound_frame_size)
                peer.h2.send_data(streams[0], piece)
                sent += len(piece)
            if sent >= 4_000_000 and streams[0]:
                peer.h2.end_stream(streams[0])
                streams[0] = 0

        async with ScriptedUpstream(Http2Peer(on)) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            slow = await caller.call()
            assert (await caller.call()).body == b"quick"
            assert sent < 1_000_000
            assert len(await whole(slow)) == sent >= 4_000_000
            caller.upstream.close()

    play(scene)


REFUSALS = {"refused": True, "goaway": True, "reset": False, "closed": False}


@pytest.mark.parametrize("how", REFUSALS)
def test_what_was_not_processed_is_sent_again_and_says_so(play: Play, caller_of: CallerOf, how: str) -> None:
    """RFC 9113 §8.7: REFUSED_STREAM and streams above GOAWAY's last were not processed; a POST may go again."""

    async def scene() -> None:
        seen = 0

        def refuse(peer: Http2Peer, stream: int) -> None:
            nonlocal seen
            seen += 1
            if seen == 2:
                if how == "refused":
                    peer.h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
                elif how == "goaway":
                    peer.h2.close_connection(last_stream_id=1)
                elif how == "reset":
                    peer.h2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
                else:
                    peer.peer.close()
            else:
                peer.answer(stream)

        server = Http2Peer(ended(refuse))
        async with ScriptedUpstream(server) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            assert (await caller.call("POST", body=b"1")).status == 200
            if REFUSALS[how]:
                assert (await caller.call("POST", body=b"2")).status == 200
                assert seen == 3
            else:
                with pytest.raises(UpstreamError) as caught:
                    await caller.call("POST", body=b"2")
                assert (caught.value.cause, caught.value.sent, seen) == (Cause.RESET, True, 2)
            caller.upstream.close()

    play(scene)


def test_goaway_lets_calls_end_and_new_ones_go_elsewhere(play: Play, caller_of: CallerOf) -> None:
    async def scene() -> None:
        held: list[tuple[Any, Any, int]] = []

        def hold(peer: Http2Peer, stream: int) -> None:
            if held:
                peer.answer(stream, b"second")
            else:
                held.append((peer.peer, peer.h2, stream))

        server = Http2Peer(ended(hold))
        async with ScriptedUpstream(server) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            first = asyncio.ensure_future(caller.call())
            await caller.until(lambda: bool(held))
            peer, h2, stream = held[0]
            # a GOAWAY that h2 does not write: it would end the streams that are open
            await peer.send(b"\0\0\x08\x07\0" + bytes(4) + stream.to_bytes(4, "big") + bytes(4))
            assert (await caller.call()).body == b"second"
            assert server.connections == 2
            server.peer, server.h2 = peer, h2
            server.answer(stream, b"first")
            await server.flush()
            assert (await first).body == b"first"
            await peer.ended.wait()
            caller.upstream.close()

    play(scene)


def test_a_caller_that_leaves_cancels_its_stream_only(play: Play, caller_of: CallerOf) -> None:
    async def scene() -> None:
        count = 0

        def second(peer: Http2Peer, stream: int) -> None:
            nonlocal count
            count += 1
            if count == 2:
                peer.answer(stream)

        server = Http2Peer(ended(second))
        async with ScriptedUpstream(server) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            leaving = asyncio.ensure_future(caller.call())
            await caller.until(lambda: count == 1)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            assert (await caller.call()).status == 200
            assert (server.resets, server.connections) == ([ErrorCodes.CANCEL], 1)
            caller.upstream.close()

    play(scene)


def test_a_deadline_ends_the_stream_and_a_silent_connection_is_left(play: Play, caller_of: CallerOf) -> None:
    async def scene() -> None:
        count = 0

        def never(peer: Http2Peer, stream: int) -> None:
            nonlocal count
            count += 1
            if count > 1:
                peer.answer(stream)

        server = Http2Peer(ended(never))
        async with ScriptedUpstream(server) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            with pytest.raises(UpstreamError) as caught:
                await caller.call(within_s=0.1)
            assert (caught.value.cause, caught.value.stage, caught.value.sent) == (Cause.TIMEOUT, "head", True)
            assert (await caller.call()).status == 200
            await caller.until(lambda: server.resets == [ErrorCodes.CANCEL])
            caller.upstream.close()

    play(scene)


def test_a_body_that_is_given_up_cancels_its_stream(play: Play, caller_of: CallerOf) -> None:
    async def scene() -> None:
        def begin(peer: Http2Peer, stream: int) -> None:
            peer.h2.send_headers(stream, [(b":status", b"200")])
            peer.h2.send_data(stream, b"piece")

        server = Http2Peer(ended(begin))
        async with ScriptedUpstream(server) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            answer = await caller.call()
            assert isinstance(answer.body, Body)
            assert await answer.body.read() == b"piece"
            answer.body.close()
            await caller.until(lambda: server.resets == [ErrorCodes.CANCEL])
            caller.upstream.close()

    play(scene)


def test_a_connection_that_was_just_opened_is_not_closed_as_idle(play: Play, caller_of: CallerOf) -> None:
    async def scene() -> None:
        server = Http2Peer(ended(lambda peer, stream: peer.answer(stream, b"ok")))
        async with ScriptedUpstream(server) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            keep_house = caller.sweep.keep_house

            def at_once(work: Callable[[float], bool]) -> None:
                keep_house(work)
                work(asyncio.get_running_loop().time())  # before the call that waits has its turn

            caller.sweep.keep_house = at_once  # type: ignore[method-assign]
            assert (await caller.call()).body == b"ok"
            assert server.connections == 1
            caller.upstream.close()

    play(scene)


BAD_HEADS = {
    "upper case": [(b":status", b"200"), (b"X-A", b"1")],
    "connection": [(b":status", b"200"), (b"connection", b"close")],
    "transfer-encoding": [(b":status", b"200"), (b"transfer-encoding", b"chunked")],
    "newline": [(b":status", b"200"), (b"x-a", b"1\r\nset-cookie: a=b")],
    "second status": [(b":status", b"200"), (b":status", b"500")],
    "request pseudo-field": [(b":status", b"200"), (b":path", b"/")],
    "no number": [(b":status", b"2xx")],
    "too long": [(b":status", b"200"), (b"content-length", b"1")],
    "too short": [(b":status", b"200"), (b"content-length", b"100")],
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_a_malformed_answer_ends_its_stream_and_no_other(play: Play, caller_of: CallerOf, name: str) -> None:
    async def scene() -> None:
        waiting: list[int] = []

        def answer(peer: Http2Peer, stream: int) -> None:
            waiting.append(stream)
            if len(waiting) == 2:
                peer.h2.send_headers(waiting[0], BAD_HEADS[name])
                peer.h2.send_data(waiting[0], b"ok", end_stream=True)
                peer.answer(waiting[1], b"good")

        server = Http2Peer(ended(answer), lax=True)
        async with ScriptedUpstream(server) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            bad, good = await asyncio.gather(caller.call(), caller.call(), return_exceptions=True)
            if not isinstance(bad, UpstreamError):  # the length shows in the body
                assert not isinstance(bad, BaseException)
                with pytest.raises(UpstreamError) as caught:
                    await whole(bad)
                bad = caught.value
            assert bad.cause is Cause.PROTOCOL
            assert not isinstance(good, BaseException)
            assert good.body == b"good"
            assert server.connections == 1
            caller.upstream.close()

    play(scene)


@pytest.mark.parametrize("field", [(b"x-a", b"1\r\nx-b: 2"), (b"X-A", b"1"), (b":path", b"/admin"), (b"te e", b"1")])
def test_a_request_that_would_be_malformed_is_not_sent(
    play: Play, caller_of: CallerOf, field: tuple[bytes, bytes]
) -> None:
    async def scene() -> None:
        server = Http2Peer(ended(lambda peer, stream: peer.answer(stream)))
        async with ScriptedUpstream(server) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            with pytest.raises(RequestRefused):
                await caller.call(fields=(field,))
            assert server.heads == []

    play(scene)


def test_a_server_that_speaks_http1_is_named_as_the_fault_and_nothing_was_sent(play: Play, caller_of: CallerOf) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            with pytest.raises(UpstreamError) as caught:
                await caller.call("POST", body=b"1")
            assert (caught.value.cause, caught.value.stage, caught.value.sent) == (Cause.UNREACHABLE, "connect", False)

    play(scene)


def test_head_not_modified_and_trailers(play: Play, caller_of: CallerOf) -> None:
    async def scene() -> None:
        def answer(peer: Http2Peer, stream: int) -> None:
            if stream == 1:
                peer.answer(stream, b"", (b"content-length", b"5"))
            elif stream == 3:
                peer.answer(stream, b"", (b"content-length", b"5"), status=b"304")
            else:
                peer.h2.send_headers(stream, [(b":status", b"103"), (b"link", b"</a>")])
                peer.h2.send_headers(stream, [(b":status", b"200")])
                peer.h2.send_data(stream, b"hello")
                peer.h2.send_headers(stream, [(b"x-checksum", b"1")], end_stream=True)

        async with ScriptedUpstream(Http2Peer(ended(answer))) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            head = await caller.call("HEAD")
            assert (head.status, head.body, head.headers.get(b"content-length")) == (200, b"", b"5")
            assert (await caller.call()).status == 304
            assert await whole(await caller.call()) == b"hello"
            caller.upstream.close()

    play(scene)


def test_over_tls_the_protocol_is_agreed_on(play: Play, caller_of: CallerOf, tmp_path: Any) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    async def scene() -> None:
        for offered in (["h2"], ["http/1.1"]):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1").configure_cert(context)
            context.set_alpn_protocols(offered)
            server = Http2Peer(ended(lambda peer, stream: peer.answer(stream)))
            script = server if offered == ["h2"] else answering(ok())
            async with ScriptedUpstream(script, tls=context) as upstream:
                caller = caller_of(upstream.url, protocol="http2", tls={"ca": str(tmp_path / "ca.pem")})
                if offered == ["h2"]:
                    assert (await caller.call()).status == 200
                    assert server.heads[0][b":scheme"] == b"https"
                else:
                    with pytest.raises(UpstreamError) as caught:
                        await caller.call()
                    assert caught.value.sent is False
                caller.upstream.close()

    play(scene)


def test_health_is_asked_for_in_http2_too(play: Play, caller_of: CallerOf) -> None:
    async def scene() -> None:
        server = Http2Peer(ended(lambda peer, stream: peer.answer(stream, status=b"503")))
        async with ScriptedUpstream(server) as upstream:
            health = {"path": "/health", "interval": "20ms", "unhealthy": 1}
            caller = caller_of(upstream.url, protocol="http2", health=health)
            states = caller.upstream.states
            await caller.until(lambda: states()[upstream.url]["state"] == "unhealthy")
            assert "status 503" in states()[upstream.url]["why"]
            assert server.heads[0][b":path"] == b"/health"
            caller.upstream.close()
            await caller.until(lambda: not server.live)

    play(scene)


CHATTER = {
    "PING": b"\0\0\x08\x06\0\0\0\0\0twelve34",
    "SETTINGS": b"\0\0\0\x04\0\0\0\0\0",
    "empty DATA": b"\0\0\0\0\0\0\0\0\x01",
    "a type that nobody knows": b"\0\0\0\xfa\0\0\0\0\x01",
}


@pytest.mark.parametrize("name", CHATTER)
def test_frames_without_end_that_carry_nothing_are_not_listened_to(play: Play, caller_of: CallerOf, name: str) -> None:
    async def scene() -> None:
        async def chatter(peer: Http2Peer, event: Event) -> None:
            if isinstance(event, StreamEnded):
                peer.h2.send_headers(1, [(b":status", b"200")])
                await peer.flush()
                await peer.peer.send(CHATTER[name] * (MAX_CHATTER + 1))

        async with ScriptedUpstream(Http2Peer(chatter)) as upstream:
            caller = caller_of(upstream.url, protocol="http2")
            with pytest.raises(UpstreamError) as caught:
                await whole(await caller.call())
            assert caught.value.cause is Cause.PROTOCOL
            caller.upstream.close()

    play(scene)


def test_frames_that_carry_nothing_may_stand_between_others_and_come_in_time() -> None:
    chatter = Chatter()
    for now in range(3):
        for _ in range(MAX_CHATTER):
            chatter.hear(CHATTER["PING"], now * 2.0 + 1.5)
    for _ in range(10):
        chatter.hear(b"\0\0\x01\0\0\0\0\0\x01a", 5.5)
        for _ in range(MAX_CHATTER):
            chatter.hear(CHATTER["empty DATA"], 5.5)
    with pytest.raises(Violation):
        chatter.hear(CHATTER["SETTINGS"], 5.5)
