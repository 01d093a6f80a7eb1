"""Sets the exchange's bounds. Enforces nothing itself: the upstream connection does, with one sweep over all that wait."""

from __future__ import annotations

from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Response
from gateway.api.policy import Gate, Layer
from gateway.api.ports import Scope
from policies.timeout.config import TimeoutConfig


def build(config: TimeoutConfig, scope: Scope) -> Gate | Layer:
    return Overdue(config, scope) if scope.shadow else Bounds(config)


class Bounds(Gate):
    """The route's bounds, in place of those that an exchange begins with."""

    def __init__(self, config: TimeoutConfig) -> None:
        self._total = config.total
        self._attempt = min(config.attempt, config.total)

    def check(self, exchange: Exchange) -> Response | None:
        exchange.deadline = exchange.started + self._total
        exchange.attempt_s = self._attempt
        return None


class Overdue(Layer):
    """In shadow: counts the calls that `total` would have ended. The default bounds stay in force."""

    def __init__(self, config: TimeoutConfig, scope: Scope) -> None:
        self._total = config.total
        self._clock = scope.clock
        self._in_time = scope.tally("allow")
        self._overdue = scope.tally("refuse")

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        try:
            return await proceed(exchange)
        finally:
            late = self._clock.monotonic() - exchange.started > self._total
            (self._overdue if late else self._in_time).value += 1
