"""An upstream that counts what it executes, and callers that watch what they are told: for the proofs of idempotency keys.

The upstream has two faces: /hold executes whatever comes; /retry remembers keys, as an upstream that honours them does.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from idempotency_gateways import Gateway


class Upstream:
    """Executes, and answers with how often it did."""

    def __init__(self) -> None:
        self.port = 0
        self.executed: Counter[str] = Counter()  # by route and key: what it did
        self.slowest_s = 0.02
        self.entered = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Upstream:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None, "entered"
        self._server.close()
        for writer in self._callers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await reader.readexactly(int(_of(r"content-length: (\d+)", head)))
                route, key = _of(r"POST /(\w+)", head), _of(r"idempotency-key: (\S+)", head)
                if route == "hold" or not self.executed[f"{route} {key}"]:
                    self.executed[f"{route} {key}"] += 1
                self.entered.set()
                await asyncio.sleep(random.random() * self.slowest_s)
                body = f"{key} executed {self.executed[f'{route} {key}']}".encode()
                writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):  # cancelled at the end
            pass
        finally:
            self._callers.discard(writer)
            writer.close()


def _of(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.IGNORECASE)
    assert found is not None, text
    return found[1]


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    replayed: bool

    @property
    def code(self) -> str:
        """What is said instead of an answer; "" for an answer."""
        return "" if self.status == 201 else str(json.loads(self.body)["code"])


async def post(port: int, route: str, key: str, *, within_s: float = 10) -> Answer | None:
    """One call on a connection of its own; None when it broke."""
    writer = None
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"POST /{route} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n"
            writer.write(f"{head}Idempotency-Key: {key}\r\n\r\n{{}}".encode())
            head_raw, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return Answer(int(head_raw.split()[1]), body, b"idempotency-replayed: true" in head_raw.lower())
    except (OSError, IndexError, TimeoutError):
        return None
    finally:
        if writer is not None:
            writer.transport.abort()


async def answering(gateways: Iterable[Gateway]) -> None:
    """Returns when all take calls."""
    for gateway in gateways:
        while await post(gateway.port, "hold", "", within_s=2) is None:
            if not gateway.alive:
                raise RuntimeError(gateway.log.read_text()[-2000:])
            await asyncio.sleep(0.02)


class Watched:
    """Keys that were asked for, and whether what was said of them agrees."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.first: dict[tuple[str, str], bytes] = {}
        self.differing = 0
        self.up = asyncio.Event()  # while nobody listens nobody asks
        self.up.set()

    def heard(self, route: str, key: str, answer: Answer) -> None:
        if answer.status == 201:
            self.differing += self.first.setdefault((route, key), answer.body) != answer.body

    async def call(self, port: int, route: str, key: str, tries: int = 3) -> None:
        """A caller that asks again until it is answered, a few times."""
        self.asked.append((route, key))
        for _ in range(tries):
            await self.up.wait()
            answer = await post(port, route, key)
            if answer is not None:
                self.heard(route, key, answer)
                if answer.status == 201:
                    return
            await asyncio.sleep(0.02)

    async def ends(self, port: int, route: str) -> Counter[str]:
        """What each key of a route ends as, when asked for once more."""
        found: Counter[str] = Counter()
        keys = iter([key for each, key in self.asked if each == route])

        async def ask() -> None:
            for key in keys:
                answer = await post(port, route, key)
                if answer is not None:
                    self.heard(route, key, answer)
                found["no answer" if answer is None else answer.code or "its answer"] += 1

        await asyncio.gather(*(ask() for _ in range(16)))
        return found
