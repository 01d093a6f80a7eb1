"""What the two servers do by themselves, before and after the edge. docs/servers.md tells the same in words."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
import uvloop

from gateway.runtime.inprocess import Gateway
from tests.wire.serving import BOUND_S
from tests.wire.stub_plane import StubPlane, plan_of

SERVERS = ["granian", "uvicorn"]
both = pytest.mark.parametrize("server", SERVERS)
BOUNDS = {"header_timeout": "200ms", "keep_alive": "400ms"}


def play(server: str, scene: Callable[[Gateway], Awaitable[None]], **listen: object) -> None:
    async def run() -> None:
        async with Gateway(plan_of(**listen), StubPlane(), server=server) as gateway, asyncio.timeout(BOUND_S):  # type: ignore[arg-type]
            await scene(gateway)

    uvloop.run(run())


async def say(gateway: Gateway, raw: bytes, *, context: ssl.SSLContext | None = None, name: str | None = None) -> bytes:
    """All that comes back until the connection closes."""
    port = gateway.listeners[0].port
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    writer.write(raw)
    try:
        return await reader.read()
    finally:
        writer.close()


def get(path: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: a", *fields, "Connection: close", "", ""]
    return "\r\n".join(lines).encode()


@dataclass(frozen=True)
class Line:
    """One thing said, and what every server answers: all of `has`, none of `lacks`."""

    name: str
    said: bytes
    has: tuple[bytes, ...] = ()
    lacks: tuple[bytes, ...] = ()
    ends: bytes = b""


LINES = [
    Line("a whole answer", get("/"), (b"HTTP/1.1 200 ", b"content-length: 2\r\n", b"server: stub\r\n"), ends=b"\r\n\r\nok"),
    Line("a date is added", get("/"), (b"date: ",)),
    Line("an upstream's date stays alone", get("/dated"), (b"date: Thu, 01 Jan 1970",), (b"GMT\r\ndate", b"date: S", b"date: M")),
    Line("chunks", get("/chunks"), (b"transfer-encoding: chunked", b"3\r\none\r\n"), ends=b"0\r\n\r\n"),
    Line("HEAD", get("/", method="HEAD"), (b"content-length: 2\r\n",), ends=b"\r\n\r\n"),
    Line("HEAD of a stream", get("/chunks", method="HEAD"), (b" 200 ",), (b"one",), ends=b"\r\n\r\n"),
    Line("a stream that breaks off has no last chunk", get("/cut"), (b"4\r\nsome\r\n",), (b"0\r\n\r\n",)),
    Line("a body that breaks off stays short", get("/cut-length"), (b"content-length: 100",), ends=b"some"),
    Line("HTTP/1.0", get("/", version="1.0"), (b" 200 OK",), ends=b"ok"),
    Line("HTTP/1.0 knows no chunks", get("/chunks", version="1.0"), (b" 200 OK",), (b"chunked",), ends=b"onetwo"),
    Line("pipelined", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + get("/chunks"), (b"\r\n\r\nokHTTP/1.1 200",), ends=b"0\r\n\r\n"),
    Line("no HTTP", b"garbage\r\n\r\n", (b"HTTP/1.1 400 ", b"connection: close")),
    Line("HTTP/0.9", b"GET /\r\n\r\n", (b" 400 ",)),
    Line("HTTP/1.2", get("/", version="1.2"), (b" 400 ",)),
    Line("HTTP/2.0", get("/", version="2.0"), (b" 400 ",)),
    Line("chunks in HTTP/1.0", get("/", "Transfer-Encoding: chunked", version="1.0") + b"0\r\n\r\n", (b" 400 ",)),
    Line("100 fields", get("/", *(f"x{n}: 1" for n in range(97))), (b" 200 ",)),
    Line("too many fields", get("/", *(f"x{n}: 1" for n in range(101))), (b" 431 ",)),
    Line("a field too large", get("/", "x: " + "a" * 17000), (b" 431 ",)),
    Line("a target too large", get("/" + "a" * 17000), (b" 431 ",)),
    Line("an endless head", b"GET / HTTP/1.1\r\nx: " + b"a" * 170_000, (b" 431 ",)),
    Line("a head of 16,000 octets", get("/", "x: " + "a" * 15_900), (b" 200 ",)),
    Line("100-continue", get("/", "Content-Length: 2", "Expect: 100-continue", method="POST") + b"hi", (b" 100 Continue\r\n\r\nHTTP/1.1 200",), ends=b"hi"),
    Line("a target with its query", get("/scope?a=%2F&b"), (b"b'/scope', b'a=%2F&b'",)),
]  # fmt: skip


@both
@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_what_is_said(server: str, line: Line) -> None:
    async def scene(gateway: Gateway) -> None:
        answer = await say(gateway, line.said)
        assert [what for what in line.has if what not in answer] == [], answer
        assert [what for what in line.lacks if what in answer] == [], answer
        assert answer.endswith(line.ends), answer

    play(server, scene)


@both
def test_idle_connections_and_slow_heads_are_closed(server: str) -> None:
    async def scene(gateway: Gateway) -> None:
        idle, slow, silent = await asyncio.gather(
            say(gateway, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), say(gateway, b"GET / HTTP/1.1\r\nHo"), say(gateway, b"")
        )
        assert idle.endswith(b"\r\n\r\nok")
        assert slow.startswith(b"HTTP/1.1 408 ") if server == "uvicorn" else slow == b""
        assert silent == b""

    play(server, scene, **BOUNDS)


@both
def test_a_head_that_begins_behind_the_request_before_it(server: str) -> None:
    """Its beginning outlives the first answer: what is dropped between requests is the first one's only."""

    async def scene(gateway: Gateway) -> None:
        assert isinstance(gateway.plane, StubPlane)
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.listeners[0].port)
        rest = get("/scope?again")
        writer.write(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n" + rest[:20])
        await gateway.plane.held.wait()
        gateway.plane.hold.set()
        assert b"200" in await reader.readuntil(b"\r\n\r\n")
        writer.write(rest[20:])
        assert b"b'/scope', b'again'" in await reader.read()
        writer.close()

    play(server, scene)


@both
def test_a_broken_chunk_ends_the_connection(server: str) -> None:
    async def scene(gateway: Gateway) -> None:
        answer = await say(gateway, get("/", "Transfer-Encoding: chunked", method="POST") + b"zz\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ") if server == "uvicorn" else b"200" not in answer

    play(server, scene)


@both
def test_nothing_answers_in_the_middle_of_another_answer(server: str) -> None:
    async def scene(gateway: Gateway) -> None:
        assert isinstance(gateway.plane, StubPlane)
        said = asyncio.ensure_future(say(gateway, b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\ngarbage\r\n\r\n"))
        await gateway.plane.held.wait()
        gateway.plane.hold.set()
        answer = await said
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1 ") == 1 or b"\r\n\r\nokHTTP/1.1 400 " in answer

    play(server, scene)


def test_uvicorn_takes_the_authority_of_an_absolute_target() -> None:
    async def scene(gateway: Gateway) -> None:
        for target in ("http://b.example:81/scope?x", "HTTP://b.example:81/scope?x"):
            assert b"([b'b.example:81'], b'/scope', b'x'" in await say(gateway, get(target))
        assert b"200 OK" in await say(gateway, get("http://b.example"))

    play("uvicorn", scene)


def test_uvicorn_refuses_connect_itself() -> None:
    async def scene(gateway: Gateway) -> None:
        answer = await say(gateway, get("b:443", method="CONNECT"))
        assert answer.startswith(b"HTTP/1.1 501 ")
        assert b'"code":"request.connect"' in answer

    play("uvicorn", scene)


def test_uvicorn_refuses_connections_beyond_the_bound_and_granian_lets_them_wait() -> None:
    async def scene(gateway: Gateway) -> None:
        assert isinstance(gateway.plane, StubPlane)
        first = asyncio.ensure_future(say(gateway, get("/hold")))
        await gateway.plane.held.wait()
        second = asyncio.ensure_future(say(gateway, get("/")))
        if gateway_kind == "uvicorn":
            assert (await second).startswith(b"HTTP/1.1 503 ")
        gateway.plane.hold.set()
        assert (await first).endswith(b"ok")
        assert (await second).startswith(b"HTTP/1.1 503 " if gateway_kind == "uvicorn" else b"HTTP/1.1 200 ")

    for gateway_kind in SERVERS:
        play(gateway_kind, scene, max_connections=1)


@both
def test_unix_sockets(server: str, tmp_path: Path) -> None:
    async def scene(gateway: Gateway) -> None:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "gateway.sock")
        writer.write(get("/"))
        assert (await reader.read()).endswith(b"ok")
        writer.close()

    play(server, scene, unix=str(tmp_path / "gateway.sock"))
    assert not (tmp_path / "gateway.sock").exists()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def certificate(folder: Path, authority: trustme.CA, *names: str) -> dict[str, str]:
    made = authority.issue_cert(*names)
    cert, key = folder / f"{names[0]}.pem", folder / f"{names[0]}.key"
    made.cert_chain_pems[0].write_to_path(cert)
    made.private_key_pem.write_to_path(key)
    return {"cert": str(cert), "key": str(key)}


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@both
def test_tls(server: str, tmp_path: Path, authority: trustme.CA) -> None:
    async def scene(gateway: Gateway) -> None:
        assert gateway.urls[0].startswith("https://")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = trusting(authority)
            context.minimum_version = context.maximum_version = version
            assert (await say(gateway, get("/"), context=context, name="api.example")).endswith(b"ok")

    play(server, scene, tls={"certificates": [certificate(tmp_path, authority, "api.example")]})


@both
def test_tls_1_3_alone(server: str, tmp_path: Path, authority: trustme.CA) -> None:
    async def scene(gateway: Gateway) -> None:
        context = trusting(authority)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await say(gateway, get("/"), context=context, name="api.example")

    play(server, scene, tls={"min_version": "1.3", "certificates": [certificate(tmp_path, authority, "api.example")]})


def test_several_certificates_are_chosen_by_name(tmp_path: Path, authority: trustme.CA) -> None:
    async def scene(gateway: Gateway) -> None:
        context = trusting(authority)
        for name in ("first.example", "second.example", "any.third.example"):
            assert (await say(gateway, get("/"), context=context, name=name)).endswith(b"ok")
        with pytest.raises(ssl.SSLCertVerificationError):  # an unknown name gets the first certificate
            await say(gateway, get("/"), context=context, name="fourth.example")

    made = [certificate(tmp_path, authority, name) for name in ("first.example", "second.example", "*.third.example")]
    play("auto", scene, tls={"certificates": made})


def test_client_certificates(tmp_path: Path, authority: trustme.CA) -> None:
    async def scene(gateway: Gateway) -> None:
        context = trusting(authority)
        stranger = await say(gateway, get("/scope"), context=context, name="api.example")
        assert stranger.endswith(b", None)")
        authority.issue_cert("partner@acme.example").configure_cert(context)
        known = await say(gateway, get("/scope"), context=context, name="api.example")
        assert b"'client_cert_der': b'0\\x82" in known

    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = {"certificates": [certificate(tmp_path, authority, "api.example")], "client_cert": "optional"}
    play("auto", scene, tls={**tls, "client_ca": str(tmp_path / "ca.pem")})


@both
def test_a_server_that_stops_as_soon_as_it_started(server: str) -> None:
    """Granian's accept loop may only now begin, on another thread: it would take the process with it if it found no address."""

    async def scene(gateway: Gateway) -> None:
        assert gateway.urls

    for _ in range(20):
        play(server, scene)
