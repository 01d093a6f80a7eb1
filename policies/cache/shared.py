"""Answers in a store that outlives this process, or that several share: Redis, or a file. Decides nothing about freshness.

Over Redis memory holds what was read, and each use asks whether it still stands: a few octets, so that what one process forgets
no other serves. A file is this machine's own, whose workers tell each other: memory is believed, and the file fills it anew after
a restart.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import orjson

from gateway.api.errors import StoreError
from gateway.api.orders import Purge
from gateway.api.ports import Clock, Store, Tally
from policies.cache.asked import Asked
from policies.cache.collapse import MARKER_S
from policies.cache.core import Stored
from policies.cache.operations import KNOWN, AddPurge, Keep, Look, Page, Release, purges_of
from policies.cache.record import decode, encode, id_of
from policies.cache.store import MAX_VARIANTS, Key, MemoryStore
from policies.cache.terms import Rules

LONGEST_S = 7 * 86_400.0  # nothing is kept for longer, so that invalidations need be known for no longer
VALIDATOR_S = 300.0  # what is stale but can be validated is kept for so much longer
POLL_S = 0.25  # purges by prefix and tag are known everywhere within it
FILE_POLL_S = 5.0  # the workers of one machine hear of them at once; this is for other gateways with the same file
MOST_WRITES = 1000  # under way at once; beyond, answers are not kept
MOST_PURGES_BYTES = 256 * 1024
MOST_OWED = 1000  # of what is still to be forgotten when the store is back; beyond, everything is
MARKER = b"!"  # instead of a lease: the answer could not be stored, each for itself

_PURGES = "purges"
_EVERYTHING = {"prefix": "", "tag": None}
_FAILED = b""  # no epoch
_PurgeAt = tuple[float, str | None, bytes | None]
"""The store's seconds, and the prefix or the tag."""


class SharedStore:
    """One a worker and store. `trusted`: memory need not ask whether it still stands."""

    def __init__(self, store: Store, memory: MemoryStore, clock: Clock, dropped: Tally) -> None:
        self.trusted = store.standing.own
        self._store = store
        self._memory = memory
        self._clock = clock
        self._dropped = dropped
        self._looking: dict[Key, list[asyncio.Future[bytes | None]]] = {}  # who waits for a look that is under way
        self._writes: set[asyncio.Task[None]] = set()
        self._writing: Counter[Key] = Counter()
        self._purges: list[_PurgeAt] = []
        self._known_purges = b""
        self._owed: dict[bytes | str, Callable[[], Awaitable[object]]] = {}
        self.token = secrets.token_hex(8).encode()

    @property
    def available(self) -> bool:
        return self._store.standing.available

    async def refresh(self, asked: Asked, rules: Rules) -> None:
        """Bring memory in line with the store for this request's pages. Raises StoreError.

        One look serves all who ask for the same page while it is under way: a crowd is one operation.
        """
        while (waiters := self._looking.get(asked.key)) is not None:
            waiter: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
            waiters.append(waiter)
            asked.epoch = await waiter
            if asked.epoch == _FAILED:
                raise StoreError("the look of another caller failed")
            if asked.epoch is not None:
                return
        waiters = self._looking[asked.key] = []
        found: bytes | None = None
        try:
            await self._look(asked, rules)
            found = asked.epoch
        except StoreError:
            found = _FAILED
            raise
        finally:
            if self._looking.get(asked.key) is waiters:
                del self._looking[asked.key]
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(found)  # None: it was given up, and the next one looks

    async def _look(self, asked: Asked, rules: Rules) -> None:
        if self._owed:
            await self._forget_owed()
            await self.hear()
        keys = (asked.key,) if asked.key == asked.public_key else (asked.key, asked.public_key)
        known = tuple(page.version if (page := self._memory.page(key)) is not None else b"" for key in keys)
        url = _digest(asked.key[0])
        looked = await self._store.run(Look(_epoch_key(url), tuple(_page_key(url, key) for key in keys), known))
        asked.epoch = looked.epoch
        for key, kept in zip(keys, looked.pages, strict=True):
            if kept is KNOWN or self._writing[key]:
                continue  # what is just being written is newer than what was found
            if not isinstance(kept, Page):
                self._memory.replace(key, (), b"")
                continue
            now, wall = self._clock.monotonic(), self._clock.time()
            found = ((one.at, decode(one.octets, rules, now=now, wall=wall)) for one in kept.variants)
            variants = tuple(one for at, one in found if one is not None and not self._is_purged(at, key[0], one))
            self._memory.replace(key, variants, kept.version)

    def save(self, asked: Asked, key: Key, stored: Stored) -> None:
        """Keep it, unless its URL was invalidated since the request looked. Returns at once."""
        if asked.epoch is None:
            return
        if len(self._writes) >= MOST_WRITES:
            self._dropped.value += 1
            return
        now, wall = self._clock.monotonic(), self._clock.time()
        left = max(0.0, stored.fresh_for_s(now)) + max(
            stored.kind.stale_while_revalidate_s, stored.kind.stale_if_error_s
        )
        ttl = min(LONGEST_S, left + (VALIDATOR_S if stored.has_validator else 0.0))
        page = self._memory.page(key)
        if ttl <= 0 or page is None:
            return
        version = secrets.token_bytes(8)
        url = _digest(key[0])
        operation = Keep(
            _epoch_key(url),
            _page_key(url, key),
            asked.epoch,
            version,
            id_of(stored.selector),
            encode(stored, now=now, wall=wall),
            ttl,
            MAX_VARIANTS,
        )

        async def write() -> None:
            try:
                if await self._store.run(operation):
                    page.version = version
                else:
                    self._memory.replace(key, (), b"")
            finally:
                self._writing[key] -= 1
                if not self._writing[key]:
                    del self._writing[key]

        self._writing[key] += 1
        self._begin(write())

    async def claim(self, key: Key, ttl_s: float) -> bytes | None:
        """The lease of a call that others may wait for. None: it is this process's; else whose it is, or MARKER. Raises StoreError."""
        holder = await self._store.claim(_lease_key(key), self.token, ttl_s)
        return None if holder == self.token else holder

    def release(self, key: Key, *, marked: bool) -> None:
        """Give the lease back. `marked`: nobody shall wait for this key for a while. Returns at once."""
        self._begin(self._release(Release(_lease_key(key), self.token, MARKER if marked else b"", MARKER_S)))

    def invalidate(self, url: str) -> None:
        """Forget what is kept of a URL. Returns at once; later questions of this process see it."""
        for key in [key for key in self._looking if key[0] == url]:
            del self._looking[key]  # a look that is under way may have seen what was there before
        place, epoch = _epoch_key(_digest(url)), secrets.token_bytes(8)
        self._begin(self._forget(place, lambda: self._store.put(place, epoch, LONGEST_S + 60.0)))

    def carry_out(self, order: object) -> None:
        """Implements gateway.api.orders.Ordered; what memory forgot is counted there."""
        if not isinstance(order, Purge):
            return
        if order.url is not None:
            self.invalidate(order.url)
        else:
            self._begin(self._purge(orjson.dumps({"prefix": order.prefix, "tag": order.tag})))

    async def follow(self) -> None:
        """Background work: hear of purges that others were asked for."""
        while True:
            await self.hear()
            await asyncio.sleep(FILE_POLL_S if self.trusted else POLL_S)

    async def hear(self) -> None:
        try:
            await self._forget_owed()
            octets = await self._store.get(_PURGES) or b""
        except StoreError:
            return
        if octets == self._known_purges:
            return
        before = set(self._purges)
        self._known_purges, self._purges = octets, [_purge(at, purge) for at, purge in purges_of(octets)]
        for at, prefix, tag in self._purges:
            if (at, prefix, tag) not in before:
                self._memory.carry_out(Purge(prefix=prefix, tag=None if tag is None else tag.decode()))

    def _is_purged(self, kept_at: float, url: str, stored: Stored) -> bool:
        """Whether a purge by prefix or tag came after it was kept."""
        return any(
            (prefix is not None and url.startswith(prefix)) or (tag is not None and stored.has_tag(tag))
            for at, prefix, tag in self._purges
            if kept_at <= at
        )

    async def _release(self, operation: Release) -> None:
        await self._store.run(operation)

    async def _purge(self, purge: bytes) -> None:
        operation = AddPurge(_PURGES, purge, LONGEST_S, MOST_PURGES_BYTES)
        await self._forget(purge, lambda: self._store.run(operation))
        await self.hear()

    async def _forget(self, what: bytes | str, work: Callable[[], Awaitable[object]]) -> None:
        """RFC 9111 §4.4: it must not be served again, however late the store is: what it does not do now it does when it is back."""
        try:
            await work()
        except StoreError:
            self._owed[what] = work
            if len(self._owed) > MOST_OWED:
                everything = AddPurge(_PURGES, orjson.dumps(_EVERYTHING), LONGEST_S, MOST_PURGES_BYTES)
                self._owed = {"everything": lambda: self._store.run(everything)}

    async def _forget_owed(self) -> None:
        """Before anything is looked for again. Raises StoreError."""
        while self._owed:
            what, work = self._owed.popitem()
            try:
                await work()
            except BaseException:
                self._owed.setdefault(what, work)
                raise

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            try:
                await work
            except StoreError:  # what was not kept or given back ends by itself
                self._dropped.value += 1

        task = asyncio.get_running_loop().create_task(run())
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)


def _purge(at: float, octets: bytes) -> _PurgeAt:
    said = orjson.loads(octets) if octets else _EVERYTHING
    return at, said["prefix"], None if said["tag"] is None else said["tag"].encode()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _epoch_key(url: str) -> str:
    return f"{url}|epoch"


def _page_key(url: str, key: Key) -> str:
    return f"{url}|{_digest(key[1])}"


def _lease_key(key: Key) -> str:
    return f"{_digest(key[0])}|{_digest(key[1])}|lease"
