"""Places that several processes share: each holds those of its calls under a lease in the store. Knows no caller.

A process always knows how many it holds itself. While the store is away it takes no more than its share, and says
what it holds as soon as the store is back.
"""

from __future__ import annotations

import asyncio
from secrets import token_hex

from gateway.api.errors import StoreError
from gateway.api.ports import Store
from policies.concurrency.operations import Hold, Leave, Say

LEASE_S = 10.0  # places of a process that died are free after so long
RENEW_S = 3.0


class SharedPlaces:
    """Of one store. Lasting state: calls of an old configuration give their places back to it."""

    def __init__(self, store: Store, processes: int) -> None:
        """`processes` is the least that share the store: those of this machine."""
        self.held: dict[str, int] = {}  # places of this process, by key
        self.process = token_hex(8)
        self._asking: dict[str, int] = {}  # answers that are awaited, by key
        self._leaving: dict[str, int] = {}  # places that are being given back
        self._left: dict[str, int] = {}  # places that were left in this turn of the event loop
        self._lost: set[str] = set()  # where an answer was lost: the store may believe something else
        self._store = store
        self._least = processes
        self._news = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None
        store.standing.follow(self._changed)

    async def take(self, key: str, most: int) -> bool:
        """A place, if one of `most` is free in all processes together."""
        held = self.held.get(key, 0)
        if not self._store.standing.available:
            given = self._of_share(held, most)
        else:
            self._asking[key] = self._asking.get(key, 0) + 1
            try:
                given = await self._store.run_across(Hold(key, self.process, held, most, LEASE_S))
            except BaseException as fault:
                self._lost.add(key)
                self._news.set()
                if not isinstance(fault, StoreError):
                    raise  # the caller left
                given = self._of_share(self.held.get(key, 0), most)
            finally:
                self._count(self._asking, key, -1)
        if given:
            self._count(self.held, key, 1)
        return given

    def leave(self, key: str) -> None:
        self._count(self.held, key, -1)
        self._count(self._left, key, 1)
        if self._telling is None:
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def look(self, key: str) -> int:
        """Places that all processes hold. Raises StoreError."""
        return await self._store.run_across(Say(key, self.process, -1, LEASE_S))

    async def run(self) -> None:
        """Renew the leases of this process, and say what it holds where an answer was lost, until cancelled."""
        while True:
            keys, self._lost = self._lost | self.held.keys(), set()
            for key in keys:
                await self._say(key)
            self._news.clear()
            try:
                async with asyncio.timeout(RENEW_S):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _tell(self) -> None:
        """What was left in a turn of the event loop is told at once."""
        try:
            while self._left:
                self._leaving, self._left = self._left, {}
                for key, places in self._leaving.items():
                    try:
                        await self._store.run_across(Leave(key, self.process, places))
                    except StoreError:
                        self._lost.add(key)
        finally:
            self._telling, self._leaving = None, {}

    async def _say(self, key: str) -> None:
        if key in self._asking or key in self._left or key in self._leaving:
            self._lost.add(key)  # with the next turn: what is under way is not known to both
            return
        try:
            await self._store.run_across(Say(key, self.process, self.held.get(key, 0), LEASE_S))
        except StoreError:
            self._lost.add(key)  # its lease ends by itself; what is held is said when the store is back

    def _of_share(self, held: int, most: int) -> bool:
        return held < max(1, most // max(1, self._least, self._store.standing.processes))

    @staticmethod
    def _count(table: dict[str, int], key: str, change: int) -> None:
        count = table.get(key, 0) + change
        if count:
            table[key] = count
        else:
            del table[key]

    def _changed(self, available: bool) -> None:
        if available:
            self._news.set()
