"""kill -9 of the gateway at random moments, under load: was anything executed twice, and what became of every key?"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from idempotency_gateways import LEASE_S, ROUTES, Redis, configured
from idempotency_world import Upstream, Watched, answering

CALLERS = 8


@dataclass
class Killed:
    """What one run saw, by route."""

    rounds: int
    keys: Counter[str]
    twice: Counter[str]
    differing: int
    ends: dict[str, Counter[str]]

    @property
    def good(self) -> bool:
        held, retried = (set(self.ends[route]) for route in ROUTES)
        return (
            not self.twice.total()
            and not self.differing
            and held <= {"its answer", "idempotency.outcome-unknown"}
            and retried <= {"its answer"}
        )


async def kill(
    rounds: int, folder: Path, store: str, *, whole: bool = False, most_s: float = 0.5, callers: int = CALLERS
) -> Killed:
    """`store`: a URL, or `redis` for one of our own, which is left alone here."""
    redis = Redis(folder / "redis") if store == "redis" else None
    if redis is not None:
        redis.start()
        store = f"redis://127.0.0.1:{redis.port}/0"
    watched = Watched()
    numbers = count()
    ending = False
    try:
        async with Upstream() as upstream:
            gateway = configured(folder, 0, upstream.port, store, whole=whole)

            async def caller() -> None:
                while not ending:
                    number = next(numbers)
                    await watched.call(gateway.port, ROUTES[number % 2], f"k-{number}")

            gateway.start()
            await answering([gateway])
            load = [asyncio.ensure_future(caller()) for _ in range(callers)]
            for _ in range(rounds):
                await asyncio.sleep(random.random() * most_s)
                gateway.kill()
                watched.up.clear()
                gateway.start()
                await answering([gateway])
                watched.up.set()
            ending = True
            await asyncio.gather(*load)
            await asyncio.sleep(LEASE_S + 0.5)  # whoever died while sending is known to be dead
            ends = {route: await watched.ends(gateway.port, route) for route in ROUTES}
            gateway.end()
            twice = Counter(name.split()[0] for name, times in upstream.executed.items() if times > 1)
            return Killed(rounds, Counter(route for route, _ in watched.asked), twice, watched.differing, ends)
    finally:
        if redis is not None:
            redis.kill()


def table(killed: Killed) -> str:
    lines = ["| on_unknown | kills | keys | executed twice | ended as |", "|---|---|---|---|---|"]
    for route in ROUTES:
        ends = ", ".join(f"{name}: {times}" for name, times in sorted(killed.ends[route].items()))
        lines.append(f"| {route} | {killed.rounds} | {killed.keys[route]} | {killed.twice[route]} | {ends} |")
    return "\n".join([*lines, "", f"keys answered in two ways: {killed.differing}"])
