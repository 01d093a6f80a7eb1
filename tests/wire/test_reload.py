"""A configuration is replaced whole, everywhere, under load, or not at all."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
import uvloop

from gateway.runtime.inprocess import Gateway
from tests.wire.serving import BOUND_S, Crowd, serving
from tests.wire.stub_plane import StubPlane, plan_of

SERVERS = ["granian", "uvicorn"]


@pytest.mark.parametrize("server", SERVERS)
def test_200_reloads_under_64_busy_callers_lose_nothing(server: str) -> None:
    async def play() -> None:
        gateway = Gateway(plan_of("v0"), StubPlane(), server=server)
        async with gateway, Crowd(gateway.listeners[0].port, 64) as crowd:
            for number in range(1, 201):
                await gateway.apply(plan_of(f"v{number}", [f"route-{number}", "stays"]))
                await crowd.answers(4)
        assert crowd.lost() == []
        assert len(set().union(*(caller.versions for caller in crowd.callers))) > 100

    uvloop.run(play())


@pytest.mark.parametrize("server", SERVERS)
def test_reloads_of_two_workers_under_load_lose_nothing(server: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, workers=2, server=server) as gateway, Crowd(gateway.port, 64) as crowd:
            for number in range(2, 12):
                gateway.write(version=f"v{number}", routes=[f"route-{number}"])
                assert (await gateway.ops("/reload"))["outcome"] == "Applied"
                await crowd.answers(20)
                assert {report["version"] for report in await gateway.ops("/counters")} == {f"v{number}"}
        assert crowd.lost() == []

    uvloop.run(play())


def test_a_changed_file_reloads(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path) as gateway:
            gateway.write(version="v2", routes=["new"])
            await gateway.logged("configuration v2 is served")
            assert (await gateway.get("/routes")).endswith(b"new")

    uvloop.run(play())


def test_errors_change_nothing_and_are_told_and_sighup_tries_again(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, routes=["old"], watch=False) as gateway:
            gateway.write(errors=["rate_limit.brust: unknown field"])
            assert (await gateway.ops("/reload"))["outcome"] == "Rejected"
            status = await gateway.ops()
            assert (status["version"], status["last"], status["ready"]) == ("v1", "Rejected", True)
            assert (await gateway.get("/routes")).endswith(b"old")
            assert await gateway.logged("rate_limit.brust: unknown field")
            assert await gateway.logged("version v1 is served on")
            gateway.write(version="v2", routes=["new"])
            gateway.signal(signal.SIGHUP)
            await gateway.logged("configuration v2 is served")
            assert (await gateway.get("/routes")).endswith(b"new")

    uvloop.run(play())


@pytest.mark.parametrize("route", ["unbuildable", "deadly"])
def test_what_no_worker_can_take_is_abandoned(route: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, workers=2, routes=["old"], watch=False) as gateway:
            gateway.write(version="v2", routes=["old", route])
            outcome = await gateway.ops("/reload")
            assert outcome["outcome"] == "Abandoned"
            assert "could not take version v2" in outcome["reason"]
            assert (await gateway.get("/routes")).endswith(b"old")
            gateway.write(version="v3", routes=["old", "good"])
            assert (await gateway.ops("/reload"))["outcome"] == "Applied"
            assert {report["version"] for report in await gateway.ops("/counters")} == {"v3"}

    uvloop.run(play())


def test_a_worker_that_cannot_prepare_is_replaced_by_one_that_can(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, routes=["old"], watch=False) as gateway:
            before = (await gateway.ops("/counters"))[0]["pid"]
            gateway.write(version="v2", routes=["unbuildable-beside-another"])
            assert (await gateway.ops("/reload"))["outcome"] == "Applied"
            after = (await gateway.ops("/counters"))[0]
            assert (after["version"], after["pid"] == before) == ("v2", False)

    uvloop.run(play())


def test_listeners_come_and_go(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, watch=False) as gateway:
            path = tmp_path / "gateway.sock"
            gateway.write(version="v2", listen={"unix": str(path)})
            assert (await gateway.ops("/reload"))["outcome"] == "Applied"
            async with asyncio.timeout(BOUND_S):
                reader, writer = await asyncio.open_unix_connection(path)
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                await reader.readuntil(b"\r\n\r\nok")
                writer.close()
            with pytest.raises(ConnectionRefusedError):
                await gateway.get("/")

    uvloop.run(play())


def test_an_address_in_use_abandons_the_change(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, watch=False) as gateway:
            gateway.write(version="v2", listen={"port": gateway.ops_port})
            outcome = await gateway.ops("/reload")
            assert "the address is in use" in outcome["reason"]
            assert (await gateway.get("/")).endswith(b"ok")

    uvloop.run(play())
