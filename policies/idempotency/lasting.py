"""Changes of a record that the store refused, tried again until the lease ends; for a reply that was lost, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.api.errors import StoreError
from gateway.api.ports import Operation, Store, Tally

FIRST_S, LONGEST_S = 0.05, 2.0  # between two tries


class Afterwards:
    """Lasting state: outlives snapshots, so that a reload loses no change that waits. One task each, in trouble only."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()

    def try_again(self, store: Store, operation: Operation[bool], until: float, lost: Tally) -> None:
        """Repeat `operation` until the store does it, or `until` (monotonic seconds); then `lost` counts it."""
        task = asyncio.get_running_loop().create_task(self._repeat(store, operation, until, lost))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _repeat(self, store: Store, operation: Operation[bool], until: float, lost: Tally) -> None:
        wait_s = FIRST_S
        while self._now() < until:
            try:
                await store.run(operation)
            except StoreError:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_S)
            else:
                return
        lost.value += 1
