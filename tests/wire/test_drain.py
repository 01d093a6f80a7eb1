"""Nobody who follows the rules of HTTP loses a call while a gateway ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
import uvloop

from gateway.runtime.inprocess import Gateway
from tests.wire.stub_plane import StubPlane, plan_of

SERVERS = ["granian", "uvicorn"]
BUSY = 64


@dataclass
class Caller:
    """POSTs one after the other on a kept connection; makes a new one when it was told so. Counts what is lost."""

    port: int
    answered: int = 0
    lost: list[str] = field(default_factory=list)
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, answered: asyncio.Queue[int]) -> None:
        """Until the gateway no longer takes connections."""
        while True:
            if self.connection is None:
                try:
                    self.connection = await asyncio.open_connection("127.0.0.1", self.port)
                except ConnectionRefusedError:
                    return
            reader, writer = self.connection
            try:
                writer.write(b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(5)
            except (asyncio.IncompleteReadError, ConnectionError) as exc:
                self.lost.append(repr(exc))
                return
            self.answered += 1
            answered.put_nowait(1)
            if b"connection: close" in head.lower():
                writer.close()
                self.connection = None


@pytest.mark.parametrize("server", SERVERS)
def test_64_busy_callers_lose_nothing(server: str) -> None:
    async def play() -> None:
        async with Gateway(plan_of(), StubPlane(), server=server) as gateway:
            answers: asyncio.Queue[int] = asyncio.Queue()
            callers = [Caller(gateway.listeners[0].port) for _ in range(BUSY)]
            running = [asyncio.ensure_future(caller.run(answers)) for caller in callers]
            async with asyncio.timeout(15):
                for _ in range(BUSY * 5):
                    await answers.get()
                assert await gateway.drain(delay_s=0.3)
                await asyncio.gather(*running)
        assert [caller.lost for caller in callers if caller.lost] == []
        assert all(caller.answered for caller in callers)

    uvloop.run(play())
