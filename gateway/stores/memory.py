"""State in this process's memory: lost with it, bounded, never waited for. Knows keys and their ends, no policy.

Keys are spread over many small dictionaries. Growing, sweeping and evicting touch one of them at a time, so no call ever
pays for the whole table: at 1,000,000 keys a slice holds about 1,000 and takes well under 1 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gateway.api.ports import Operation
from gateway.api.standing import Standing
from gateway.stores.keys import plain

T = TypeVar("T")

MAX_KEYS = 2**21  # about 350 MiB of points of time; then the keys nearest to their end go
SLICES = 1024  # a power of two; an empty slice costs 64 octets
CYCLE_S = 10.0  # every key is looked at once in this time while the store is written to
SLICE_BUDGET = 4096  # keys looked at in one call, at least one slice; about 0.2 ms


@dataclass(frozen=True, slots=True)
class Statistics:
    keys: int
    evicted: int  # live keys given up for want of room, since the start


class _Sliced(Generic[T]):
    """Keys in slices, each entry with an end; what has ended is dropped little by little."""

    def __init__(self, now: Callable[[], float], end: Callable[[T], float], max_keys: int) -> None:
        self.now = now
        self.evicted = 0
        self._end = end
        self._slices: list[dict[str, T]] = [{} for _ in range(SLICES)]
        self._mask = SLICES - 1
        self._slice_max = max(4, max_keys // SLICES)
        self._cursor = 0
        self._sweep_at = now()

    def _add(self, slice_: dict[str, T], key: str, entry: T, now: float) -> None:
        """Keep a new key, making room for it and doing its share of the sweeping."""
        if len(slice_) >= self._slice_max:
            self._drop_ended(slice_, now)
            if len(slice_) >= self._slice_max:
                self._evict(slice_)
        slice_[key] = entry
        if now >= self._sweep_at:
            self.sweep(now)

    def sweep(self, now: float) -> None:
        """Drop what has ended from the slices that are due, within the budget."""
        due = min(SLICES, 1 + int((now - self._sweep_at) * SLICES / CYCLE_S))
        looked_at = 0
        while due and looked_at < SLICE_BUDGET:
            slice_ = self._slices[self._cursor]
            looked_at += len(slice_)
            if slice_:
                self._drop_ended(slice_, now)
            self._cursor = (self._cursor + 1) & self._mask
            due -= 1
        self._sweep_at = now + CYCLE_S / SLICES

    def _drop_ended(self, slice_: dict[str, T], now: float) -> None:
        end = self._end
        live = {key: entry for key, entry in slice_.items() if end(entry) > now}
        if len(live) < len(slice_):
            slice_.clear()  # a dictionary gives memory back only when it is cleared
            slice_.update(live)

    def _evict(self, slice_: dict[str, T]) -> None:
        """Give up the quarter nearest to its end: for a limiter, the callers with the most left."""
        end = self._end
        nearest = sorted(slice_, key=lambda key: end(slice_[key]))[: max(1, len(slice_) // 4)]
        for key in nearest:
            del slice_[key]
        self.evicted += len(nearest)

    def delete(self, key: str) -> None:
        self._slices[hash(key) & self._mask].pop(key, None)

    def statistics(self) -> Statistics:
        return Statistics(sum(map(len, self._slices)), self.evicted)


class MemoryTimes(_Sliced[float]):
    """Points of time by key; a key whose time has passed may be gone. About 160 octets a key of 40 characters."""

    def __init__(self, now: Callable[[], float], max_keys: int = MAX_KEYS) -> None:
        super().__init__(now, float, max_keys)

    def get(self, key: str) -> float | None:
        return self._slices[hash(key) & self._mask].get(key)

    def set(self, key: str, until: float, now: float) -> None:
        slice_ = self._slices[hash(key) & self._mask]
        if key in slice_:
            slice_[key] = until
        else:
            self._add(slice_, key, until, now)


class _Values(_Sliced[tuple[Any, float]]):
    """Values with their ends: the table that operations work on."""

    def __init__(self, now: Callable[[], float], max_keys: int) -> None:
        super().__init__(now, lambda entry: entry[1], max_keys)

    def get(self, key: str) -> Any:
        entry = self._slices[hash(key) & self._mask].get(key)
        return entry[0] if entry is not None and entry[1] > self.now() else None

    def set(self, key: str, value: Any, expires: float) -> None:
        slice_ = self._slices[hash(key) & self._mask]
        if key in slice_:
            slice_[key] = (value, expires)
        else:
            self._add(slice_, key, (value, expires), self.now())


@dataclass(frozen=True, slots=True)
class _Within:
    """The table as one operation sees it: keys within a prefix."""

    values: _Values
    prefix: str

    def get(self, key: str) -> Any:
        return self.values.get(self.prefix + key)

    def set(self, key: str, value: Any, expires: float) -> None:
        self.values.set(self.prefix + key, value, expires)

    def delete(self, key: str) -> None:
        self.values.delete(self.prefix + key)


class MemoryStore:
    """A LocalBackend. Synchronous code is atomic here: one event loop, one thread."""

    def __init__(self, now: Callable[[], float], max_keys: int = MAX_KEYS) -> None:
        self.standing = Standing()
        self._now = now
        self._values = _Values(now, max_keys)
        self._times = MemoryTimes(now, max_keys)

    @property
    def times(self) -> MemoryTimes:
        return self._times

    async def get(self, key: str) -> bytes | None:
        found: bytes | None = self._values.get(key)
        return found

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        self._values.set(key, value, self._now() + ttl_s)

    async def claim(self, key: str, value: bytes, ttl_s: float) -> bytes | None:
        holder: bytes | None = self._values.get(key)
        if holder is None:
            self._values.set(key, value, self._now() + ttl_s)
        return holder

    async def run(self, operation: Operation[T], namespace: str | None = None) -> T:
        return self.run_nowait(operation, namespace)

    def run_nowait(self, operation: Operation[T], namespace: str | None = None) -> T:
        prefix = "" if namespace is None else plain(namespace, "")
        return operation.apply(_Within(self._values, prefix), self._now())

    def full_key(self, namespace: str, key: str) -> str:
        return plain(namespace, key)

    def together(self, full_keys: Sequence[str]) -> bool:
        return True

    async def settled(self) -> None:
        """It needs nobody."""

    async def close(self) -> None:
        """Nothing to let go: the memory goes with the object."""

    def statistics(self) -> dict[str, Statistics]:
        return {"times": self._times.statistics(), "values": self._values.statistics()}
