"""Tells other workers and machines that a breaker opened, and hears it from them. Never on the path of a call.

One record a breaker. Who opens first owns it and alone sends probes; the others stay open as long as it stands. When
the owner closes, the record says so for a moment and they close as well; when the owner dies, the record ends and they send probes of
their own. While the store is away each goes by what it sees itself, and tells it once the store is back.
"""

from __future__ import annotations

import asyncio
import logging
from secrets import token_hex
from weakref import ref

from gateway.api.errors import StoreError
from gateway.api.ports import Clock, Store
from policies.breaker.circuit import Circuit
from policies.breaker.core import grace

log = logging.getLogger("sluicegate.breaker")

POLL_S = 0.5
KEY = "state"
CLOSED = b"closed"


class Board:
    """One breaker's part in the record."""

    def __init__(self, circuit: Circuit, store: Store, clock: Clock) -> None:
        self._circuit = ref(circuit)
        self._store = store
        self._clock = clock.monotonic
        self._me = token_hex(8).encode()
        self._news: list[str] = []
        self._follows = False
        self._away = False

    def changed(self, new: str) -> None:
        """The breaker changed by itself; told to the others with the next turn."""
        if not self._follows:
            self._news.append(new)

    async def run(self) -> None:
        """Take part until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(POLL_S)

    async def turn(self) -> None:
        """Say what is new, then hear what the others say."""
        circuit = self._circuit()
        if circuit is None:
            return
        news, self._news = self._news, []
        try:
            if news and news[-1] != "half-open":
                await self._tell(circuit, news[-1])
            self._hear(circuit, await self._store.get(KEY))
        except StoreError as error:
            if not self._away:
                log.warning("breakers are not shared, their store is away: %s", error)
            self._away = True
            self._follows = False
            self._news[:0] = news[-1:]  # the others still have to hear it
        else:
            self._away = False

    async def _tell(self, circuit: Circuit, state: str) -> None:
        if state == "closed":
            if self._away and await self._store.get(KEY) != self._me:
                return  # it is old news, and what stands there now is another's
            await self._store.put(KEY, CLOSED, 4 * POLL_S)
            return
        left_s = max(POLL_S, circuit.open_until - self._clock())
        left_s += grace(left_s)
        holder = await self._store.claim(KEY, self._me, left_s)
        if holder in (self._me, CLOSED):
            await self._store.put(KEY, self._me, left_s)

    def _hear(self, circuit: Circuit, record: bytes | None) -> None:
        if record is None or record == self._me:
            self._follows = False
            return
        if record == CLOSED:
            if self._follows:
                circuit.close()
            self._follows = False
            return
        self._follows = True
        circuit.stay_open(self._clock() + 3 * POLL_S)
