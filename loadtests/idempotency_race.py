"""Many callers of one key at the same moment, on one gateway and on several that share a store: executed once, one answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from idempotency_gateways import Redis, configured
from idempotency_world import Upstream, answering, post

CALLERS = 200
KEYS = 10


@dataclass
class Raced:
    gateways: int
    in_flight: str
    executed: Counter[int]  # how often keys were executed
    bodies: int  # different answers to one key, at most
    said: Counter[str]
    replayed_later: int  # keys whose answer everybody gets afterwards

    @property
    def good(self) -> bool:
        return (
            set(self.executed) == {1}
            and self.bodies == 1
            and self.replayed_later == KEYS
            and "no answer" not in self.said
        )


async def race(gateways: int, folder: Path, store: str, in_flight: str, callers: int = CALLERS) -> Raced:
    redis = Redis(folder / "redis") if store == "redis" else None
    if redis is not None:
        redis.start()
        store = f"redis://127.0.0.1:{redis.port}/0?acks=0"
    served = []
    said: Counter[str] = Counter()
    executed: Counter[int] = Counter()
    bodies = later = 0
    try:
        async with Upstream() as upstream:
            upstream.slowest_s = 0.3
            served = [
                configured(folder, number, upstream.port, store, in_flight=in_flight) for number in range(gateways)
            ]
            for gateway in served:
                gateway.start()
            await answering(served)
            for key in (f"k-{number}" for number in range(KEYS)):
                ports = [served[number % gateways].port for number in range(callers)]
                answers = await asyncio.gather(*(post(port, "hold", key) for port in ports))
                given = {answer.body for answer in answers if answer is not None and answer.status == 201}
                said.update("no answer" if one is None else one.code or "the answer" for one in answers)
                executed[upstream.executed[f"hold {key}"]] += 1
                bodies = max(bodies, len(given))
                again = [await post(gateway.port, "hold", key) for gateway in served]
                later += all(answer is not None and answer.replayed and answer.body in given for answer in again)
    finally:
        for gateway in served:
            gateway.end()
        if redis is not None:
            redis.kill()
    return Raced(gateways, in_flight, executed, bodies, said, later)


def table(found: list[Raced]) -> str:
    lines = [
        "| gateways | in_flight | keys × callers | executed | different answers | what callers got |",
        "|---|---|---|---|---|---|",
    ]
    for one in found:
        times = ", ".join(f"{count} × {number}" for number, count in sorted(one.executed.items()))
        said = ", ".join(f"{name}: {count}" for name, count in sorted(one.said.items()))
        callers = one.said.total() // KEYS
        lines.append(f"| {one.gateways} | {one.in_flight} | {KEYS} × {callers} | {times} | {one.bodies} | {said} |")
    return "\n".join(lines)
