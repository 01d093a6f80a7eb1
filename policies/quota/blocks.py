"""Quotas in a store that waits for a disk: each process takes blocks of calls out of the store, and spends them from memory.

What was taken is on the disk before it is spent, so no count is ever too small, however many processes share the file and
however suddenly they end. A block is about what is used in half a second, so a process that dies loses no more than that, and what
nobody spends is put back each second, and when the process ends. Near the limit blocks are single calls: the last one is
found wherever it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.api.errors import StoreError
from gateway.api.limits.fallback import Fallback
from gateway.api.limits.operations import Adjust, Amount, Change, Take, Taken
from gateway.api.limits.place import fallback_of
from gateway.api.limits.pots import SharedPot
from gateway.api.ports import Clock, Scope, Store, Table

LARGEST = 512
RETURN_S = 1.0
SHARE = 16  # a block is at most this part of what is left


@dataclass(slots=True)
class Hand:
    """What a process has of one window."""

    amount: Amount
    used: float = 0.0  # in the store, with this block
    left: float = 0.0  # of this block
    next: int = 1  # size of the next block
    filled_at: float = 0.0
    touched: bool = True  # since the last look
    refused_until: float = 0.0
    filling: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Draw:
    """Take at least `amount.cost`, and up to `most`. How many were taken, and the units used with them."""

    amount: Amount
    most: int

    name = "limits.draw"
    lua = (Path(__file__).parent / "draw.lua").read_text("ascii")

    def keys(self) -> tuple[str, ...]:
        return (self.amount.key,)

    def arguments(self) -> tuple[bytes | int | float, ...]:
        return (self.amount.cost, self.amount.bound, self.amount.ttl_s, self.most)

    def apply(self, table: Table, now: float) -> tuple[float, float]:
        used = table.get(self.amount.key) or 0
        drawn = min(self.most, self.amount.bound - used)
        if drawn < self.amount.cost:
            return 0, used
        table.set(self.amount.key, used + drawn, now + self.amount.ttl_s)
        return drawn, used + drawn

    def parse(self, reply: Any) -> tuple[float, float]:
        drawn, used = reply
        return float(drawn), float(used)


class Blocks(SharedPot):
    """Spends from blocks. Several quotas of a slot are spent at once when there is a block of each in hand."""

    exact = False
    waits = False

    def __init__(self, store: Store, fallback: Fallback, clock: Clock) -> None:
        super().__init__(store, fallback)
        self._clock = clock.monotonic
        self._hands: dict[str, Hand] = {}

    def take_nowait(self, amounts: Sequence[Amount]) -> Taken | None:
        if self._fallback.away:
            return self._fallback.take(amounts)
        hands = [self._hand(one) for one in amounts]
        now = self._clock()
        if any(hand.refused_until > now for hand in hands):
            return Taken(False, now, [hand.used - hand.left for hand in hands])
        if any(hand.left < hand.amount.cost for hand in hands):
            return None
        for hand in hands:
            hand.left -= hand.amount.cost
            hand.touched = True
        return Taken(True, now, [hand.used - hand.left for hand in hands])

    async def take(self, take: Take) -> Taken:
        amounts = take.amounts
        try:
            while True:
                taken = self.take_nowait(amounts)
                if taken is not None:
                    return taken
                for one in amounts:
                    hand = self._hand(one)
                    async with hand.filling:  # one block for all who wait
                        if hand.left < one.cost and hand.refused_until <= self._clock():
                            await self._fill(hand)
        except StoreError:  # a block that was drawn though its answer was lost counts as used
            self._fallback.begin()
            return self._fallback.take(amounts)

    def give_back(self, amounts: Sequence[Amount]) -> None:
        for one in amounts:
            hand = self._hands.get(one.key)
            if self._fallback.away or hand is None:
                super().give_back((one,))
            else:
                hand.left += one.cost
                hand.refused_until = 0.0

    def in_hand(self, key: str) -> int:
        """What this process drew and has not spent: the store counts it as used."""
        return int(self._hands[key].left) if key in self._hands else 0

    async def forget(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._hands.pop(key, None)
        await super().forget(keys)

    async def run(self) -> None:
        """Put back what nobody spends, until cancelled; then everything."""
        try:
            while True:
                await asyncio.sleep(RETURN_S)
                await self.put_back()
        finally:
            await self.put_back(everything=True)

    async def put_back(self, *, everything: bool = False) -> None:
        hands = self._hands
        idle = [key for key, hand in hands.items() if everything or not (hand.touched or hand.filling.locked())]
        spare = [hand for hand in (hands.pop(key) for key in idle) if hand.left]
        for hand in hands.values():
            hand.touched = False
        results = await asyncio.gather(
            *(self._store.run_across(Adjust((_spare(hand),))) for hand in spare), return_exceptions=True
        )
        for hand, result in zip(spare, results, strict=True):
            if isinstance(result, StoreError):  # logged where the store's failures meet calls
                if not result.asked:  # else they count as used, which is the safe side
                    self._keep(hand)
            elif result is not None:
                raise result

    def _keep(self, spare: Hand) -> None:
        """What could not be put back: to spend, or to put back later."""
        hand = self._hands.setdefault(spare.amount.key, spare)
        if hand is not spare:
            hand.left += spare.left
            hand.used = max(hand.used, spare.used)

    def _hand(self, amount: Amount) -> Hand:
        hand = self._hands.get(amount.key)
        if hand is None:
            hand = self._hands[amount.key] = Hand(amount)
        else:
            hand.amount = amount  # figures may have changed
        return hand

    async def _fill(self, hand: Hand) -> None:
        """Draw a block. Larger ones while they are used up within half a second."""
        now = self._clock()
        hand.next = min(LARGEST, 2 * hand.next) if now - hand.filled_at < RETURN_S / 2 else 1
        left = hand.amount.bound - hand.used
        drawn, hand.used = await self._store.run_across(Draw(hand.amount, max(1, min(hand.next, int(left) // SHARE))))
        self._fallback.learn((hand.amount,), Taken(True, now, (hand.used,)))
        hand.left += drawn
        hand.filled_at, hand.touched = now, True
        if not drawn and hand.left < hand.amount.cost:
            hand.refused_until = self._clock() + RETURN_S / 4  # others may put something back


def blocks_of(place: Scope, store: Store) -> Blocks:
    """`place` is that of all limits (gateway.api.limits.place)."""
    fallback = fallback_of(place, store)
    blocks = place.state(("blocks", store), lambda: Blocks(store, fallback, place.clock))
    place.spawn(f"quota blocks {id(blocks):x}", blocks.run)
    return blocks


def _spare(hand: Hand) -> Change:
    return Change(hand.amount.key, b"window", 0.0, -hand.left, hand.amount.ttl_s)
