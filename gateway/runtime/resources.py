"""What outlives snapshots in one worker: metrics, stores, lasting state of policies, upstream pools, background work."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from gateway.api.orders import Answered, Ordered, Revoke
from gateway.api.ports import Dependency, Unfinished
from gateway.runtime.fetch import HttpFetch
from gateway.runtime.revocations import MAX_STANDING
from gateway.stores.open import Stores
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.policy_metrics import PolicyMetrics
from gateway.telemetry.process_metrics import process_values
from gateway.telemetry.store_metrics import store_values

T = TypeVar("T")

log = logging.getLogger("sluicegate.runtime")


class SystemClock:
    """The clock that never steps back, which is also the base of the event loop's, and the wall clock."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)


class Resources:
    """Made once in a worker's event loop; `close` ends what it owns."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.spread: Callable[[object], None] = lambda order: None  # alone there is nobody to tell
        self.secret = os.urandom(32)  # until the supervisor says which one all workers share
        self.clock = SystemClock()
        self.metrics = Metrics()
        self.policy_metrics = PolicyMetrics()
        self.metrics.sources.append(process_values)
        self.metrics.sources.append(self.policy_metrics.values)
        self.stores = Stores(self.clock, workers)
        self.metrics.sources.append(lambda: store_values(self.stores.standings()))
        self.fetch = HttpFetch()
        # State lives as long as a built policy holds it: the old snapshot hands it to the new one, and what
        # nobody configures any more goes with the last request that used it.
        self._states: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()
        self._background: dict[str, asyncio.Task[Any]] = {}
        self.revocations: list[Revoke] = []  # for state that is made later: a route may begin to trust an issuer

    def state(self, identity: Hashable, make: Callable[[], T]) -> T:
        """The object of this identity, made when nobody holds one. It must allow weak references."""
        found: T | None = self._states.get(identity)
        if found is None:
            found = self._states[identity] = make()
        return found

    def dependencies(self) -> dict[str, bool]:
        """Whether each system beside the gateway that policies use or hold state of can be used."""
        found: dict[str, bool] = {}
        for name, standing in self.stores.standings():
            found[f"store:{name}"] = found.get(f"store:{name}", True) and standing.available
        for state in list(self._states.values()):
            if isinstance(state, Dependency):
                name, usable = state.dependency()
                found[name] = found.get(name, True) and usable  # an old configuration may hold one of its own
        return found

    def unfinished(self) -> int:
        """What policies have still to do, beside their calls."""
        return sum(state.unfinished() for state in list(self._states.values()) if isinstance(state, Unfinished))

    async def carry_out(self, order: object) -> list[Answered]:
        """What each part of the lasting state answers that the order concerns."""
        if isinstance(order, Revoke):
            self.revocations.append(order)
            if len(self.revocations) > 2 * MAX_STANDING:
                self.revocations = [one for one in self.revocations if one.until > order.at][-MAX_STANDING:]
        ordered = [state for state in list(self._states.values()) if isinstance(state, Ordered)]
        answers = [answer for state in ordered if (answer := state.carry_out(order)) is not None]
        return [await answer if isinstance(answer, Awaitable) else answer for answer in answers]

    def spawn(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `run` until nobody needs `name` any more; does nothing when it runs already."""
        task = self._background.get(name)
        if task is None or task.done():
            task = asyncio.get_running_loop().create_task(run(), name=name)
            task.add_done_callback(_report)
            self._background[name] = task

    def keep_only(self, needed: Iterable[str]) -> None:
        """End the background work that is not named."""
        for name in self._background.keys() - set(needed):
            self._background.pop(name).cancel()

    async def close(self) -> None:
        tasks = list(self._background.values())
        self.keep_only(())
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.stores.close()
        await self.fetch.close()


def _report(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("background work %s ended by a bug", task.get_name(), exc_info=task.exception())
