"""What a process does about limits while their store is away, and how that is merged when it is back. Sends no answers.

Each process goes on with its fair share: a limit divided by the processes that were last known to share the store. It starts
from what it last saw of a key, so a caller who had used everything gets no new burst. What it takes is written down and
added to the store's amounts before the store is used again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex

from gateway.api.errors import StoreError
from gateway.api.limits.bucket import SLACK, debt_after
from gateway.api.limits.operations import Adjust, Amount, Change, Taken
from gateway.api.ports import Store, Tally, Times

KNOWN_WINDOWS = 65536  # of which it is remembered how much was used; rates are bounded by the memory store
TRY_AGAIN_S = 0.1
MERGED_AT_ONCE = 200
QUIET_S = 30.0  # between two lines in the log about a store that answers, but not each time

log = logging.getLogger("sluicegate.limits")


@dataclass(slots=True)
class _Used:
    """What was taken of one key while the store was away."""

    amount: Amount  # the last one
    base: float  # what all knew before, and what the store may have taken though its answer was lost
    taken: float = 0.0
    sent: tuple[Change, str, float] | None = (
        None  # on its way to the store: with its mark, and how much of `taken` it is
    )


class Fallback:
    """Of one store. `away` from its first failure until everything is merged."""

    def __init__(self, store: Store, times: Times, processes: int, switches: tuple[Tally, Tally]) -> None:
        """`processes` is the least that share the store, whatever its heartbeats say: those of this machine.

        `switches` count the way to a share of one's own, and the way back.
        """
        self.away = False
        self._to_share, self._to_store = switches
        self._mark, self._marks = token_hex(4), 0
        self._told_at = -QUIET_S
        self._telling = False
        self._store = store
        self._times = times
        self._least = processes
        self._ahead = 0.0  # the store's clock less ours
        self._windows: dict[str, float] = {}
        self._used: dict[str, _Used] = {}
        self._news = asyncio.Event()

    @property
    def share(self) -> int:
        return max(1, self._least, self._store.standing.processes)

    def learn(self, amounts: Sequence[Amount], taken: Taken) -> None:
        """Remember how amounts stand, as the store said."""
        now = self._times.now()
        self._ahead = taken.at - now
        for number, standing in enumerate(taken.standing):  # zip takes 0.2 µs more
            one = amounts[number]
            if one.kind == b"rate":
                debt = standing if taken.all else standing - one.cost
                self._times.set(one.key, now + debt, now)
            else:
                windows = self._windows
                windows[one.key] = standing
                if len(windows) > KNOWN_WINDOWS:
                    del windows[next(iter(windows))]

    def begin(self) -> None:
        """The store failed."""
        if not self.away:
            self.away = True
            self._to_share.value += 1
            self._tell(
                logging.WARNING, "the store of limits is away: they go on with this process's share, 1/%d", self.share
            )
        self._news.set()

    def take(self, amounts: Sequence[Amount], *, asked: bool = False) -> Taken:
        """By this process's share. `asked`: the store may have taken them, and is not told again."""
        if any(one.away == "deny" for one in amounts):
            return Taken(False, 0.0, [0.0] * len(amounts), away=True, denied=True)
        share = self.share
        now = self._times.now()
        standing: list[float] = []
        fits = True
        for one in amounts:
            if one.away == "allow":
                standing.append(0.0)
            elif one.kind == b"rate":
                debt = debt_after(self._times.get(one.key), one.cost * share, now)
                # a share of a small burst still lets one call through
                fits = fits and (not one.cost or debt <= max(one.bound, one.cost * share * (1 + SLACK)))
                standing.append(debt)
            else:
                used = self._used[one.key].taken if one.key in self._used else 0.0
                known = self._windows.get(one.key, 0.0)
                fits = fits and (not one.cost or used + one.cost <= (one.bound - known) // share)
                standing.append(min(one.bound, known + used * share))
        if fits:
            for number, one in enumerate(amounts):
                if one.cost and one.away == "local":
                    self._write_down(one, now, asked=asked)
                    if one.kind == b"rate":
                        self._times.set(one.key, now + standing[number], now)
                    else:
                        standing[number] = min(one.bound, standing[number] + one.cost * share)
        return Taken(fits, now + self._ahead, standing, away=True)

    def give_back(self, amounts: Sequence[Amount]) -> None:
        for one in amounts:
            self._write_down(one._replace(cost=-one.cost), self._times.now())
            if one.kind == b"rate":
                now = self._times.now()
                self._times.set(one.key, max(now, (self._times.get(one.key) or now) - one.cost * self.share), now)

    def owe(self, amount: Amount) -> None:
        """Something that could not be given back; tried again when the store is back."""
        self.give_back((amount,))
        self.begin()

    def forget(self, keys: Sequence[str]) -> None:
        now = self._times.now()
        for key in keys:
            self._times.set(key, now, now)
            self._windows.pop(key, None)
            self._used.pop(key, None)

    async def run(self) -> None:
        """Lead back to the store whenever it answers again, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self.away:
                if self._store.standing.available and await self._merge():
                    self.away = False
                    self._to_store.value += 1
                    self._tell(logging.INFO, "limits are held in their store again; what was used meanwhile counts")
                else:
                    await asyncio.sleep(TRY_AGAIN_S)

    def _tell(self, level: int, text: str, *figures: object) -> None:
        now = self._times.now()
        if not self._store.standing.available or (level == logging.WARNING and now - self._told_at >= QUIET_S):
            self._told_at, self._telling = now, True
        elif level == logging.WARNING:
            self._telling = False
        if self._telling:
            log.log(level, text, *figures)

    async def _merge(self) -> bool:
        """Whether everything that was taken is in the store now."""
        while self._used:
            merged = list(self._used.values())[:MERGED_AT_ONCE]
            results = await asyncio.gather(
                *(self._store.run_across(self._adjust(used)) for used in merged), return_exceptions=True
            )
            for used, result in zip(merged, results, strict=True):
                if not isinstance(result, BaseException):
                    self._settle(used)
                elif not isinstance(result, StoreError):
                    raise result
            if any(isinstance(result, StoreError) for result in results):
                return False
        return True

    def _adjust(self, used: _Used) -> Adjust:
        """The same as before where only its answer was lost: the store does it once."""
        if used.sent is None:
            self._marks += 1
            used.sent = self._change(used), f"{used.amount.key}|{self._mark}{self._marks}", used.taken
        change, mark, _ = used.sent
        return Adjust((change,), mark)

    def _change(self, used: _Used) -> Change:
        """What a rate adds is at most what is missing in this process's share by now: the rest was refilled meanwhile.

        With `base` each process restores what all had known, in a store that lost it, and only once: it is a maximum.
        """
        amount, taken = used.amount, used.taken
        if amount.kind == b"rate":
            now = self._times.now()
            taken = min(taken, max(0.0, (self._times.get(amount.key) or now) - now) / self.share)
        return Change(amount.key, amount.kind, used.base, taken, amount.ttl_s)

    def _settle(self, used: _Used) -> None:
        """What was sent is in the store now."""
        assert used.sent is not None, "it was sent"
        amount, taken = used.amount, used.sent[2]
        used.sent = None
        if amount.kind != b"rate":
            self._windows[amount.key] = self._windows.get(amount.key, 0.0) + taken
        used.taken -= taken
        if abs(used.taken) < 1e-9:
            self._used.pop(amount.key, None)
            if amount.kind == b"rate":  # no longer a share's debt
                now = self._times.now()
                self._times.set(amount.key, max(now, used.base - self._ahead) + taken, now)

    def _write_down(self, amount: Amount, now: float, *, asked: bool = False) -> None:
        used = self._used.get(amount.key)
        if used is None:
            known = self._times.get(amount.key) if amount.kind == b"rate" else None
            used = self._used[amount.key] = _Used(amount, 0.0 if known is None else max(known, now) + self._ahead)
        used.amount = amount
        if not asked:
            used.taken += amount.cost
        elif amount.kind == b"rate":  # as a maximum, it counts once whether the store took it or not
            used.base = max(used.base, now + self._ahead) + amount.cost
