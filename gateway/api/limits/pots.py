"""Where amounts are taken from: this process's memory, or a store that several share. Decides nothing about callers."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

from gateway.api.errors import StoreError
from gateway.api.limits.bucket import debt_after
from gateway.api.limits.fallback import Fallback
from gateway.api.limits.operations import Adjust, Amount, Change, Forget, Take, Taken
from gateway.api.ports import LocalStore, Store


class Pot(ABC):
    """Amounts that are taken together, or not at all."""

    asks = False  # its amounts are in a store that several processes share
    waits = False  # take_nowait() never tells: only take() does
    exact = True  # standings are those of all processes, at that moment

    def take_nowait(self, amounts: Sequence[Amount]) -> Taken | None:
        """As `take`; None: only `take` can tell."""
        return None

    @abstractmethod
    async def take(self, take: Take) -> Taken:
        """All, or none of them. Raises nothing: without its store it goes by what it knows."""

    @abstractmethod
    def give_back(self, amounts: Sequence[Amount]) -> None:
        """What was taken, and not used."""

    @abstractmethod
    async def look(self, amounts: Sequence[Amount]) -> Taken:
        """How they stand; nothing is taken, whatever they cost."""

    @abstractmethod
    async def forget(self, keys: Sequence[str]) -> None:
        """Begin anew. Raises StoreError."""


class LocalPot(Pot):
    """Amounts in this process's memory: rates among the store's points of time, windows among its values."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self._times = store.times

    def take_nowait(self, amounts: Sequence[Amount]) -> Taken:
        times = self._times
        now = times.now()
        windows = [one for one in amounts if one.kind != b"rate"]
        debts = [debt_after(times.get(one.key), one.cost, now) if one.kind == b"rate" else 0.0 for one in amounts]
        fits = all(not one.cost or debt <= one.bound for one, debt in zip(amounts, debts, strict=True))
        asked = windows if fits else [_free(one) for one in windows]
        counted = self._store.run_nowait(Take(asked)) if windows else Taken(True, now, ())
        fits = fits and counted.all
        used = iter(counted.standing)
        standing = [debt if one.kind == b"rate" else next(used) for one, debt in zip(amounts, debts, strict=True)]
        if fits:
            for one, debt in zip(amounts, debts, strict=True):
                if one.kind == b"rate" and one.cost:
                    times.set(one.key, now + debt, now)
        return Taken(fits, now, standing)

    async def take(self, take: Take) -> Taken:
        return self.take_nowait(take.amounts)

    def give_back(self, amounts: Sequence[Amount]) -> None:
        now = self._times.now()
        for one in amounts:
            if one.kind == b"rate":
                self._times.set(one.key, max(now, (self._times.get(one.key) or now) - one.cost), now)
        windows = [_back(one) for one in amounts if one.kind != b"rate"]
        if windows:
            self._store.run_nowait(Adjust(windows))

    async def look(self, amounts: Sequence[Amount]) -> Taken:
        return self.take_nowait([_free(one) for one in amounts])

    async def forget(self, keys: Sequence[str]) -> None:
        now = self._times.now()
        for key in keys:
            self._times.set(key, now, now)
        self._store.run_nowait(Forget(keys))


class SharedPot(Pot):
    """Amounts in a store that must be asked. While it is away this process goes by its share (fallback.py)."""

    asks = True
    waits = True

    def __init__(self, store: Store, fallback: Fallback) -> None:
        self._store = store
        self._fallback = fallback
        self._returned: list[Amount] = []
        self._returning: asyncio.Task[None] | None = None

    async def take(self, take: Take) -> Taken:
        """One call of the store. In a cluster, where keys lie apart, one for each place: see `_take_apart`."""
        amounts = take.amounts
        if self._fallback.away:
            return self._fallback.take(amounts)
        try:
            if len(amounts) == 1 or self._store.together([one.key for one in amounts]):
                taken = await self._store.run_across(take)
            else:
                taken = await self._take_apart(amounts)
        except StoreError as fault:
            self._fallback.begin()
            return self._fallback.take(amounts, asked=fault.asked)
        self._fallback.learn(amounts, taken)
        return taken

    async def _take_apart(self, amounts: Sequence[Amount]) -> Taken:
        """The narrowest first, and what was taken is given back when a later one refuses: never more than a limit, and
        for a moment less, while another call sees what is about to be given back."""
        done: list[Amount] = []
        found: dict[str, float] = {}
        fits, at = True, 0.0
        for group in self._apart(amounts):
            asked = group if fits else [_free(one) for one in group]
            try:
                taken = await self._store.run_across(Take(asked))
            except BaseException:
                self.give_back(done)
                raise
            at = taken.at
            found.update(zip((one.key for one in group), taken.standing, strict=True))
            if fits and taken.all:
                done += group
            elif fits:
                fits = False
                self.give_back(done)
                found.update((one.key, found[one.key] - (0 if one.kind == b"rate" else one.cost)) for one in done)
        return Taken(fits, at, [found[one.key] for one in amounts])

    def _apart(self, amounts: Sequence[Amount]) -> list[list[Amount]]:
        groups: list[list[Amount]] = []
        for one in sorted(amounts, key=lambda each: each.bound / each.cost if each.cost else 0.0):
            for group in groups:
                if self._store.together([group[0].key, one.key]):
                    group.append(one)
                    break
            else:
                groups.append([one])
        return groups

    def give_back(self, amounts: Sequence[Amount]) -> None:
        if not amounts:
            return
        if self._fallback.away:
            self._fallback.give_back(amounts)
            return
        self._returned += amounts
        if self._returning is None:
            self._returning = asyncio.get_running_loop().create_task(self._return())

    async def _return(self) -> None:
        """All that is given back in a turn of the event loop travels together; what comes meanwhile goes next."""
        try:
            while self._returned:
                amounts, self._returned = self._returned, []
                results = await asyncio.gather(
                    *(self._store.run_across(Adjust((_back(one),))) for one in amounts), return_exceptions=True
                )
                for one, result in zip(amounts, results, strict=True):
                    if isinstance(result, StoreError) and not result.asked:
                        self._fallback.owe(one)
        finally:
            self._returning = None

    async def look(self, amounts: Sequence[Amount]) -> Taken:
        answers = await asyncio.gather(*(self._store.run_across(Take((_free(one),))) for one in amounts))
        return Taken(True, answers[0].at if answers else 0.0, [answer.standing[0] for answer in answers])

    async def forget(self, keys: Sequence[str]) -> None:
        self._fallback.forget(keys)
        await asyncio.gather(*(self._store.run_across(Forget((key,))) for key in keys))


def _free(amount: Amount) -> Amount:
    return amount._replace(cost=0.0)


def _back(amount: Amount) -> Change:
    return Change(amount.key, amount.kind, 0.0, -amount.cost, amount.ttl_s)
