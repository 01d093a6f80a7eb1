"""Performs the tries of a call: what may be repeated, on another target, within the budget and the deadline."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from gateway.api.errors import BadReply, UpstreamError
from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Body, Headers, Response
from gateway.api.pause import pause
from gateway.api.policy import Built, Layer
from gateway.api.ports import Scope
from gateway.http.dates import parse_date
from policies.retry.config import RetryConfig
from policies.retry.core import BEYOND, SAFE, Backoff, Budget, Occasions

KEY = b"idempotency-key"


def build(config: RetryConfig, scope: Scope) -> Built | Sequence[Built]:
    if not scope.upstream:
        return ()  # inherited by a route that answers by itself
    return RetryLayer(config, scope)


class RetryLayer(Layer):
    """Outermost of a route's resilience: whatever it calls again passes bulkhead and breaker again."""

    def __init__(self, config: RetryConfig, scope: Scope, chance: Callable[[], float] | None = None) -> None:
        self._attempts = config.attempts
        self._occasions = Occasions(config.on)
        self._statuses = self._occasions.statuses
        self._backoff = Backoff(config.backoff, config.max_backoff)
        self._share = config.budget
        self._beyond = max(1, BEYOND // max(1, scope.workers))
        self._respect = config.respect_retry_after
        self._clock = scope.clock
        self._now = scope.clock.monotonic
        self._chance = chance or random.random
        self._safe = scope.safe
        self._honours_key = scope.calls is not None and scope.calls.honours_idempotency_key
        self._shadow = scope.shadow
        # one budget an upstream, however many routes and levels retry it
        self._budget = scope.state(("budget", scope.upstream, scope.shadow), Budget)
        self._counted = {
            word: scope.tally(f"retry-{word}")
            if scope.shadow
            else scope.counter("upstream_retries_total", scope.upstream, word)
            for word in dict.fromkeys((*config.on, "502"))
        }
        self._refused = scope.tally("budget-spent")

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        now = self._now()
        self._budget.calls.add(now)
        if exchange.tried is None:
            exchange.tried = []
        tries = 0
        while True:
            tries += 1
            called = len(exchange.tried)
            try:
                response = await proceed(exchange)
            except (UpstreamError, BadReply) as fault:
                wait_s = self._after_fault(exchange, fault, tries)
                if wait_s is None:
                    raise
            else:
                if response.status not in self._statuses or len(exchange.tried) == called:
                    return response  # good; or the gateway's own refusal: nobody was called
                wait_s = self._after_answer(exchange, response, tries)
                if wait_s is None:
                    return response
                if isinstance(response.body, Body):
                    response.body.close()
            if wait_s > 0:
                await pause(exchange, wait_s)

    def _after_fault(self, exchange: Exchange, fault: UpstreamError | BadReply, tries: int) -> float | None:
        word = self._occasions.of_fault(fault)
        if word is None or not (self._repeatable(exchange) or (isinstance(fault, UpstreamError) and not fault.sent)):
            return None
        # a connection that was refused cost the upstream nothing
        free = word == "connect" and isinstance(fault, UpstreamError) and not fault.sent
        return self._settle(exchange, word, tries, 0.0, free=free)

    def _after_answer(self, exchange: Exchange, response: Response, tries: int) -> float | None:
        if not self._repeatable(exchange):
            return None
        least_s = self._retry_after_s(response.headers) if self._respect else 0.0
        return self._settle(exchange, str(response.status), tries, least_s, free=False)

    def _repeatable(self, exchange: Exchange) -> bool:
        """Whether it may be done twice, for all that its route, method and key say."""
        request = exchange.request
        if self._honours_key and (exchange.keyed or request.headers.get(KEY)):
            return True
        return request.method in SAFE if self._safe is None else self._safe

    def _settle(self, exchange: Exchange, word: str, tries: int, least_s: float, *, free: bool) -> float | None:
        """The wait before another try, None when there is none."""
        if tries >= self._attempts or isinstance(exchange.request.body, Body) or exchange.client_gone:
            return None  # a body that is still a stream has been read from
        now = self._now()
        wait_s = max(least_s, self._backoff.delay_s(tries, self._chance()))
        if now + wait_s >= exchange.deadline:
            return None
        if not free and not self._budget.take(self._share, self._beyond, now):
            self._refused.value += 1
            exchange.note("shadow:retry.budget-spent" if self._shadow else "retry.budget-spent")
            return None
        self._counted[word].value += 1
        if self._shadow:
            return None
        exchange.note(f"retry.{word}")
        return wait_s

    def _retry_after_s(self, headers: Headers) -> float:
        """RFC 9110 §10.2.3: seconds, or a date."""
        value = headers.get(b"retry-after")
        if value is None:
            return 0.0
        if value.isdigit():
            return float(value[:9])
        unix_s = self._clock.time()
        date = parse_date(value, unix_s)
        return 0.0 if date is None else max(0.0, date - unix_s)
