"""Workers die, hang and are exchanged, and callers of the others see nothing of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from tests.wire.serving import BOUND_S, Crowd, Serving, serving

SERVERS = ["granian", "uvicorn"]


async def until(gateway: Serving, holds: Callable[[dict[str, object]], bool]) -> dict[str, object]:
    """The first status for which `holds` is true."""
    async with asyncio.timeout(BOUND_S):
        while not holds(status := await gateway.ops()):
            pass
    return dict(status)


async def worker_pids(gateway: Serving) -> set[int]:
    return {report["pid"] for report in await gateway.ops("/counters")}


def test_the_only_worker_dies_and_those_who_wait_are_answered(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path) as gateway:
            (pid,) = await worker_pids(gateway)
            os.kill(pid, signal.SIGKILL)
            # nobody accepts now: the supervisor holds the listener, and the queue with it
            answer = await gateway.get("/")
            assert answer.endswith(b"ok")
            assert f"x-pid: {pid}".encode() not in answer
            await until(gateway, lambda status: status["alive"] == 1 and status["replaced"] == 1)
            assert "status -9" in (await gateway.logged("ended unasked"))["message"]

    uvloop.run(play())


@pytest.mark.parametrize("server", SERVERS)
def test_callers_of_the_other_worker_do_not_notice(server: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, workers=2, server=server) as gateway:
            victim, survivor = await worker_pids(gateway)
            async with Crowd(gateway.port, 16) as crowd:
                await crowd.answers(100)
                on_survivor = [caller for caller in crowd.callers if caller.pids == {str(survivor)}]
                os.kill(victim, signal.SIGKILL)
                await until(gateway, lambda status: status["alive"] == 2 and status["replaced"] == 1)
                await crowd.answers(50 if on_survivor else 0)
            assert [caller.lost for caller in on_survivor if caller.lost] == []
            assert victim not in await worker_pids(gateway)

    uvloop.run(play())


@pytest.mark.parametrize("server", SERVERS)
def test_an_exchange_of_workers_loses_nothing(server: str, tmp_path: Path) -> None:
    """What a server takes at its start only (here keep_alive) needs fresh workers; 64 busy callers lose no POST."""

    async def play() -> None:
        async with serving(tmp_path, workers=2, server=server, drain={"delay": "300ms", "timeout": "10s"}) as gateway:
            before = await worker_pids(gateway)
            async with Crowd(gateway.port, 64) as crowd:
                await crowd.answers(200)
                gateway.write(version="v2", listen={"keep_alive": "30s"}, drain={"delay": "300ms", "timeout": "10s"})
                assert (await gateway.ops("/reload"))["outcome"] == "Applied"
                after = await worker_pids(gateway)
                while any(Path(f"/proc/{pid}").exists() for pid in before):
                    await crowd.answers(1)
                await crowd.answers(200)
            assert crowd.lost() == []
            assert not before & after
            assert crowd.pids() & {str(pid) for pid in after}

    uvloop.run(play())


def test_a_worker_that_cannot_be_started_is_tried_again_for_ever(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path) as gateway:
            gateway.write(version="v2", routes=["on-next-start-deadly"])
            assert (await gateway.ops("/reload"))["outcome"] == "Applied"
            (pid,) = await worker_pids(gateway)
            os.kill(pid, signal.SIGKILL)
            await gateway.logged("cannot be replaced; trying again in 0.2 s")
            gateway.write(version="v3", routes=["harmless"])
            assert (await gateway.ops("/reload"))["outcome"] == "Applied"
            assert (await gateway.get("/routes")).endswith(b"harmless")

    uvloop.run(play())


def test_workers_obey_the_supervisor_alone(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, workers=2) as gateway:
            pids = await worker_pids(gateway)
            assert len(pids) == 2
            assert sorted(await gateway.ops("/purge")) == sorted(["done", "everything", pid] for pid in pids)
            for pid in pids:  # as a terminal does, which tells the whole group
                for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                    os.kill(pid, number)
            assert (await gateway.get("/")).endswith(b"ok")
            assert await worker_pids(gateway) == pids

    uvloop.run(play())


@pytest.mark.parametrize("server", SERVERS)
def test_workers_leave_when_the_supervisor_is_gone(server: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, workers=2, server=server) as gateway:
            gateway.signal(signal.SIGKILL)
            await gateway.ended()
            await gateway.logged("the supervisor is gone")
            await refused(gateway.port)
            async with asyncio.timeout(BOUND_S):  # stderr ends when the last process that holds it does
                await gateway.log

    uvloop.run(play())


async def refused(port: int) -> None:
    """Wait until nobody listens there."""
    async with asyncio.timeout(BOUND_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                continue
            writer.close()
