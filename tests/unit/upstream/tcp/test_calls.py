"""Calls with messages: a scripted upstream at one end, the client at the other. What fails, fails as over HTTP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.api.errors import Cause, Unmappable, UpstreamError
from gateway.api.messages import Abort, Correlation, Headers, UpstreamRequest
from gateway.testing.upstream import Peer, ScriptedUpstream

Play = Callable[[Callable[[], Awaitable[None]]], None]
LLZZ = {"length_prefix": 2, "counts_itself": True, "extra": 2}


def framed(message: bytes) -> bytes:
    return (len(message) + 4).to_bytes(2, "big") + b"\0\0" + message


def tcp(upstream: ScriptedUpstream) -> str:
    return f"tcp://127.0.0.1:{upstream.port}"


async def echo(peer: Peer) -> None:
    while True:
        await peer.send(await peer.read())


def test_messages_out_and_in_on_one_connection(play: Play, caller_of: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(echo) as upstream:
            caller = caller_of(tcp(upstream), framing=LLZZ)
            for message in (b"one", b"", b"three"):
                response = await caller.call("POST", body=message)
                assert (response.status, response.body) == (200, message)
            assert len(upstream.peers) == 1
            figures = caller.figures()
            assert (figures["requests"], figures["idle"], figures["errors"]) == (3, 1, 0)
            caller.upstream.close()

    play(scene)


def test_one_call_at_a_time_on_a_connection(play: Play, caller_of: Callable[..., Any]) -> None:
    async def slow(peer: Peer) -> None:
        while True:
            assert await peer.read() == framed(b"ask"), "never two on one connection"
            await asyncio.sleep(0)
            await peer.send(framed(b"answer"))

    async def scene() -> None:
        async with ScriptedUpstream(slow) as upstream:
            caller = caller_of(tcp(upstream), framing=LLZZ, connections={"max": 4})
            answers = await asyncio.gather(*(caller.call("POST", body=b"ask") for _ in range(40)))
            assert {answer.body for answer in answers} == {b"answer"}
            assert len(upstream.peers) <= 4
            caller.upstream.close()

    play(scene)


def test_an_answer_in_pieces_and_one_too_many(play: Play, caller_of: Callable[..., Any]) -> None:
    async def pieces(peer: Peer) -> None:
        await peer.read()
        for octet in framed(b"answer"):
            await peer.send(bytes((octet,)))
        await peer.read()
        await peer.send(framed(b"second") + framed(b"unasked"))
        await peer.gone()

    async def scene() -> None:
        async with ScriptedUpstream(pieces, echo) as upstream:
            caller = caller_of(tcp(upstream), framing=LLZZ)
            assert (await caller.call("POST", body=b"a")).body == b"answer"
            assert (await caller.call("POST", body=b"b")).body == b"second"
            assert (await caller.call("POST", body=b"c")).body == b"c"  # the connection with more on it is gone
            assert len(upstream.peers) == 2
            caller.upstream.close()

    play(scene)


@pytest.mark.parametrize(
    ("octets", "then", "cause"),
    [
        pytest.param(b"\0\1", None, Cause.PROTOCOL, id="a length that lies"),
        pytest.param(b"\0\x10\0\0abc", Peer.close, Cause.RESET, id="an end inside"),
        pytest.param(b"", Peer.reset, Cause.RESET, id="a reset"),
        pytest.param(b"", None, Cause.TIMEOUT, id="silence"),
        pytest.param(b"\0\x10\0\0abc", None, Cause.TIMEOUT, id="silence inside"),
    ],
)
def test_what_goes_wrong_after_the_message_left(
    play: Play, caller_of: Callable[..., Any], octets: bytes, then: Callable[[Peer], None] | None, cause: Cause
) -> None:
    async def bad(peer: Peer) -> None:
        await peer.read()
        if octets:
            await peer.send(octets)
        if then is not None:
            then(peer)
        else:
            await peer.gone()

    async def scene() -> None:
        async with ScriptedUpstream(bad, echo) as upstream:
            caller = caller_of(tcp(upstream), framing=LLZZ, timeout={"first_byte": "50ms", "idle": "50ms"})
            with pytest.raises(UpstreamError) as raised:
                await caller.call("POST", body=b"a", replayable=True)
            assert (raised.value.cause, raised.value.sent) == (cause, True)
            assert (await caller.call("POST", body=b"b")).body == b"b"
            caller.upstream.close()

    play(scene)


def test_nobody_listens(play: Play, caller_of: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(echo) as upstream:
            upstream.stop_listening()
            caller = caller_of(tcp(upstream), framing=LLZZ)
            with pytest.raises(UpstreamError) as raised:
                await caller.call("POST", body=b"a")
            assert (raised.value.cause, raised.value.sent) == (Cause.UNREACHABLE, False)

    play(scene)


@pytest.mark.parametrize("replayable", [True, False], ids=["may arrive twice", "once only"])
def test_a_connection_that_ends_as_it_is_used_again(
    play: Play, caller_of: Callable[..., Any], replayable: bool
) -> None:
    """Only what may arrive twice is sent again."""

    async def once(peer: Peer) -> None:
        await peer.send(await peer.read())
        await peer.read()
        peer.close()

    async def scene() -> None:
        async with ScriptedUpstream(once, echo) as upstream:
            caller = caller_of(tcp(upstream), framing=LLZZ)
            assert (await caller.call("POST", body=b"a")).body == b"a"
            if replayable:
                assert (await caller.call("POST", body=b"b", replayable=True)).body == b"b"
            else:
                with pytest.raises(UpstreamError) as raised:
                    await caller.call("POST", body=b"b")
                assert raised.value.sent
            caller.upstream.close()

    play(scene)


def test_another_target_takes_over(play: Play, caller_of: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(echo) as gone, ScriptedUpstream(echo) as upstream:
            gone.stop_listening()
            caller = caller_of(tcp(gone), tcp(upstream), framing=LLZZ)
            for _ in range(8):
                assert (await caller.call("POST", body=b"a")).body == b"a"
            caller.upstream.close()

    play(scene)


def test_a_message_that_does_not_fit_its_framing(play: Play, caller_of: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(echo) as upstream:
            caller = caller_of(tcp(upstream), framing={"delimiter": "\n"})
            with pytest.raises(Unmappable):
                await caller.call("POST", body=b"a\nb")
            assert not upstream.peers

    play(scene)


def test_another_framing_replaces_connections(play: Play, caller_of: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(echo) as upstream:
            caller = caller_of(tcp(upstream), framing=LLZZ)
            await caller.call("POST", body=b"a")
            other = caller_of(tcp(upstream), framing={"delimiter": "\n"})
            caller.upstream.reconfigure(other.upstream._targets._config)
            assert (await caller.call("POST", body=b"b")).body == b"b"
            assert len(upstream.peers) == 2
            caller.upstream.close()

    play(scene)


def test_over_tls(play: Play, caller_of: Callable[..., Any], tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def scene() -> None:
        async with ScriptedUpstream(echo, tls=context) as upstream:
            url = f"tls://127.0.0.1:{upstream.port}"
            caller = caller_of(url, framing=LLZZ, tls={"ca": str(tmp_path / "ca.pem")})
            for message in (b"a", b"b" * 50_000):
                assert (await caller.call("POST", body=message)).body == message
            stranger = caller_of(url, framing=LLZZ)
            with pytest.raises(UpstreamError) as raised:
                await stranger.call("POST", body=b"a")
            assert (raised.value.stage, raised.value.sent) == ("tls", False)
            caller.upstream.close()

    play(scene)


# --- calls that share a connection


def key(number: int) -> Correlation:
    return Correlation(b"%04d" % number, 2)


async def backwards(peer: Peer) -> None:
    """Answers in pairs, the later call first. A message is `??` and a key."""
    held: list[bytes] = []
    data = b""
    while True:
        data += await peer.read()
        while len(data) >= 10:
            held.append(data[6:10])
            data = data[10:]
        while len(held) >= 2:
            one, two = held.pop(0), held.pop(0)
            await peer.send(framed(b"ok" + two), framed(b"ok" + one))


def test_answers_in_any_order(play: Play, caller_of: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(backwards) as upstream:
            caller = caller_of(tcp(upstream), framing=LLZZ, connections={"max": 2})
            calls = (caller.call("POST", body=b"??%04d" % n, correlation=key(n)) for n in range(60))
            answers = await asyncio.gather(*calls)
            assert [answer.body for answer in answers] == [b"ok%04d" % n for n in range(60)]
            assert len(upstream.peers) <= 2
            caller.upstream.close()
            await caller.until(lambda: caller.figures()["open"] == 0)

    play(scene)


def test_an_answer_that_comes_late_answers_nobody(play: Play, caller_of: Callable[..., Any]) -> None:
    """A key that was given up on a connection is not used there again; its answer is dropped."""

    async def scene() -> None:
        release = asyncio.Event()

        async def forgets(peer: Peer) -> None:
            while True:
                data = await peer.read()
                for asked in (data[at : at + 4] for at in range(6, len(data), 10)):
                    if asked != b"0001" or peer.number:
                        late = framed(b"!!0001") if release.is_set() else b""
                        await peer.send(late + framed(b"%02d" % peer.number + asked))

        async with ScriptedUpstream(forgets) as upstream:
            caller = caller_of(tcp(upstream), framing=LLZZ)

            async def call(number: int, within_s: float = 5.0) -> bytes:
                body = b"??%04d" % number
                answer = await caller.call("POST", body=body, correlation=key(number), within_s=within_s)
                return bytes(answer.body)

            assert await call(9) == b"000009"
            forgotten = asyncio.ensure_future(call(1, 0.2))
            await asyncio.sleep(0)
            assert await call(8) == b"000008"
            with pytest.raises(UpstreamError) as raised:
                await forgotten
            assert raised.value.cause is Cause.TIMEOUT
            assert await call(1) == b"010001"
            release.set()
            assert await call(7) in (b"000007", b"010007")
            assert await call(6) in (b"000006", b"010006")
            caller.upstream.close()

    play(scene)


def test_the_same_key_twice_goes_to_another_connection(play: Play, caller_of: Callable[..., Any]) -> None:
    async def scene() -> None:
        both = asyncio.Event()
        there = []

        async def waits(peer: Peer) -> None:
            data = await peer.read()
            there.append(peer)
            if len(there) == 2:
                both.set()
            await both.wait()
            await peer.send(framed(b"%d." % peer.number + data[6:10]))
            await peer.gone()

        async with ScriptedUpstream(waits) as upstream:
            caller = caller_of(tcp(upstream), framing=LLZZ)
            calls = (caller.call("POST", body=b"??0001", correlation=key(1)) for _ in range(2))
            answers = await asyncio.gather(*calls)
            assert {answer.body for answer in answers} == {b"0.0001", b"1.0001"}
            caller.upstream.close()

    play(scene)


def test_a_shared_connection_that_ends_fails_its_calls(play: Play, caller_of: Callable[..., Any]) -> None:
    async def ends(peer: Peer) -> None:
        data = b""
        while len(data) < 30:
            data += await peer.read()
        peer.close()

    async def scene() -> None:
        async with ScriptedUpstream(ends) as upstream:
            caller = caller_of(tcp(upstream), framing=LLZZ)
            calls = (caller.call("POST", body=b"??%04d" % n, correlation=key(n)) for n in range(3))
            failures = await asyncio.gather(*calls, return_exceptions=True)
            assert [failure.cause for failure in failures if isinstance(failure, UpstreamError)] == [Cause.RESET] * 3
            await caller.until(lambda: caller.figures()["open"] == 0)

    play(scene)


def test_a_caller_that_leaves_a_shared_connection(play: Play, caller_of: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(backwards) as upstream:
            caller = caller_of(tcp(upstream), framing=LLZZ)
            aborts: list[Abort] = []
            one = asyncio.ensure_future(caller.call("POST", body=b"??0001", correlation=key(1), on_slow=aborts.append))
            await caller.until(lambda: bool(aborts))
            aborts[0](ConnectionError("left"))
            with pytest.raises(ConnectionError):
                await one
            two = await caller.call("POST", body=b"??0002", correlation=key(2))
            assert two.body == b"ok0002"
            assert len(upstream.peers) == 1
            caller.upstream.close()

    play(scene)


@pytest.mark.parametrize("correlation", [None, key(1)], ids=["alone", "shared"])
def test_what_is_announced_before_the_message_leaves(
    play: Play, caller_of: Callable[..., Any], correlation: Correlation | None
) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(echo) as upstream:
            caller = caller_of(tcp(upstream), framing=LLZZ)
            announced: list[int] = []
            refuses = True

            async def before() -> None:
                announced.append(len(upstream.peers))
                if refuses:
                    raise ConnectionError("not to be sent")

            def request() -> UpstreamRequest:
                made = UpstreamRequest("POST", b"/", Headers(), b"??0001", correlation=correlation)
                made.before = before
                return made

            deadline = asyncio.get_running_loop().time() + 5
            with pytest.raises(ConnectionError):
                await caller.upstream.send(request(), deadline)
            refuses = False
            assert (await caller.upstream.send(request(), deadline)).body == b"??0001"
            assert len(announced) == 2
            assert caller.figures()["requests"] == 1
            caller.upstream.close()

    play(scene)
