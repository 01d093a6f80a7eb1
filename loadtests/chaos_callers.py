"""Callers for chaos.py: many connections, raw HTTP/1.1, every answer judged. Decides nothing about what is right.

They are a process of their own (`load` starts it), so that nobody's work delays another's clock.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field

import uvloop

BROKEN = 0  # the connection ended before a whole answer
_ENVOYS = re.compile(rb"reset reason: ([a-z ]+)")
_GAPS = {
    "none": lambda: 0.0,
    "paced": lambda: 0.03 + random.random() * 0.04,
    "hanging": lambda: 0.2 + random.random() * 0.2,  # keeps a bulkhead full, and is little work in itself
    "idle": lambda: random.choice((0.0, 0.9 + random.random() * 0.2, random.random() * 2)),
}


@dataclass(frozen=True)
class Load:
    """What is asked: at least so many calls in at least so many seconds, each connection after a gap of that kind."""

    port: int
    path: str
    method: str = "GET"
    connections: int = 64
    calls: int = 0
    seconds: float = 0.0
    gap: str = "none"
    niceness: int = 0
    limit_s: float = 10.0


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


async def load(what: Load) -> Outcomes:
    """Run `what` in a process of its own."""
    command = ["nice", "-n", str(what.niceness), sys.executable, __file__, json.dumps(asdict(what))]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"callers ended with {process.returncode}")
    found = json.loads(out)
    statuses = Counter({int(status): count for status, count in found["statuses"].items()})
    return Outcomes(statuses, [tuple(one) for one in found["failed"]], found["seconds"], found["ends"])


async def run(what: Load) -> Outcomes:
    """Each connection asks again as soon as it was answered, or after a gap."""
    outcomes = Outcomes()
    body = b"{}" if what.method == "POST" else b""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    gap = _GAPS[what.gap]
    end = time.monotonic() + what.seconds

    async def caller(number: int) -> None:
        connection = Connection(what.port)
        count = 0
        await asyncio.sleep(gap() * random.random())
        while outcomes.total < what.calls or time.monotonic() < end:
            call = f"{number}-{count}"
            count += 1
            raw = f"{what.method} {what.path} HTTP/1.1\r\nHost: a\r\nX-Call: {call}\r\n{length}\r\n".encode() + body
            began = time.monotonic()
            try:
                async with asyncio.timeout(what.limit_s):
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
            if what.gap != "none":
                await asyncio.sleep(gap())
        connection.close()

    await asyncio.gather(*(caller(number) for number in range(what.connections)))
    return outcomes


def _stage(answer: bytes) -> str:
    """Where the peer says that it failed."""
    reason = _ENVOYS.search(answer)
    if reason is not None:
        return reason[1].decode().strip()
    try:
        document = json.loads(answer)
    except ValueError:
        return ""
    return str(document.get("stage") or document.get("code") or "")


if __name__ == "__main__":
    print(json.dumps(vars(uvloop.run(run(Load(**json.loads(sys.argv[1])))))))
