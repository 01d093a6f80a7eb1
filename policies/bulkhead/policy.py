"""Lets so many calls through to the upstream, lets some wait, and refuses the rest early."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.api.ending import when_ended
from gateway.api.errors import Cause, UpstreamError
from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Response
from gateway.api.policy import Built, CheckContext, Complaint, Layer, Level
from gateway.api.ports import Scope, Tally
from gateway.api.problem import RETRY_SOON, problem
from gateway.api.slots import Slots, share
from policies.bulkhead.config import BulkheadConfig
from policies.bulkhead.core import Adaptive


class Bulkhead:
    """The lasting state: places, and how many there should be."""

    def __init__(self, config: BulkheadConfig, scope: Scope) -> None:
        def shown(metric: str) -> Tally:
            return Tally() if scope.shadow else scope.gauge(metric, scope.upstream)

        self.slots = Slots(shown("bulkhead_in_use"), shown("bulkhead_waiting"))
        self.limit = shown("bulkhead_limit")
        self.adaptive = Adaptive(scope.clock.monotonic())
        self.set_limit(int(self.adaptive.limit) if config.max == "adaptive" else share(config.max, scope.workers))

    def set_limit(self, limit: int) -> None:
        self.limit.value = self.slots.limit = limit
        self.slots.hand_on()


def build(config: BulkheadConfig, scope: Scope) -> Built | Sequence[Built]:
    if not scope.upstream:
        return ()  # inherited by a route that answers by itself
    owner = f"route {scope.route}" if scope.level is Level.ROUTE else f"upstream {scope.upstream}"
    return BulkheadLayer(config, scope, scope.state((owner, scope.name, scope.shadow), lambda: Bulkhead(config, scope)))


def check(config: BulkheadConfig, context: CheckContext) -> Iterator[Complaint]:
    if context.level is Level.ROUTE and context.route is not None and context.route.upstream is None:
        yield Complaint((), "a bulkhead stands before an upstream; this route has none")


class BulkheadLayer(Layer):
    """A place is held until the answer's last byte has come from the upstream."""

    def __init__(self, config: BulkheadConfig, scope: Scope, bulkhead: Bulkhead) -> None:
        self._bulkhead = bulkhead
        self._slots = bulkhead.slots
        self._fixed = None if config.max == "adaptive" else share(config.max, scope.workers)
        self._queue = share(config.queue, scope.workers)
        self._queue_s = config.queue_timeout
        self._clock = scope.clock.monotonic
        self._shadow = scope.shadow
        self._upstream = scope.upstream
        self._allowed = scope.tally("allow")
        self._waited = scope.tally("wait")
        self._refused = scope.tally("refuse")

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        slots = self._slots
        limit = int(self._bulkhead.adaptive.limit) if self._fixed is None else self._fixed
        if limit != slots.limit:
            self._bulkhead.set_limit(limit)
        if not slots.take_nowait():
            refusal = await self._over(exchange)
            if refusal is not None:
                return refusal
        self._allowed.value += 1
        started = self._clock() if self._fixed is None else 0.0
        try:
            response = await proceed(exchange)
        except BaseException as fault:
            # a refused connection is quick, and a caller that leaves is too: only a call that took too long says something
            if self._fixed is None and isinstance(fault, UpstreamError) and fault.cause is Cause.TIMEOUT:
                self._observe(started)
            slots.release()
            raise
        if self._fixed is None and response.status < 500:
            self._observe(started)
        if type(response.body) is bytes:
            slots.release()
        else:
            when_ended(exchange, response, lambda *_: slots.release())
        return response

    def _observe(self, started: float) -> None:
        now = self._clock()
        adaptive = self._bulkhead.adaptive
        if adaptive.observe(now - started, self._slots.used.value, now):
            self._bulkhead.set_limit(int(adaptive.limit))

    async def _over(self, exchange: Exchange) -> Response | None:
        """All places are taken: the refusal, or None with a place."""
        if self._shadow:
            self._refused.value += 1
            exchange.note("shadow:bulkhead.full")
            self._slots.used.value += 1
            return None
        until = exchange.deadline
        if self._queue_s:
            until = min(until, self._clock() + self._queue_s)
        refusal = "full" if not self._queue else await self._slots.wait(exchange, self._queue, until)
        if refusal is None:
            self._waited.value += 1
            return None
        self._refused.value += 1
        late = refusal == "late"
        return problem(
            exchange,
            503,
            "bulkhead.queue-timeout" if late else "bulkhead.full",
            f"As many calls as allowed are under way to the upstream '{self._upstream}'"
            + (", and none ended in time; try again soon." if late else "; try again soon."),
            RETRY_SOON,
            upstream=self._upstream,
        )
