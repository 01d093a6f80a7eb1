"""Holds a place for each call of a caller, lets some wait, and refuses the rest with 429."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.api.callers import scope_parts
from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Response
from gateway.api.policy import CheckContext, Complaint, Layer, Level
from gateway.api.ports import Scope
from gateway.api.problem import problem
from gateway.api.slots import Slots, share
from policies.concurrency.config import ConcurrencyConfig
from policies.concurrency.core import Key, finder

RETRY_SOON = ((b"retry-after", b"1"),)


class Places:
    """Who holds places now: callers with none have no entry, so that memory is bounded by the calls under way."""

    def __init__(self) -> None:
        self.of: dict[Key, Slots] = {}

    def leave(self, key: Key, slots: Slots) -> None:
        slots.release()
        self.tidy(key, slots)

    def tidy(self, key: Key, slots: Slots) -> None:
        if slots.idle and self.of.get(key) is slots:
            del self.of[key]


def build(config: ConcurrencyConfig, scope: Scope) -> Layer:
    return ConcurrencyLayer(config, scope)


def check(config: ConcurrencyConfig, context: CheckContext) -> Iterator[Complaint]:
    if config.scope == "upstream" and context.route is not None and context.route.upstream is None:
        yield Complaint(("scope",), "scope: upstream on a route without an upstream; write route or gateway")
    if config.scope == "route" and context.level is Level.GLOBAL:
        yield Complaint(("scope",), "with scope: route under global every route counts for itself", "warning")


class ConcurrencyLayer(Layer):
    """A place is held until the exchange ends, its last byte sent."""

    def __init__(self, config: ConcurrencyConfig, scope: Scope) -> None:
        # what a limit is called says which it is, whatever its figure; shadow counts beside the enforced ones
        parts = (scope.name, config.per, *scope_parts(config.scope, scope))
        self._find = finder(config, scope.route, parts)
        self._places = scope.state(("places", scope.shadow), Places)
        self._workers = scope.workers
        self._queue = share(config.queue, scope.workers)
        self._queue_s = config.queue_timeout
        self._clock = scope.clock.monotonic
        self._shadow = scope.shadow
        self._label = scope.name
        self._allowed = scope.tally("allow")
        self._waited = scope.tally("wait")
        self._refused = scope.tally("refuse")

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        place = self._find(exchange)
        if place is not None:
            key, most = place
            places = self._places
            slots = places.of.get(key)
            if slots is None:
                slots = places.of[key] = Slots()
            slots.limit = share(most, self._workers)
            if not slots.take_nowait():
                refusal = await self._over(exchange, key, slots)
                if refusal is not None:
                    return refusal
            exchange.on_close(lambda: places.leave(key, slots))
        self._allowed.value += 1
        return await proceed(exchange)

    async def _over(self, exchange: Exchange, key: Key, slots: Slots) -> Response | None:
        """All places are taken: the refusal, or None with a place."""
        if self._shadow:
            self._refused.value += 1
            exchange.note("shadow:concurrency.exceeded")
            slots.used.value += 1
            return None
        if self._queue:
            until = exchange.deadline
            if self._queue_s:
                until = min(until, self._clock() + self._queue_s)
            try:
                if await slots.wait(exchange, self._queue, until) is None:
                    self._waited.value += 1
                    return None
            except BaseException:
                self._places.tidy(key, slots)
                raise
        self._refused.value += 1
        return problem(
            exchange,
            429,
            "concurrency.exceeded",
            f"The limit '{self._label}' of calls at a time is reached; end some, or try again soon.",
            RETRY_SOON,
        )
