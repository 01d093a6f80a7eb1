"""The one timer: runs while something waits, rests otherwise, and survives what it calls."""

from __future__ import annotations

import asyncio
from math import inf

import pytest

from gateway.upstream.sweep import Sweep


class Waiting:
    def __init__(self, sweep: Sweep, due: float, *, broken: bool = False) -> None:
        self.sweep = sweep
        self.due = due
        self.broken = broken
        self.expired = asyncio.Event()

    def expire(self, now: float) -> None:
        assert now >= self.due
        self.sweep.waiting.discard(self)
        self.due = inf
        self.expired.set()
        if self.broken:
            raise RuntimeError("broken")


def test_what_is_due_expires_and_the_timer_rests() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        sweep = Sweep(loop)
        soon, never = Waiting(sweep, loop.time() + 0.03), Waiting(sweep, inf)
        sweep.add(soon)
        sweep.add(never)
        await asyncio.wait_for(soon.expired.wait(), 5)
        assert sweep.running
        sweep.waiting.discard(never)
        again = Waiting(sweep, loop.time())
        sweep.add(again)
        await asyncio.wait_for(again.expired.wait(), 5)
        rested = asyncio.Event()
        loop.call_later(0.05, rested.set)
        await rested.wait()
        assert not sweep.running

    asyncio.run(scene())


@pytest.mark.filterwarnings("default")
def test_one_that_breaks_does_not_stop_the_others() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        said: list[dict[str, object]] = []
        loop.set_exception_handler(lambda _loop, context: said.append(context))
        sweep = Sweep(loop)
        bad, good = Waiting(sweep, loop.time(), broken=True), Waiting(sweep, loop.time() + 0.04)
        sweep.add(bad)
        sweep.add(good)
        await asyncio.wait_for(good.expired.wait(), 5)
        assert len(said) == 1

    asyncio.run(scene())


def test_housekeeping_ends_when_it_is_needed_no_more() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        sweep = Sweep(loop)
        done = asyncio.Event()
        rounds: list[float] = []

        def work(now: float) -> bool:
            rounds.append(now)
            if len(rounds) == 2:
                done.set()
            return len(rounds) < 2

        sweep.keep_house(work)
        await asyncio.wait_for(done.wait(), 10)
        assert 0.9 < rounds[1] - rounds[0] < 3
        sweep.close()
        assert not sweep.running

    asyncio.run(scene())
