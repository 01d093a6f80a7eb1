"""What plays on a Redis store need: an operation, a store that is closed again, a wait, a server that answers as told."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import hiredis

from gateway.stores.redis.address import parse
from gateway.stores.redis.single import SingleStore

PATIENT = "timeout=5s"  # where the machine may be busy and time is not the point


@dataclass(frozen=True)
class Ask:
    """An operation without a key of its own."""

    lua: str
    arguments_: tuple[Any, ...] = ()
    name: str = "ask"

    def keys(self) -> tuple[str, ...]:
        return ("k",)

    def arguments(self) -> tuple[Any, ...]:
        return self.arguments_

    def apply(self, table: Any, now: float) -> Any:
        raise NotImplementedError

    def parse(self, reply: Any) -> Any:
        return reply


@asynccontextmanager
async def opened(url, *, process="one", **options):
    backend = SingleStore(parse(url), name="shared", process=process, **options)
    try:
        yield backend
    finally:
        await backend.close()


async def until(condition, within_s=10.0):
    """Wait for a condition, in bounded time."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def fake_server(answer):
    """A server on a free port that answers each command with the octets that `answer(words)` gives; yields its URL."""

    async def serve(reader, writer):
        commands = hiredis.Reader()
        try:
            while data := await reader.read(65536):
                commands.feed(data)
                while (words := commands.gets()) is not False:
                    writer.write(answer(words))
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def sound(words):
    """What a Redis that is well answers to our own commands."""
    match words[0]:
        case b"INFO":
            return b"$21\r\nredis_version:7.0.15\n\r\n"
        case b"EVALSHA":
            return b":1\r\n"
        case _:
            return b"+OK\r\n"
