#!/usr/bin/env python3
"""What retry, bulkhead and breaker add to a call that goes well, in microseconds; and what an open breaker's answer costs."""

from __future__ import annotations

import asyncio
import time

from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Response
from gateway.api.policy import Level
from gateway.compile.chain import Step, fold
from gateway.compile.registry import installed
from gateway.testing.exchange import FakeScope, make_exchange

CALLS = 100_000
CONFIGS = {"breaker": {}, "retry": {}, "bulkhead": {"max": 100}, "concurrency": {"per": "ip", "max": 100}}


class LoopClock:
    def __init__(self) -> None:
        self.monotonic = asyncio.get_running_loop().time
        self.time = time.time


def steps(*names: str) -> list[Step]:
    found = []
    for name in names:
        spec = installed().policies[name]
        config = spec.config.model_validate(CONFIGS[name])
        built = spec.build(config, FakeScope(policy=name, name=name, level=Level.UPSTREAM, clock=LoopClock()))
        found.append(Step(spec.slot(config), name, built, rank=spec.rank))
    return found


async def cost_us(*names: str, status: int = 200) -> float:
    async def terminal(exchange: Exchange) -> Response:
        return Response(status, Headers(), b"")

    handle = fold(steps(*names), terminal).handle
    exchange = make_exchange(client="192.0.2.1")
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(CALLS // 5):
            exchange.tried = None
            exchange.codes.clear()
            await handle(exchange)
            if exchange.closers:
                exchange.closers.pop()()
        best = min(best, time.perf_counter() - began)
    return best / (CALLS // 5) * 1e6


async def main() -> None:
    nothing = await cost_us()
    for names in (("breaker",), ("retry",), ("bulkhead",), ("concurrency",), ("retry", "bulkhead", "breaker")):
        print(f"{' + '.join(names):28} {await cost_us(*names) - nothing:6.2f} µs")
    print(f"{'open breaker, its answer':28} {await cost_us('breaker', status=500) - nothing:6.2f} µs")


if __name__ == "__main__":
    asyncio.run(main())
