"""What goes on beside the calls: leases of living owners are extended, changes that the store refused are tried again.

Lasting state: outlives snapshots, so that a reload loses nothing that waits. One task each, and only while there is work.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from gateway.api.backoff import doubled_s
from gateway.api.errors import StoreError
from gateway.api.ports import Operation, Store, Tally

FIRST_S, LONGEST_S = 0.05, 1.0  # between two tries
MOST = 10_000  # changes that wait; beyond them the oldest is given up
EXTENDED_AT_ONCE = 256


class Held(Protocol):
    """A claim whose call is under way."""

    lease_end: float

    async def extend(self) -> None:
        """Begin the lease anew, if that can be done; must not raise."""
        ...


class Leases:
    """Claims under way whose leases have the same length. A call that ends soon costs an entry in a set and nothing else."""

    def __init__(self, now: Callable[[], float], lease_s: float) -> None:
        self._now = now
        self._lease_s = lease_s
        self._held: set[Held] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._extending: asyncio.Task[None] | None = None

    def hold(self, claim: Held) -> None:
        self._held.add(claim)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._lease_s / 4, self._look)

    def let_go(self, claim: Held) -> None:
        self._held.discard(claim)

    def _look(self) -> None:
        """Four times in the length of a lease; no more once nothing is held."""
        self._timer = None
        if self._held:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._lease_s / 4, self._look)
            if self._extending is None or self._extending.done():
                self._extending = loop.create_task(self.extend_due(), name="idempotency leases")

    async def extend_due(self) -> None:
        """Extend what has less than three quarters of its lease left."""
        due_before = self._now() + self._lease_s * 3 / 4
        due = [claim for claim in self._held if claim.lease_end < due_before]
        for first in range(0, len(due), EXTENDED_AT_ONCE):  # together: they share a flush or a transaction
            await asyncio.gather(*(claim.extend() for claim in due[first : first + EXTENDED_AT_ONCE]))


class _Waiting(NamedTuple):
    store: Store
    operation: Operation[Any]
    until: float
    lost: Tally | None


class Afterwards:
    """Changes that a store did not do, or whose reply was lost."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    def try_again(self, store: Store, operation: Operation[Any], until: float, lost: Tally | None = None) -> None:
        """Repeat `operation` until the store does it, or `until` (monotonic seconds); then `lost` counts it."""
        if len(self._waiting) >= MOST:
            self._give_up(self._waiting.popleft())
        self._waiting.append(_Waiting(store, operation, until, lost))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._repeat(), name="idempotency afterwards")

    def unfinished(self) -> int:
        """How many changes wait; a drain waits for them (gateway.api.ports.Unfinished). The store may be at the last of them."""
        return len(self._waiting) or int(self._task is not None)

    async def _repeat(self) -> None:
        failures = 0
        try:
            while self._waiting:
                one = self._waiting.popleft()
                if one.until <= self._now():
                    self._give_up(one)
                    continue
                try:
                    await one.store.run(one.operation)
                except StoreError:
                    self._waiting.append(one)  # behind the others: one that the store cannot do does not hold them up
                    failures += 1
                    await asyncio.sleep(doubled_s(failures, FIRST_S, LONGEST_S))
                else:
                    failures = 0
        finally:
            self._task = None

    @staticmethod
    def _give_up(one: _Waiting) -> None:
        if one.lost is not None:
            one.lost.value += 1
