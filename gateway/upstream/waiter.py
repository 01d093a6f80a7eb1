"""A call that waits for a connection, at most until its deadline. Opens none and chooses none: the pool does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import inf

from gateway.api.errors import Cause, Stage, UpstreamError
from gateway.api.messages import OnSlow
from gateway.upstream.connection import SLOW_S, Connection
from gateway.upstream.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Call:
    """Who waits: until when, and what to tell when it takes long."""

    deadline: float
    on_slow: OnSlow | None


class Waiter:
    """A call that waits for a connection."""

    __slots__ = ("_limit", "_on_slow", "connection", "dialing", "due", "fresh", "upstream")

    def __init__(self, upstream: str, sweep: Sweep, call: Call, now: float, *, fresh: bool) -> None:
        self.connection: asyncio.Future[Connection] = sweep.loop.create_future()
        self.fresh = fresh  # only a connection opened for it will do
        self.dialing = False
        self.upstream = upstream
        self._limit = call.deadline
        self._on_slow = call.on_slow
        self.due = call.deadline if call.on_slow is None else min(call.deadline, now + SLOW_S)

    def expire(self, now: float) -> None:
        on_slow, self._on_slow = self._on_slow, None
        if now < self._limit:
            self.due = self._limit
            if on_slow is not None:
                on_slow(self.end)
            return
        self.due = inf
        if self.dialing:
            self.fail(Cause.TIMEOUT, "connect", "the deadline came before a connection")
        else:
            self.fail(Cause.OVERLOAD, "queue", "no connection became free in time")

    def end(self, error: Exception) -> None:
        if not self.connection.done():
            self.connection.set_exception(error)

    def fail(self, cause: Cause, stage: Stage, detail: str) -> None:
        self.end(UpstreamError(cause, stage, sent=False, upstream=self.upstream, detail=detail))
