"""Stores for tests: one in memory, and one that can be made to fail. State is real, only time and trouble are scripted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from gateway.api.errors import StoreError
from gateway.api.ports import Clock, LocalStore, Operation, Store
from gateway.api.standing import Standing
from gateway.stores.keys import LocalScoped, Scoped
from gateway.stores.memory import MAX_KEYS, MemoryStore

T = TypeVar("T")


def memory_store(clock: Clock, *parts: str, max_keys: int = MAX_KEYS) -> LocalStore:
    """An empty store in memory, handed out for the namespace `parts`."""
    return LocalScoped(MemoryStore(clock.monotonic, max_keys), ":".join(parts or ("test",)))


class RemoteStore:
    """A store that must be waited for, as Redis is; while `down` is set every operation raises StoreError."""

    def __init__(self, clock: Clock) -> None:
        self._memory = MemoryStore(clock.monotonic)
        self.standing = Standing(own=False)
        self.operations = 0

    @property
    def down(self) -> bool:
        return not self.standing.available

    @down.setter
    def down(self, down: bool) -> None:
        if down:
            self.standing.gone("the test told it to be")
        else:
            self.standing.back()

    def scoped(self, *parts: str) -> Store:
        return Scoped(self, ":".join(parts or ("test",)))

    def _reach(self) -> MemoryStore:
        self.operations += 1
        if self.down:
            raise StoreError("the store is down, as the test told it to be", asked=False)
        return self._memory

    async def get(self, key: str) -> bytes | None:
        return await self._reach().get(key)

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        await self._reach().put(key, value, ttl_s)

    async def claim(self, key: str, value: bytes, ttl_s: float) -> bytes | None:
        return await self._reach().claim(key, value, ttl_s)

    async def run(self, operation: Operation[T], namespace: str | None = None) -> T:
        return await self._reach().run(operation, namespace)

    def full_key(self, namespace: str, key: str) -> str:
        return self._memory.full_key(namespace, key)

    def together(self, full_keys: Sequence[str]) -> bool:
        return True

    async def settled(self) -> None:
        """It needs nobody."""

    async def close(self) -> None:
        self.down = True
