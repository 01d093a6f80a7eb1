"""A call that waits for a connection, at most until its deadline. Opens none and chooses none: the pool does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import inf

from gateway.api.errors import Cause, Stage, UpstreamError
from gateway.api.messages import OnSlow
from gateway.upstream.connection import Connection
from gateway.upstream.sweep import Bounded, Sweep


@dataclass(frozen=True, slots=True)
class Call:
    """Who waits: until when, and what to tell when it takes long."""

    deadline: float
    on_slow: OnSlow | None


class Waiter(Bounded):
    """A call that waits for a connection."""

    __slots__ = ("connection", "dialing", "fresh", "upstream")

    def __init__(self, upstream: str, sweep: Sweep, call: Call, now: float, *, fresh: bool) -> None:
        super().__init__(call.on_slow, now, call.deadline)
        self.connection: asyncio.Future[Connection] = sweep.loop.create_future()
        self.fresh = fresh  # only a connection opened for it will do
        self.dialing = False
        self.upstream = upstream

    def overdue(self) -> None:
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
