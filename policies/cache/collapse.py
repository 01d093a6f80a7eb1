"""One upstream call for many callers of the same key. Knows nothing of answers but whether one was stored."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum

from gateway.api.errors import UpstreamError
from gateway.api.exchange import Exchange
from policies.cache.store import Key

MARKER_S = 10.0  # nobody waits for answers of a key that lately gave one that could not be stored
MAX_MARKERS = 10_000


class Verdict(Enum):
    LOOK = "an answer may be stored now"
    LEAD = "the call broke off: it is this caller's turn"
    FORWARD = "the answer was not stored: each for itself"
    ERROR = "the upstream answered with an error: a stale answer may do"
    LATE = "the deadline came first"


class Flight:
    """A call under way, and who waits for it."""

    __slots__ = ("_flights", "_waiters", "ended", "key", "on_end")

    def __init__(self, flights: Flights, key: Key) -> None:
        self._flights = flights
        self.key = key
        self._waiters: dict[asyncio.Future[Verdict], None] = {}  # in the order in which they came
        self.ended = False
        self.on_end: Callable[[bool], object] | None = None  # told once, and whether nobody shall wait for a while

    async def wait(self, exchange: Exchange) -> Verdict:
        """Until the call's answer is stored, or it ends otherwise. Raises UpstreamError as the call did."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Verdict] = loop.create_future()
        self._waiters[waiter] = None

        def end(fault: Exception) -> None:
            if not waiter.done():
                waiter.set_exception(fault)

        timer = loop.call_at(exchange.deadline, _settle, waiter, Verdict.LATE)
        exchange.on_slow(end)
        try:
            return await waiter
        except BaseException:
            ended = waiter.done() and not waiter.cancelled() and waiter.exception() is None
            if ended and waiter.result() is Verdict.LEAD:  # given in the very turn in which its caller left
                self.pass_on()
            raise
        finally:
            timer.cancel()
            self._waiters.pop(waiter, None)

    def land(self) -> None:
        """The answer is stored."""
        self._end(Verdict.LOOK)

    def scatter(self, now: float) -> None:
        """The answer may not be stored: nobody waits for this key for a while."""
        if not self.ended:
            self._flights.mark(self.key, now + MARKER_S)
            self._end(Verdict.FORWARD, marked=True)

    def disappoint(self) -> None:
        """The upstream answered with an error that is not passed on."""
        self._end(Verdict.ERROR)

    def fail(self, fault: UpstreamError) -> None:
        """What the upstream did to one it did to all: a thousand more calls would not help it."""
        if self.ended:
            return
        self._leave()
        for waiter in self._waiters:
            if not waiter.done():
                again = UpstreamError(
                    fault.cause, fault.stage, sent=fault.sent, upstream=fault.upstream, detail=fault.detail
                )
                waiter.set_exception(again)

    def pass_on(self) -> None:
        """The call was given up by its own caller: the next in line makes it."""
        if self.ended:
            return
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(Verdict.LEAD)
                return
        self._leave()

    def _end(self, verdict: Verdict, *, marked: bool = False) -> None:
        if not self.ended:
            self._leave(marked=marked)
            for waiter in self._waiters:
                _settle(waiter, verdict)

    def _leave(self, *, marked: bool = False) -> None:
        self.ended = True
        self._flights.under_way.pop(self.key, None)
        if self.on_end is not None:
            self.on_end(marked)


class Flights:
    """The calls of one worker that others may wait for."""

    def __init__(self) -> None:
        self.under_way: dict[Key, Flight] = {}
        self._markers: OrderedDict[Key, float] = OrderedDict()

    def begin(self, key: Key) -> Flight:
        flight = self.under_way[key] = Flight(self, key)
        return flight

    def marked(self, key: Key, now: float) -> bool:
        until = self._markers.get(key)
        return until is not None and until > now

    def mark(self, key: Key, until: float) -> None:
        self._markers.pop(key, None)
        self._markers[key] = until
        if len(self._markers) > MAX_MARKERS:
            self._markers.popitem(last=False)


def _settle(waiter: asyncio.Future[Verdict], verdict: Verdict) -> None:
    if not waiter.done():
        waiter.set_result(verdict)
