"""Answers that go on after their head: when each must end, whoever of caller and upstream is slow. Knows no bodies.

A stream ends at `streams.max`, when its caller's token expires or is revoked, and a grace after its route or its consumer
changed, so that no connection outlives for hours what operators decided about it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable
from math import inf

from gateway.api.exchange import Exchange
from gateway.api.orders import Revoke

MOST_ORDERS = 100  # that are kept for streams whose heads are still awaited
MAX_TIMER_S = 10 * 86_400.0  # event loops refuse delays beyond some weeks

AT_MAX = "streams.max"
EXPIRED = "streams.token-expired"
REVOKED = "streams.token-revoked"
CHANGED = "streams.route-changed"


class Stream:
    """One that is running. `ended_by` is the code of what ended it, "" while nothing has."""

    __slots__ = ("_end", "_task", "_timer", "ended_by", "exchange", "route")

    def __init__(self, exchange: Exchange, route: Hashable, task: asyncio.Task[object], max_s: float) -> None:
        self.exchange = exchange
        self.route = route
        self.ended_by = ""
        self._task = task
        self._end = inf
        self._timer: asyncio.TimerHandle | None = None
        self.end_within(min(max_s, MAX_TIMER_S), AT_MAX)
        principal = exchange.principal
        if principal is not None and principal.expires is not None:
            self.end_within(max(0.0, principal.expires - time.time()), EXPIRED)

    def end_within(self, seconds: float, code: str) -> None:
        """End it then, unless it ends sooner anyway."""
        loop = asyncio.get_running_loop()
        if loop.time() + seconds < self._end:
            self.let_go()
            self._end = loop.time() + seconds
            self._timer = loop.call_later(seconds, self._cut, code)

    def let_go(self) -> None:
        """It has ended, or another end is set."""
        if self._timer is not None:
            self._timer.cancel()

    def _cut(self, code: str) -> None:
        self.ended_by = code
        self._task.cancel()


class Streams:
    """Those of one worker."""

    def __init__(self) -> None:
        self.grace_s = 300.0
        self.is_live: Callable[[Exchange, Hashable], bool] = lambda exchange, route: True
        """Whether the running configuration still has this very route, and this consumer as the exchange knows it."""
        self._running: set[Stream] = set()
        self._orders: deque[Revoke] = deque(maxlen=MOST_ORDERS)

    def begin(self, exchange: Exchange, route: Hashable, max_s: float) -> Stream:
        """The calling task's stream; it is cancelled when the stream must end. To be given to end()."""
        task = asyncio.current_task()
        assert task is not None, "requests run in tasks"
        stream = Stream(exchange, route, task, max_s)
        self._running.add(stream)
        # what came while its head was awaited
        self._look(stream)
        for order in self._orders:
            _revoke(stream, order)
        return stream

    def end(self, stream: Stream) -> None:
        stream.let_go()
        self._running.discard(stream)

    def reloaded(self) -> None:
        """Another configuration is live."""
        for stream in self._running:
            self._look(stream)

    def carry_out(self, order: object) -> None:
        """End the streams of revoked tokens."""
        if isinstance(order, Revoke):
            self._orders.append(order)
            for stream in self._running:
                _revoke(stream, order)

    def _look(self, stream: Stream) -> None:
        if not self.is_live(stream.exchange, stream.route):
            stream.end_within(self.grace_s, CHANGED)


def _revoke(stream: Stream, order: Revoke) -> None:
    principal = stream.exchange.principal
    if principal is not None and order.covers(principal.issuer, principal.claims):
        stream.end_within(0.0, REVOKED)
