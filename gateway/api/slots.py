"""Places that only so many calls hold at a time, and the bounded queue before them. Knows no policy.

One timer sweeps all who wait at one set of places, and only while somebody waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal

from gateway.api.pause import Caller
from gateway.api.ports import Tally

TICK_S = 0.01  # waits end within so much after their time

Refusal = Literal["full", "late"]


class _Waiter:
    __slots__ = ("given", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.given: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def end(self, error: Exception) -> None:
        if not self.given.done():
            self.given.set_exception(error)


class Slots:
    """`used` and `waiting` are the counts; whoever shows them as metrics gives the gauges. First come, first served."""

    __slots__ = ("__weakref__", "_timer", "_waiters", "limit", "used", "waiting")

    def __init__(self, used: Tally | None = None, waiting: Tally | None = None) -> None:
        self.limit = 1
        self.used = used or Tally()
        self.waiting = waiting or Tally()
        self._waiters: deque[_Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        return not self.used.value and not self._waiters

    def take_nowait(self) -> bool:
        """Take a place if one is free and nobody waits for it."""
        used = self.used
        if used.value >= self.limit or self._waiters:
            return False
        used.value += 1
        return True

    async def wait(self, caller: Caller, queue: int, until: float) -> Refusal | None:
        """A place, after waiting in a queue of at most `queue`; None when it was given.

        `until` is in the event loop's seconds. Raises what ends the wait when the client leaves.
        """
        if len(self._waiters) >= queue:
            return "full"
        waiter = _Waiter(until)
        self._waiters.append(waiter)
        self.waiting.value += 1
        if self._timer is None:
            self._arm()
        caller.on_slow(waiter.end)
        try:
            return None if await waiter.given else "late"
        except BaseException:
            given = waiter.given
            if given.done() and not given.cancelled() and given.exception() is None and given.result():
                self.release()  # it was given in the very turn in which the caller left
            raise
        finally:
            self.waiting.value -= 1
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def release(self) -> None:
        """Give a place back: the first that waits has it."""
        self.used.value -= 1
        self.hand_on()

    def hand_on(self) -> None:
        """Give free places to those who wait; also to be called when the limit has grown."""
        while self._waiters and self.used.value < self.limit:
            waiter = self._waiters.popleft()
            if not waiter.given.done():
                self.used.value += 1
                waiter.given.set_result(True)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for waiter in [each for each in self._waiters if each.until <= now]:
            self._waiters.remove(waiter)
            if not waiter.given.done():
                waiter.given.set_result(False)
        if self._waiters:
            self._arm()


def share(figure: int, workers: int) -> int:
    """A worker's part of a figure for the machine: together never more than it, but at least one each."""
    return max(1, figure // max(1, workers)) if figure else 0
