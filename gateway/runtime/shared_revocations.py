"""Revocations that several gateways share through Redis: each says what it was told, and hears what the others were.

One record holds all that stand. A gateway looks at it each second; while Redis is away it goes by what it knows, and tells the others
once Redis is back. What a Redis that begins empty has lost is written again by those who know it. Never on the path of a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import orjson

from gateway.api.errors import StoreError
from gateway.api.orders import Revoke
from gateway.api.ports import Store, Table
from gateway.api.settings.document import Settings
from gateway.runtime.revocations import Revocations, order_of
from gateway.stores.keys import scoped
from gateway.stores.open import kind, open_beside, shown

EVERY_S = 1.0
WAIT_S = 1.0  # nobody waits for it, and it may be long
KEY = "standing"

Found = tuple[bytes, list[bytes]]


@dataclass(frozen=True, slots=True)
class Share:
    """Add lines, and read them all: version and lines, or None when `seen` is still the version."""

    seen: bytes
    fresh: bytes  # the version when something was added
    lines: Sequence[bytes] = ()

    name = "revocations.share"
    lua = files(__package__).joinpath("share.lua").read_text()

    def keys(self) -> tuple[str, ...]:
        return (KEY,)

    def arguments(self) -> tuple[bytes, ...]:
        return (self.seen, self.fresh, *self.lines)

    def apply(self, table: Table, now: float) -> Found | None:
        version, *lines = (table.get(KEY) or b"").split(b"\n")
        standing = [line for line in lines if _end(line) > now]
        added = [line for line in dict.fromkeys(self.lines) if _end(line) > now and line not in standing]
        if added:
            version, lines = self.fresh, standing + added
            table.set(KEY, b"\n".join((version, *lines)), max(map(_end, lines)))
        return None if version == self.seen else (version, lines)

    def parse(self, reply: bytes | None) -> Found | None:
        if reply is None:
            return None
        version, *lines = reply.split(b"\n")
        return version, [line for line in lines if line]


class SharedRevocations:
    """One gateway's part. Owns its connection."""

    def __init__(self, revocations: Revocations, tell: Callable[[Revoke], Awaitable[object]]) -> None:
        """`tell`: how the workers of this gateway hear of an order."""
        self._revocations = revocations
        self._tell = tell
        self._url: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._seen = b""
        self._untold = True  # the store may not have all that is known here
        self._nudge = asyncio.Event()

    async def follow(self, settings: Settings) -> None:
        """Take part where the default store is a Redis; from now on in this one."""
        url = settings.stores.get(settings.store or "", settings.store)
        if url is not None and not kind(url).startswith("redis"):
            url = None
        if url != self._url:
            await self.close()
            self._url = url
            if url is not None:
                name = settings.store if settings.store in settings.stores else shown(url)
                self._task = asyncio.get_running_loop().create_task(self._run(url, f"{name} (revocations)"))

    def added(self) -> None:
        """There is a new one, for the others."""
        self._untold = True
        self._nudge.set()

    async def turn(self, store: Store) -> None:
        """Say what is new here, then carry out what is new there. Raises StoreError."""
        standing = self._revocations.standing()
        tells, self._untold = self._untold, False
        try:
            found = await store.run(Share(self._seen, os.urandom(8).hex().encode(), _lines(standing) if tells else ()))
        except BaseException:
            self._untold = self._untold or tells
            raise
        if found is None:
            return
        self._seen, lines = found
        known, there = set(standing), {order for line in lines if (order := order_of(line.partition(b" ")[2]))}
        for order in there - known:
            await self._revocations.add(order)
            await self._tell(order)
        self._untold = self._untold or not known <= there  # a Redis that has forgotten; with the next turn

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self, url: str, name: str) -> None:
        backend = open_beside(url, "revocations", name=name, wait_s=WAIT_S)
        store = scoped(backend, "revocations")
        self._seen, self._untold = b"", True
        try:
            while True:
                self._nudge.clear()
                with contextlib.suppress(StoreError):  # the store's own log says why
                    await self.turn(store)
                try:
                    async with asyncio.timeout(EVERY_S):
                        await self._nudge.wait()
                except TimeoutError:
                    continue
        finally:
            await backend.close()


def _lines(orders: Iterable[Revoke]) -> list[bytes]:
    return [b"%r %b" % (order.until, orjson.dumps(order)) for order in orders]


def _end(line: bytes) -> float:
    return float(line.partition(b" ")[0])
