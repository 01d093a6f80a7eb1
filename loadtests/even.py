"""GETs at an even pace over several connections, each at its own moment: what a server's own pauses do to latency.

    python loadtests/even.py PORT PATH RATE SECONDS [--connections 64] [--header "Name: value"]

`hey -q` lets all connections call in the same moment, so that its percentiles are those of the queue that it makes. Here call number n is due
n / RATE seconds after the start; latency counts from then, also where its connection was still busy (no coordinated omission).
Prints JSON: `calls`, `statuses`, `p50`, `p99` and `longest` in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from typing import cast

import uvloop


class Caller(asyncio.Protocol):
    """One connection: calls when told and free, keeps what it was answered. Reads heads with a Content-Length only."""

    def __init__(self, request: bytes, waits: list[float], statuses: Counter[str]) -> None:
        self._request = request
        self._waits = waits
        self._statuses = statuses
        self._due: list[float] = []
        self._got = b""
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def call(self, due: float) -> None:
        self._due.append(due)
        if len(self._due) == 1:
            self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, rest = self._got.partition(b"\r\n\r\n")
        if not end or len(rest) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]):
            return
        self._got = b""
        self._waits.append(time.monotonic() - self._due.pop(0))
        self._statuses[head[9:12].decode("ascii")] += 1
        if self._due:
            self._transport.write(self._request)

    @property
    def busy(self) -> bool:
        return bool(self._due) and not self.lost


async def run(port: int, request: bytes, rate: float, seconds: float, connections: int) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    waits: list[float] = []
    statuses: Counter[str] = Counter()
    callers = [Caller(request, waits, statuses) for _ in range(connections)]
    for caller in callers:
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)
    began, number, calls = time.monotonic() + 0.1, 0, int(rate * seconds)
    while number < calls:
        now = time.monotonic()
        while number < calls and (due := began + number / rate) <= now:
            callers[number % connections].call(due)
            number += 1
        await asyncio.sleep(0.0005)
    end = time.monotonic() + 10
    while any(caller.busy for caller in callers) and time.monotonic() < end:
        await asyncio.sleep(0.01)
    if len(waits) < calls:
        statuses["lost"] = calls - len(waits)
    waits.sort()
    found = {"p50": waits[len(waits) // 2], "p99": waits[len(waits) * 99 // 100], "longest": waits[-1]}
    return {"calls": calls, "statuses": statuses, **{name: wait * 1000 for name, wait in found.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("rate", type=float)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--header", action="append", default=[])
    arguments = parser.parse_args()
    fields = "".join(f"{field}\r\n" for field in ("Host: even", *arguments.header))
    request = f"GET {arguments.path} HTTP/1.1\r\n{fields}\r\n".encode("latin-1")
    print(
        json.dumps(uvloop.run(run(arguments.port, request, arguments.rate, arguments.seconds, arguments.connections)))
    )


if __name__ == "__main__":
    main()
