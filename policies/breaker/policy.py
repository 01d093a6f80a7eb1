"""Refuses calls while the breaker is open, and judges those that passed by what became of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from gateway.api.ending import when_ended
from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Response
from gateway.api.policy import Built, Layer, Level
from gateway.api.ports import Scope, is_local
from gateway.api.problem import problem, retry_after
from policies.breaker.circuit import Circuit
from policies.breaker.config import BreakerConfig
from policies.breaker.core import Counted, Figures, Probe
from policies.breaker.peers import News, Peers
from policies.breaker.shared import Board

log = logging.getLogger("sluicegate.breaker")

VALUES = {"closed": 0, "half-open": 1, "open": 2}


class Breaker(Circuit):
    """A circuit with a voice: what changes is logged, counted and shown."""

    def __init__(self, config: BreakerConfig, scope: Scope, owner: str) -> None:
        super().__init__(config.window)
        store = scope.store(config.store)
        parts = (owner, scope.name, "shadow") if scope.shadow else (owner, scope.name)
        self.board: Board | None = None
        self.peers: Peers | None = None
        if is_local(store):
            self.peers = Peers(self, parts, scope.spread, scope.clock)
        else:
            self.board = Board(self, store.within(*parts), scope.clock)
        self._owner = owner
        self._shadow = scope.shadow
        self._gauge = None if scope.shadow else scope.gauge("breaker_state", scope.upstream)
        self._counts = {
            state: scope.tally(state) if scope.shadow else scope.counter("breaker_changes_total", scope.upstream, state)
            for state in VALUES
        }

    def changed(self, old: str, new: str) -> None:
        super().changed(old, new)
        if self.board is not None:
            self.board.changed(new)
        if self.peers is not None:
            self.peers.changed(new)
        self._counts[new].value += 1
        if self._gauge is not None:
            self._gauge.value = VALUES[new]
        level = logging.WARNING if new == "open" else logging.INFO
        log.log(level, "breaker of %s%s: %s, was %s", self._owner, " (shadow)" if self._shadow else "", new, old)

    def carry_out(self, order: object) -> int | None:
        """What another worker says (gateway.api.orders.Ordered)."""
        if self.peers is not None and isinstance(order, News):
            self.peers.hear(order)
        return None


def build(config: BreakerConfig, scope: Scope) -> Built | Sequence[Built]:
    if not scope.upstream:
        return ()  # inherited by a route that answers by itself
    of_route = scope.level is Level.ROUTE
    owner = f"route {scope.route}" if of_route else f"upstream {scope.upstream}"
    breaker = scope.state((owner, scope.name, scope.shadow), lambda: Breaker(config, scope, owner))
    if breaker.board is not None:
        scope.spawn(f"breaker {owner} {scope.name} {scope.shadow}", breaker.board.run)
    return BreakerLayer(config, scope, breaker)


class BreakerLayer(Layer):
    """Innermost of a route's layers: it sees each attempt, and what an adapter made of the answer."""

    def __init__(self, config: BreakerConfig, scope: Scope, breaker: Breaker) -> None:
        self._circuit = breaker
        self._figures = Figures(
            config.failures, config.error_rate, config.window, config.min_requests, config.open, config.probes
        )
        self._counted = Counted(config.count)
        self._failing = self._counted.statuses
        self._clock = scope.clock.monotonic
        self._shadow = scope.shadow
        self._upstream = scope.upstream
        self._detail = (
            f"The upstream '{scope.upstream}' fails at the moment and is not called; try again after Retry-After."
        )
        self._allowed = scope.tally("allow")
        self._refused = scope.tally("refuse")

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        circuit = self._circuit
        admitted: int | Probe = circuit.epoch
        if not circuit.closed:
            decision = circuit.admit(self._figures, self._clock())
            if isinstance(decision, float):
                self._refused.value += 1
                if not self._shadow:
                    wait = (retry_after(decision),)
                    return problem(exchange, 503, "breaker.open", self._detail, wait, upstream=self._upstream)
                exchange.note("shadow:breaker.open")
                return await proceed(exchange)
            admitted = decision
        self._allowed.value += 1
        try:
            response = await proceed(exchange)
        except BaseException as fault:
            circuit.settle(admitted, self._counted.verdict(fault), self._figures, self._clock())
            raise
        body = response.body
        if response.status in self._failing:
            circuit.settle(admitted, False, self._figures, self._clock())
        elif type(body) is bytes:
            circuit.settle(admitted, True, self._figures, self._clock())
        else:
            self._await_end(exchange, response, admitted)
        return response

    def _await_end(self, exchange: Exchange, response: Response, admitted: int | Probe) -> None:
        """The head says well; the verdict waits for the body, which may break off."""
        if isinstance(admitted, Probe):
            admitted.answered_at = self._clock()

        def ended(fault: BaseException | None, complete: bool) -> None:
            verdict = self._counted.verdict(fault) if fault is not None else True if complete else None
            self._circuit.settle(admitted, verdict, self._figures, self._clock())

        when_ended(exchange, response, ended)
