"""Nobody who follows the rules of HTTP loses a call while a gateway ends."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
import uvloop

from gateway.api.settings.listen import Listen
from gateway.runtime.inprocess import Gateway
from gateway.runtime.listeners import listen_tcp
from gateway.runtime.plane import Receive, Scope, Send
from gateway.runtime.uvicorn_server import UvicornServer
from tests.wire.serving import BOUND_S, Crowd, ask, serving
from tests.wire.stub_plane import StubPlane, plan_of
from tests.wire.websockets import handshake

SERVERS = ["granian", "uvicorn"]
BUSY = 64


@pytest.mark.parametrize("server", SERVERS)
def test_64_busy_callers_lose_nothing(server: str) -> None:
    async def play() -> None:
        gateway = Gateway(plan_of(), StubPlane(), server=server)
        async with gateway, Crowd(gateway.listeners[0].port, BUSY) as crowd:
            await crowd.answers(BUSY * 5)
            assert await gateway.drain(delay_s=0.2)
            await crowd.finished()
        assert crowd.lost() == []
        assert all(caller.told_to_close for caller in crowd.callers)

    uvloop.run(play())


@pytest.mark.parametrize("server", SERVERS)
def test_sigterm_loses_nothing(server: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, workers=2, server=server, drain={"delay": "300ms", "timeout": "10s"}) as gateway:
            async with Crowd(gateway.port, BUSY) as crowd:
                await crowd.answers(BUSY * 5)
                gateway.signal(signal.SIGTERM)
                await gateway.logged("SIGTERM: ending")
                assert (await gateway.ops())["ready"] is False
                # it still takes new connections, from those who do not know yet
                assert b"connection: close" in await gateway.get("/")
                await crowd.finished()
            assert await gateway.ended() == 0
        assert crowd.lost() == []
        assert all(caller.told_to_close for caller in crowd.callers)

    uvloop.run(play())


@pytest.mark.parametrize("server", SERVERS)
def test_a_call_in_flight_is_answered_and_an_idle_connection_closed(server: str) -> None:
    async def play() -> None:
        plane = StubPlane()
        async with Gateway(plan_of(), plane, server=server) as gateway, asyncio.timeout(BOUND_S):
            port = gateway.listeners[0].port
            idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
            idle_writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await idle.readuntil(b"\r\n\r\nok")
            slow = asyncio.ensure_future(ask(port, "/hold"))
            await plane.held.wait()
            drained = asyncio.ensure_future(gateway.drain(timeout_s=10))
            assert await idle.read() == b"", "closed while the other call is still in flight"
            idle_writer.close()
            assert not drained.done()
            plane.hold.set()
            assert (await slow).endswith(b"ok")
            assert await drained

    uvloop.run(play())


@pytest.mark.parametrize("server", SERVERS)
def test_what_takes_longer_than_the_timeout_is_cut(server: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, server=server, drain={"delay": "0s", "timeout": "300ms"}) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
            while (await gateway.ops("/counters"))[0]["busy"] == 0:
                pass
            gateway.signal(signal.SIGINT)
            async with asyncio.timeout(BOUND_S):
                assert await reader.read() == b""
            writer.close()
            assert await gateway.ended() == 0
            assert await gateway.logged("are cut off")

    uvloop.run(play())


def test_sigint_waits_for_nobody_to_notice(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, drain={"delay": "1h", "timeout": "10s"}) as gateway:
            gateway.signal(signal.SIGINT)
            assert await gateway.ended() == 0

    uvloop.run(play())


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, workers=2, drain={"delay": "1h", "timeout": "1h"}) as gateway:
            pids = [report["pid"] for report in await gateway.ops("/counters")]
            gateway.signal(signal.SIGTERM)
            await gateway.logged("SIGTERM: ending")
            gateway.signal(signal.SIGTERM)
            assert await gateway.ended() == 0
            assert await all_gone(pids)

    uvloop.run(play())


async def all_gone(pids: list[int]) -> bool:
    """Wait until none of these processes lives; zombies of a dead parent are reaped by init."""
    async with asyncio.timeout(BOUND_S):
        while any(Path(f"/proc/{pid}/fd").exists() and list_fds(pid) for pid in pids):
            await asyncio.to_thread(lambda: None)
    return True


def list_fds(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return []


@pytest.mark.parametrize("path", ["/", "/socket"])
def test_uvicorn_ends_what_takes_no_notice_of_a_lost_caller(path: str) -> None:
    """A call and a WebSocket alike: their tasks are cancelled when there is no more time to wait for them."""

    async def play() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        listener = listen_tcp("127.0.0.1", 0)
        server = UvicornServer(app, listener, Listen(), 10)
        await server.start()
        async with asyncio.timeout(BOUND_S):
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(handshake(path=path.encode()) if path == "/socket" else b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await begun.wait()
            assert not await server.stop(0.05)
            await ended.wait()
        writer.close()
        listener.close()

    uvloop.run(play())
