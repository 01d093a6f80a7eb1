"""What a limit in Redis costs a request over one in memory: processor time of the gateway, at 64 connections.

    python loadtests/limits/cost.py [--seconds 3] [--rounds 10] [--record]

One worker; an API key and one limit a request, 50 consumers; the answer is the gateway's own. Both kinds take turns; the least of the rounds says
what it costs, for what others do on the machine only adds. Takes 2 * rounds * seconds and a bit.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

from stage import Gateway, Redis, cpu_and_rss, key_of, record

CONNECTIONS, CONSUMERS = 64, 50


async def measured(gateway: Gateway, seconds: float) -> tuple[float, float]:
    """µs of the gateway's processor time a request, and requests a second."""
    ends, answered = time.monotonic() + seconds, 0

    async def one(place: int) -> None:
        nonlocal answered
        request = b"GET /limited HTTP/1.1\r\nHost: limits\r\nX-API-Key: %s\r\n\r\n" % key_of(place % CONSUMERS).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        while time.monotonic() < ends:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            await reader.readexactly(2)
            answered += 1
        writer.close()

    before, began = cpu_and_rss(gateway.process.pid)[0], time.monotonic()
    await asyncio.gather(*(one(place) for place in range(CONNECTIONS)))
    spent = cpu_and_rss(gateway.process.pid)[0] - before
    return spent / answered * 1e6, answered / (time.monotonic() - began)


async def run(seconds: float, rounds: int) -> list[str]:
    redis = Redis()
    redis.start()
    plenty = {"workers": 1, "consumers": CONSUMERS, "rate": 1_000_000, "burst": 1_000_000}
    try:
        async with (
            Gateway(None, **plenty) as memory,
            Gateway(f"{redis.url}?timeout=1s", **plenty) as shared,
        ):
            found: dict[str, list[tuple[float, float]]] = {"memory": [], "redis": []}
            for gateway in (memory, shared):
                await measured(gateway, 1.0)
            for _ in range(rounds):
                for name, gateway in (("memory", memory), ("redis", shared)):
                    found[name].append(await measured(gateway, seconds))
    finally:
        redis.kill()
    rows = [f"{'µs a request, limit in':<24}{'memory':>8}{'redis':>8}{'more':>8}"]
    for what, of in (("least of the rounds", min), ("their median", statistics.median)):
        memory_us, redis_us = (of(cpu for cpu, _ in found[name]) for name in ("memory", "redis"))
        rows.append(f"{what:<24}{memory_us:>8.1f}{redis_us:>8.1f}{redis_us - memory_us:>8.1f}")
    rates = [statistics.median(rate for _, rate in found[name]) for name in ("memory", "redis")]
    rows.append(f"{'requests/s':<24}{rates[0]:>8.0f}{rates[1]:>8.0f}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    table = "\n".join(asyncio.run(run(arguments.seconds, arguments.rounds)))
    print(table)
    if arguments.record:
        record("limits-cost.txt", table)


if __name__ == "__main__":
    main()
