"""Upstreams that break the rules: the caller gets a problem that names the stage, never the upstream's bytes, and the next call works."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

import pytest
import trustme

from gateway.testing.upstream import Peer, Script, answering, ok
from tests.wire.conftest import Perform
from tests.wire.plays import TO_ALL, Broken, Stage, holds

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
SECRET = b"SECRET-OF-THE-UPSTREAM"
QUICK = {"timeout": {"connect": "300ms", "first_byte": "200ms", "idle": "200ms"}}


def answer(*fields: bytes, first: bytes = b"HTTP/1.1 200 OK", body: bytes = b"") -> bytes:
    return b"\r\n".join([first, b"X-Note: " + SECRET, *fields, b"", b""]) + body


# Sent in answer to a request; the caller gets 502 upstream.protocol, stage head
BAD_HEADS = {
    "both length and chunked": answer(b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "two lengths": answer(b"Content-Length: 2", b"Content-Length: 3", body=b"abc"),
    "two equal lengths": answer(b"Content-Length: 2", b"Content-Length: 2", body=b"ok"),
    "a list of lengths": answer(b"Content-Length: 2, 2", body=b"ok"),
    "a negative length": answer(b"Content-Length: -1"),
    "a signed length": answer(b"Content-Length: +2", body=b"ok"),
    "a hex length": answer(b"Content-Length: 0x2", body=b"ok"),
    "an endless length": answer(b"Content-Length: " + b"9" * 30),
    "a coding that is not chunked": answer(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "a coding in HTTP/1.0": answer(b"Transfer-Encoding: chunked", first=b"HTTP/1.0 200 OK", body=b"0\r\n\r\n"),
    "obsolete folding": answer(b"X-A: b\r\n c", b"Content-Length: 0"),
    "a bare CR": answer(b"X-A: b\rX-Injected: 1", b"Content-Length: 0"),
    "a bare LF": answer(b"X-A: b\nX-Injected: 1", b"Content-Length: 0"),
    "bare LFs only": answer(b"Content-Length: 2", body=b"ok").replace(b"\r\n", b"\n"),
    "NUL in a value": answer(b"X-A: b\0c", b"Content-Length: 0"),
    "a control character": answer(b"X-A: \x1b[31m", b"Content-Length: 0"),
    "a blank before the colon": answer(b"Content-Length : 0"),
    "a line without a colon": answer(b"broken", b"Content-Length: 0"),
    "a name that is no token": answer(b"X(A): b", b"Content-Length: 0"),
    "a bad status": answer(b"Content-Length: 0", first=b"HTTP/1.1 abc OK"),
    "status 99": answer(b"Content-Length: 0", first=b"HTTP/1.1 099 OK"),
    "status 600": answer(b"Content-Length: 0", first=b"HTTP/1.1 600 OK"),
    "HTTP/2": answer(b"Content-Length: 0", first=b"HTTP/2 200 OK"),
    "HTTP/0.9": SECRET + b" and no head",
    "TLS on a plain port": b"\x15\x03\x03\x00\x02\x02\x28" + SECRET,
    "garbage": b"\xff\xfe" + SECRET + b"\r\n\r\n",
    "a request": b"GET /" + SECRET + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a head without end": answer(b"X-A: " + b"a" * 80_000)[:-2],
    "a head that is too long": answer(b"X-A: " + b"a" * 80_000, b"Content-Length: 0"),
    "too many fields": answer(*[b"X-A: b"] * 500, b"Content-Length: 0"),
    "101 that nobody asked for": answer(b"Upgrade: foo", b"Connection: upgrade", first=b"HTTP/1.1 101 Switching Protocols"),
    "an interim answer with a body": answer(b"Content-Length: 3", first=b"HTTP/1.1 103 Early Hints", body=b"abc") + ok(),
    "a flood of interim answers": answer(first=b"HTTP/1.1 100 Continue") * 100 + ok(),
}  # fmt: skip

# Begins well, then breaks: 200 is out, so the connection is cut
BAD_BODIES = {
    "a chunk size that is no number": b"zz\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "a chunk size that overflows": b"f" * 17 + b"\r\nabc",
    "a chunk longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "a bare LF after a size": b"3\nabc\r\n0\r\n\r\n",
    "an LF in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "an endless extension": b"3;" + b"a" * 10_000,
    "a folded trailer": b"3\r\nabc\r\n0\r\nX-T: a\r\n b\r\n\r\n",
    "a trailer that is no field": b"3\r\nabc\r\n0\r\nbroken\r\n\r\n",
}


def then_sound(script: Script) -> tuple[Script, Script]:
    """The first connection is faulty, those after it are sound."""
    return script, answering(ok())


async def next_call_works(stage: Stage) -> None:
    sound = await stage.ask(GET)
    assert (sound.status, sound.body) == (200, b"ok")
    assert stage.figures()["open"] == 1, "the faulty connection is closed"


async def refused(stage: Stage, raw: bytes, status: int, code: str, at: str) -> None:
    """`raw` gets exactly this problem, which holds nothing that the upstream sent; the caller's connection lives on."""
    caller = await stage.caller()
    await caller.send(raw)
    got = await caller.answer()
    problem = got.problem
    assert (got.status, problem["code"], problem["stage"], problem["upstream"]) == (status, code, at, "orders")
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id", "upstream", "stage"}
    assert problem["request_id"].encode() == got.get(b"x-request-id")[0]
    assert SECRET not in got.body + b"".join(value for _, value in got.fields)
    assert not got.ends_connection


@pytest.mark.parametrize("name", BAD_HEADS)
def test_a_bad_head(play: Perform, name: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(BAD_HEADS[name])
        await peer.gone()

    async def scene(stage: Stage) -> None:
        await refused(stage, POST, 502, "upstream.protocol", "head")
        async with asyncio.timeout(5):
            await stage.upstream.peers[0].ended.wait()
        await next_call_works(stage)

    play(scene, *then_sound(script))


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body(play: Perform, name: str) -> None:
    begun = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n")
        await holds(begun.is_set)
        await peer.send(BAD_BODIES[name])
        await peer.gone()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(GET)
        assert await caller.head() == 200
        await caller.reader.readuntil(b"some\r\n")
        begun.set()
        rest = await caller.rest()
        assert not rest.endswith(b"0\r\n\r\n")
        async with asyncio.timeout(5):
            await stage.upstream.peers[0].ended.wait()
        await next_call_works(stage)

    play(scene, *then_sound(script))


def ends(*pieces: bytes, by: Callable[[Peer], None]) -> Script:
    return answering(*pieces, then=by)


async def never(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


async def head_never_ends(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nX-Note: " + SECRET)
    await peer.gone()


BREAKS_OFF = {
    "closes before a byte": (ends(by=Peer.close), 502, "upstream.reset", "head"),
    "resets before a byte": (ends(by=Peer.reset), 502, "upstream.reset", "head"),
    "closes in the head": (ends(answer()[:30], by=Peer.close), 502, "upstream.reset", "head"),
    "resets in the head": (ends(answer()[:30], by=Peer.reset), 502, "upstream.reset", "head"),
    "closes after an interim answer": (
        ends(answer(first=b"HTTP/1.1 100 Continue"), by=Peer.close),
        502,
        "upstream.reset",
        "head",
    ),
    "never answers": (never, 504, "upstream.timeout", "head"),
    "stops in the head": (head_never_ends, 504, "upstream.timeout", "head"),
}


@pytest.mark.parametrize("name", BREAKS_OFF)
def test_an_upstream_that_breaks_off(play: Perform, name: str) -> None:
    script, status, code, at = BREAKS_OFF[name]

    async def scene(stage: Stage) -> None:
        await refused(stage, POST, status, code, at)
        await next_call_works(stage)

    play(scene, *then_sound(script), upstream=QUICK)


def test_an_upstream_that_stops_in_the_body(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        await peer.gone()

    async def scene(stage: Stage) -> None:
        with pytest.raises(Broken):
            await stage.ask(GET)
        line = await stage.logged()
        assert (line["status"], line["complete"], line["codes"]) == (200, False, ["upstream.timeout"])
        await next_call_works(stage)

    play(scene, *then_sound(script), upstream=QUICK)


def test_an_upstream_that_stops_reading(play: Perform) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.ended.wait()

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        sending = asyncio.ensure_future(
            caller.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 67108864\r\n\r\n", bytes(2**26))
        )
        got = await caller.answer()
        assert (got.status, got.problem["code"], got.problem["stage"]) == (504, "upstream.timeout", "write")
        assert got.ends_connection
        caller.close()
        await sending
        await next_call_works(stage)

    play(scene, *then_sound(script), upstream=QUICK)


def test_bytes_after_an_answer_never_answer_another(play: Perform) -> None:
    """Response queue poisoning: an upstream that says more than it was asked for."""
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        for _ in range(3):
            await caller.send(GET)
            assert (await caller.answer()).body == b"ok"
        assert len(stage.upstream.peers) == 3, "each of these connections was closed after its answer"

    play(scene, answering(ok() + poison))


def test_bytes_after_a_bodiless_answer_neither(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        for _ in range(2):
            await caller.send(GET)
            got = await caller.answer()
            assert (got.status, got.body) == (204, b"")
        assert len(stage.upstream.peers) == 2

    play(scene, answering(b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nPOISON"))


@pytest.mark.parametrize("raw", [GET, POST])
def test_a_connection_that_was_closed_while_idle_is_not_used(play: Perform, raw: bytes) -> None:
    closed = 0

    async def script(peer: Peer) -> None:
        nonlocal closed
        await peer.request()
        await peer.send(ok())
        peer.close()
        closed += 1

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        for count in range(1, 6):
            await caller.send(raw)
            assert (await caller.answer()).status == 200
            await holds(lambda count=count: closed == count)

    play(scene, script)


def test_nobody_listens(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        stage.upstream.stop_listening()
        await refused(stage, POST, 502, "upstream.unreachable", "connect")

    play(scene)


def test_a_name_that_nobody_knows(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await refused(stage, POST, 502, "upstream.unreachable", "resolve")

    play(scene, upstream={"targets": ["http://nobody.invalid:80"]})


def test_a_certificate_that_nobody_trusts(play: Perform) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    async def scene(stage: Stage) -> None:
        await refused(stage, POST, 502, "upstream.unreachable", "tls")

    play(scene, tls=context)


def test_a_handshake_that_never_ends(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await refused(stage, POST, 504, "upstream.timeout", "tls")

    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts in its queue, and says nothing
        target = f"https://127.0.0.1:{silent.getsockname()[1]}"
        play(scene, upstream={**QUICK, "targets": [target]})


def test_every_connection_is_taken(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        first = await stage.caller()
        await first.send(GET.replace(b" /", b" /patient", 1))
        await holds(lambda: stage.upstream.requests)
        caller = await stage.caller()
        await caller.send(POST)
        got = await caller.answer()
        assert (got.status, got.problem["code"], got.problem["stage"]) == (503, "upstream.overload", "queue")
        assert got.get(b"retry-after") == [b"1"]

    patient = {**TO_ALL, "name": "patient", "match": {"path": "/patient"}}
    hasty = {**TO_ALL, "policies": {"timeout": {"total": "200ms"}}}
    play(scene, never, upstream={"connections": {"max": 1}}, routes=[patient, hasty])
