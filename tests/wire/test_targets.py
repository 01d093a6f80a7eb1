"""Targets that are killed and come back under load: no GET fails, no POST is executed twice. On both servers."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from tests.wire.plays import Caller, Stage, holds

CALLERS = 8
GET = b"GET /orders HTTP/1.1\r\nHost: a\r\n\r\n"


class Mortal(asyncio.Protocol):
    """A connection to a target that answers at once what arrives in one piece, as small requests do."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.target.connections.add(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.target.connections.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        self.target.served += 1
        key = data.partition(b"x-key: ")[2].partition(b"\r\n")[0]
        if key:
            self.target.executed[key] += 1
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class Target:
    """A target that can be killed as a process is: its connections are reset, its port refuses. And started again."""

    def __init__(self, executed: Counter[bytes]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.executed = executed
        self.served = 0
        self.connections: set[asyncio.Transport] = set()
        self.server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Mortal(self), "127.0.0.1", self.port)

    def kill(self) -> None:
        if self.server is not None:
            self.server.close()
        for connection in list(self.connections):
            connection.abort()


@contextmanager
def killed(targets: list[Target]) -> Iterator[None]:
    """Whatever happens they are gone afterwards: uvloop does not close while a server is left."""
    try:
        yield
    finally:
        for target in targets:
            target.kill()


class Load:
    """Callers that call as fast as they are answered."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.answers: list[tuple[bytes, int]] = []
        self.over = False

    async def call(self, caller: Caller, name: int) -> None:
        number = 0
        while not self.over:
            number += 1
            key = b"%d-%d" % (name, number)
            head = b"%b /orders HTTP/1.1\r\nHost: a\r\nX-Key: %b\r\n" % (self.method.encode(), key)
            await caller.send(head + (b"Content-Length: 4\r\n\r\nbody" if self.method == "POST" else b"\r\n"))
            answer = await caller.answer(self.method)
            self.answers.append((key, answer.status))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_targets_are_killed_and_come_back(play, method: str) -> None:
    executed: Counter[bytes] = Counter()
    targets = [Target(executed) for _ in range(3)]

    async def scene(stage: Stage) -> None:
        with killed(targets):
            for target in targets:
                await target.start()
            load = Load(method)
            callers = [await stage.caller() for _ in range(CALLERS)]
            running = [asyncio.ensure_future(load.call(caller, number)) for number, caller in enumerate(callers)]

            async def answered(more: int) -> None:
                wanted = len(load.answers) + more
                await holds(lambda: len(load.answers) >= wanted)

            for round_ in range(6):
                target = targets[round_ % 3]
                await answered(100)
                target.kill()
                await answered(100)
                await target.start()
            await answered(100)
            load.over = True
            await asyncio.gather(*running)
            statuses = Counter(status for _, status in load.answers)
            if method == "GET":
                assert set(statuses) == {200}, statuses
            else:
                assert max(executed.values()) == 1
                assert set(statuses) <= {200, 502}, statuses
                # what failed had left: each of these was on a connection that was reset, never one that was refused
                assert statuses[502] <= 6 * CALLERS
            assert len([target for target in targets if target.served]) == 3

    play(scene, upstream={"targets": [target.url for target in targets], "policies": {"retry": {"backoff": "1ms"}}})


def test_one_is_unhealthy_and_the_operations_port_says_why(play) -> None:
    targets = [Target(Counter()) for _ in range(2)]

    async def scene(stage: Stage) -> None:
        with killed(targets):
            await targets[0].start()
            await holds(lambda: stage.plane.standings()["orders"][targets[1].url]["state"] == "unhealthy")
            why = stage.plane.standings()["orders"][targets[1].url]["why"]
            assert why == "2 checks in a row failed, the last: connect at connect: Connection refused"
            await holds(lambda: stage.plane.standings()["orders"][targets[0].url]["state"] == "in")
            for _ in range(20):
                assert (await stage.ask(GET)).status == 200
            assert stage.plane.statistics()["orders"][targets[1].url]["requests"] == 0
            targets[0].kill()
            await holds(lambda: stage.plane.standings()["orders"][targets[0].url]["state"] == "unhealthy")
            answer = await stage.ask(GET)
            assert answer.status == 503
            assert answer.get(b"retry-after") == [b"1"]
            assert (answer.problem["code"], answer.problem["stage"]) == ("upstream.overload", "queue")

    health = {"interval": "10ms", "unhealthy": 2}
    play(scene, upstream={"targets": [target.url for target in targets], "health": health})


def test_calls_with_the_same_header_go_to_one_target(play) -> None:
    targets = [Target(Counter()) for _ in range(3)]

    async def scene(stage: Stage) -> None:
        with killed(targets):
            for target in targets:
                await target.start()
            for tenant in (b"a", b"b", b"c", b"d"):
                before = [target.served for target in targets]
                for _ in range(4):
                    await stage.ask(b"GET / HTTP/1.1\r\nHost: a\r\nX-Tenant: %b\r\n\r\n" % tenant)
                after = [target.served for target in targets]
                assert sorted(b - a for a, b in zip(before, after, strict=True)) == [0, 0, 4]

    play(scene, upstream={"targets": [target.url for target in targets], "balance": {"hash": "header:X-Tenant"}})
