"""Refuses callers by address. The address is the edge's finding: a proxy's word counts only where it is trusted."""

from __future__ import annotations

from gateway.api.exchange import Exchange
from gateway.api.messages import Response
from gateway.api.policy import Gate
from gateway.api.ports import Scope
from gateway.api.problem import problem
from policies.ip_allow.config import IpAllowConfig
from policies.ip_allow.core import Rules

REMEMBERED = 16384  # decisions; a flood from more addresses costs the decision again, about 1 µs


class IpAllow(Gate):
    def __init__(self, config: IpAllowConfig, scope: Scope) -> None:
        self._rules = Rules(config.allow, config.deny)
        self._decided: dict[str, bool] = {}
        self._allowed = scope.tally("allow")
        self._refused = scope.tally("refuse")

    def check(self, exchange: Exchange) -> Response | None:
        client = exchange.request.client
        admitted = self._decided.get(client)
        if admitted is None:
            admitted = self._decide(client)
        if admitted:
            self._allowed.value += 1
            return None
        self._refused.value += 1
        return problem(
            exchange,
            403,
            "ip_allow.refused",
            "Calls from this address are not allowed here; ask the operators to allow it.",
        )

    def _decide(self, client: str) -> bool:
        if len(self._decided) >= REMEMBERED:
            self._decided.clear()
        admitted = self._decided[client] = self._rules.admits(client)
        return admitted
