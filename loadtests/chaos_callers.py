"""Callers for chaos.py: many connections, raw HTTP/1.1, every answer judged. Decides nothing about what is right."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

BROKEN = 0  # the connection ended before a whole answer


@dataclass
class Outcomes:
    """What callers saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    failed: list[tuple[str, int, str]] = field(default_factory=list)  # call, status, stage
    seconds: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)  # monotonic, of good answers

    @property
    def total(self) -> int:
        return sum(self.statuses.values())

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Connection:
    """One caller's connection; opened again when it was closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        try:
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writer.write(raw)
            head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
            body = await self._body(head)
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            self.close()
            return BROKEN, b""
        if b"\r\nconnection: close" in head:
            self.close()
        return int(head[9:12]), body

    async def _body(self, head: bytes) -> bytes:
        _, found, after = head.partition(b"\r\ncontent-length: ")
        if found:
            return await self._reader.readexactly(int(after.split(b"\r\n", 1)[0]))
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()
        return body

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


async def load(
    port: int,
    path: str,
    *,
    method: str = "GET",
    connections: int = 64,
    until: Callable[[Outcomes], bool],
    gap_s: Callable[[], float] | None = None,
    limit_s: float = 10.0,
) -> Outcomes:
    """Each connection asks again as soon as it was answered, or after a gap, until `until` says so."""
    outcomes = Outcomes()

    async def caller(number: int) -> None:
        connection = Connection(port)
        count = 0
        while not until(outcomes):
            call = f"{number}-{count}"
            count += 1
            body = b"{}" if method == "POST" else b""
            length = f"Content-Length: {len(body)}\r\n" if body else ""
            raw = f"{method} {path} HTTP/1.1\r\nHost: a\r\nX-Call: {call}\r\n{length}\r\n".encode() + body
            began = time.monotonic()
            try:
                async with asyncio.timeout(limit_s):
                    status, answer = await connection.ask(raw)
            except TimeoutError:
                connection.close()
                status, answer = BROKEN, b""
            now = time.monotonic()
            outcomes.statuses[status] += 1
            outcomes.seconds.append(now - began)
            if status == 200:
                outcomes.ends.append(now)
            else:
                outcomes.failed.append((call, status, _stage(answer)))
            if gap_s is not None:
                await asyncio.sleep(gap_s())
        connection.close()

    await asyncio.gather(*(caller(number) for number in range(connections)))
    return outcomes


def _stage(answer: bytes) -> str:
    try:
        document = json.loads(answer)
    except ValueError:
        return ""
    return str(document.get("stage") or document.get("code") or "")
