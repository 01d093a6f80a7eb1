"""What the cache does for many: one call for a crowd, hit ratio against LRU, memory for a GiB of small answers.

    python loadtests/cache.py cold [--callers 1000] [--rounds 5] [--record]      a minute
    python loadtests/cache.py ratio [--record]                                   a minute
    python loadtests/cache.py memory [--mib 1024] [--record]                     two minutes, 3 GiB of memory

    cold      so many callers ask for one key that nobody has stored, at once, each on a connection of its own; the upstream
              takes 200 ms. Upstream calls and the slowest 1 %, for one worker, and for three gateways that share a Redis
    ratio     hits of 100 among 1,000,000 requests, Zipf(0.9) over 100,000 objects, with room for 5,000; beside LRU
    memory    resident octets of the store for each octet of field and body in it, by size of the bodies

`cold` needs Debian's redis-server. --record writes loadtests/results/cache-COMMAND.txt.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import gc
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from pathlib import Path

import uvloop
from machine import record

from gateway.api.messages import Headers
from policies.cache.core import Stored, keep
from policies.cache.store import MemoryStore
from policies.cache.terms import Rules, terms_of

UPSTREAM_S = 0.2
OBJECTS, ROOM, REQUESTS, SKEW = 100_000, 5_000, 1_000_000, 0.9
RULES = Rules()
REQUEST = b"GET /cold/%d HTTP/1.1\r\nHost: a\r\n\r\n"
CONFIGURATION = """\
version: 1
listen: {{host: 127.0.0.1, port: {port}}}
ops: {{port: {ops}}}
log: {{access: off}}
{store}
upstreams:
  slow: {{targets: ["http://127.0.0.1:{upstream}"]}}
routes:
  - name: cold
    match: {{path: /cold/**}}
    upstream: slow
    public: true
    policies: {{cache: {{}}}}
"""


class SlowUpstream(asyncio.Protocol):
    """Answers each request after UPSTREAM_S, and counts."""

    asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\r\n\r\n")):
            SlowUpstream.asked += 1
            asyncio.get_running_loop().call_later(UPSTREAM_S, self.answer)

    def answer(self) -> None:
        body = b"x" * 1300
        self.transport.write(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1300\r\n\r\n" + body)


class Caller(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def ask(self, request: bytes) -> asyncio.Future[float]:
        self.done = asyncio.get_running_loop().create_future()
        self.data = b""
        self.began = time.perf_counter()
        self.transport.write(request)
        return self.done

    def data_received(self, data: bytes) -> None:
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        if end >= 0 and len(self.data) >= end + 4 + 1300 and not self.done.done():
            assert self.data.startswith(b"HTTP/1.1 200"), self.data[:300]
            self.done.set_result(time.perf_counter() - self.began)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the gateway closed the connection"))


async def cold(callers: int, rounds: int) -> str:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(SlowUpstream, "127.0.0.1", 0)
    upstream = server.sockets[0].getsockname()[1]
    lines = [f"{callers} callers of one cold key, an upstream that takes {UPSTREAM_S * 1000:.0f} ms, {rounds} rounds",
             f"{'gateways':<28}{'upstream calls':>16}{'p50 ms':>9}{'p99 ms':>9}{'worst ms':>10}"]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        redis = subprocess.Popen(
            ["redis-server", "--port", "9389", "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            for name, count, store in (
                ("one", 1, ""),
                ("three, sharing a Redis", 3, "store: redis://127.0.0.1:9389/0"),
            ):
                lines.append(await crowd(Path(folder), name, count, store, upstream, callers, rounds))
        finally:
            redis.kill()
            redis.wait()
    server.close()
    return "\n".join(lines)


async def crowd(folder: Path, name: str, count: int, store: str, upstream: int, callers: int, rounds: int) -> str:
    loop = asyncio.get_running_loop()
    ports = [9390 + number for number in range(count)]
    processes = []
    try:
        for port in ports:
            home = folder / f"{count}-{port}"
            home.mkdir()
            text = CONFIGURATION.format(port=port, ops=port + 100, store=store, upstream=upstream)
            (home / "gateway.yaml").write_text(text)
            command = [str(Path(sys.executable).parent / "sluicegate"), "serve", "--config", str(home)]
            processes.append(subprocess.Popen([*command, "--state", str(home / "state")], stderr=subprocess.DEVNULL))
        connections = []
        for number in range(callers):
            while True:
                try:
                    _, caller = await loop.create_connection(Caller, "127.0.0.1", ports[number % count])
                    break
                except OSError:
                    await asyncio.sleep(0.1)
            connections.append(caller)
        await asyncio.gather(*(caller.ask(REQUEST % 0) for caller in connections))  # every connection is known
        calls, times = [], []
        for number in range(1, rounds + 1):
            await asyncio.sleep(0.5)
            before = SlowUpstream.asked
            times += await asyncio.gather(*(caller.ask(REQUEST % number) for caller in connections))
            calls.append(SlowUpstream.asked - before)
        times.sort()
        p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
        return f"{name:<28}{max(calls):>16}{p50 * 1e3:>9.0f}{p99 * 1e3:>9.0f}{times[-1] * 1e3:>10.0f}"
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


def answer(body: bytes, number: int) -> Stored:
    fields = Headers([
        (b"date", b"Thu, 01 Jan 2026 00:00:%02d GMT" % (number // 1000 % 60)),
        (b"content-type", b"application/json"),
        (b"cache-control", b"max-age=600"),
        (b"etag", b'"%032x"' % number),
        (b"vary", b"Accept-Encoding"),
    ])  # fmt: skip
    terms = terms_of(fields, 0.0, RULES)
    return keep(200, fields, body, Headers(), terms, RULES, now=number / 1000, wall=1_767_225_600.0, delay_s=0.0)


def ratio() -> str:
    weights = list(itertools.accumulate(1 / rank**SKEW for rank in range(1, OBJECTS + 1)))
    dice = random.Random(1)
    names = [bisect.bisect(weights, dice.random() * weights[-1]) for _ in range(REQUESTS)]
    one = answer(b"x" * 1000, 0)
    store = MemoryStore()
    user = SlowUpstream()  # anything that lives as long
    store.bound(user, one.size * ROOM)
    lru: OrderedDict[int, None] = OrderedDict()
    hits = lru_hits = 0
    for name in names:
        page = store.page((f"https://a/{name}", "r"))
        if page is not None:
            hits += 1
            page.uses = min(3, page.uses + 1)
        else:
            store.put((f"https://a/{name}", "r"), one)
        if name in lru:
            lru_hits += 1
            lru.move_to_end(name)
        else:
            lru[name] = None
            if len(lru) > ROOM:
                lru.popitem(last=False)
    return (
        f"{REQUESTS:,} requests, Zipf({SKEW}) over {OBJECTS:,} objects, room for {ROOM:,} (held at the end: {len(store.all_pages()):,})\n"
        f"S3-FIFO, as it is {100 * hits / REQUESTS:8.2f} %\nLRU               {100 * lru_hits / REQUESTS:8.2f} %\n"
        f"difference        {100 * (hits - lru_hits) / REQUESTS:8.2f} points"
    )


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory(mib: int) -> str:
    lines = [f"{mib} MiB of answers in one store", f"{'body octets':>12}{'answers':>10}{'resident MiB':>14}{'of each octet':>15}{'as counted':>12}"]  # fmt: skip
    for size in (1024, 2048, 4096, 16384):
        out = subprocess.run([sys.executable, __file__, "fill", str(mib), str(size)], capture_output=True, text=True, check=True)  # fmt: skip
        lines.append(out.stdout.rstrip())
    return "\n".join(lines)


def fill(mib: int, size: int) -> str:
    store = MemoryStore()
    user = SlowUpstream()  # anything that lives as long
    store.bound(user, 2**40)
    before, octets, number = resident(), 0, 0
    while octets < mib * 2**20:
        stored = answer(os.urandom(size), number)
        store.put((f"https://api.example/products/{number}", "r"), stored)
        octets += size + sum(len(name) + len(value) + 4 for name, value in stored.headers)
        number += 1
    grown = resident() - before
    return f"{size:>12}{number:>10}{grown / 2**20:>14.0f}{grown / octets:>15.2f}{grown / store.size:>12.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["cold", "ratio", "memory", "fill"])
    parser.add_argument("figures", nargs="*", type=int)
    parser.add_argument("--callers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    if arguments.command == "cold":
        table = uvloop.run(cold(arguments.callers, arguments.rounds))
    elif arguments.command == "ratio":
        table = ratio()
    elif arguments.command == "memory":
        table = memory(arguments.mib)
    else:
        table = fill(*arguments.figures)
    print(table)
    if arguments.record:
        record(f"cache-{arguments.command}.txt", table)


if __name__ == "__main__":
    main()
