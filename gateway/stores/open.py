"""From a store's URL to the store. The only place that knows which kinds there are."""

from __future__ import annotations

from gateway.api.ports import Clock
from gateway.stores.keys import Backend
from gateway.stores.memory import MemoryStore

KINDS = ("memory",)
"""Schemes that `open_store` takes; the configuration check refuses the others before anything is opened."""


def kind(url: str) -> str:
    """`memory` of "memory", `redis` of "redis://cache:6379/0"."""
    return url.partition(":")[0]


def open_store(url: str, clock: Clock) -> Backend:
    """Open the store at `url`; whoever opens it closes it. Raises ValueError for a kind that there is not."""
    if url != "memory":
        raise ValueError(f"no store of kind '{kind(url)}'; there is {', '.join(KINDS)}")
    return MemoryStore(clock.monotonic)


class Stores:
    """The stores of one process: each URL is opened once, when it is first asked for, and outlives snapshots."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._opened: dict[str, Backend] = {}

    def at(self, url: str) -> Backend:
        """The store at `url`, opened when nobody has asked before."""
        found = self._opened.get(url)
        if found is None:
            found = self._opened[url] = open_store(url, self._clock)
        return found

    async def close(self) -> None:
        """Close every store; what is asked for afterwards is opened anew."""
        while self._opened:
            _, backend = self._opened.popitem()
            await backend.close()
