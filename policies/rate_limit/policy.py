"""Takes tokens for a call, or refuses it with 429; and tells callers what is left. The arithmetic is core.py's."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from gateway.api.exchange import Exchange, Principal
from gateway.api.limits.board import Board
from gateway.api.limits.bucket import debt_after
from gateway.api.limits.fields import RATELIMIT, announce
from gateway.api.limits.gate import Counting, LimitsGate, refusal
from gateway.api.limits.limit import Charge, Limit
from gateway.api.limits.place import NAMESPACE, pot_of
from gateway.api.messages import Response
from gateway.api.policy import Gate
from gateway.api.ports import Scope, Times, is_local
from policies.rate_limit.accounts import Account, Accounts, RateCharge
from policies.rate_limit.config import RateLimitConfig


class RateLimit(Limit):
    """One limit of a route."""

    policy = "rate_limit"

    def __init__(self, config: RateLimitConfig, scope: Scope) -> None:
        place = scope.shared(NAMESPACE)
        store = place.store(config.store)
        accounts = Accounts(config, scope, store)
        self.label = accounts.label
        self.find = accounts.finder()
        self.pot = pot_of(place, store)
        self.times: Times | None = store.times if is_local(store) else None
        self.allowed = scope.tally("allow")
        self.refused = scope.tally("refuse")
        self.shares = config.rate is None  # its buckets are those of tiers, which other limits may take from
        self.silent = scope.shadow
        self._of = accounts.of
        self._board = place.state("board", Board)
        if not scope.shadow:
            self._board.limits.add(self)

    def charge(self, exchange: Exchange) -> Charge | None:
        account = self.find(exchange)
        if account is None:
            return None
        figures = account.figures
        return account.charge(figures.costs_s.get(exchange.request.method, figures.cost_s))

    def charge_of(self, principal: Principal) -> Charge | None:
        account = self._of(principal)
        return None if account is None else account.charge(0.0)

    def describe(self, charge: Charge, standing: float) -> dict[str, Any]:
        assert isinstance(charge, RateCharge), "made by charge_of"
        figures = charge.figures
        return {
            "rate_per_s": figures.rate_per_s,
            "burst": figures.burst,
            "left": figures.bucket.left(standing),
            "full_in_s": ceil(standing),
        }


def build(config: RateLimitConfig, scope: Scope) -> Gate:
    limit = RateLimit(config, scope)
    return LimitsGate([limit]) if limit.times is None else OneLimit(limit, limit.times)


class OneLimit(Counting):
    """The usual case, written out: about 1.1 µs with its header fields."""

    def __init__(self, limit: RateLimit, times: Times) -> None:
        self.limits = (limit,)
        self._limit = limit
        self._times = times
        self._find = limit.find
        self._now = times.now
        self._get = times.get
        self._set = times.set
        self._allowed = limit.allowed
        self._silent = limit.silent

    def alike(self, gates: Sequence[Counting]) -> Gate | None:
        return many(gates)

    def check(self, exchange: Exchange) -> Response | None:
        account = self._find(exchange)
        if account is None:
            self._allowed.value += 1
            return None
        figures = account.figures
        cost_s = figures.cost_s
        if figures.costs_s:
            cost_s = figures.costs_s.get(exchange.request.method, cost_s)
        now = self._now()
        debt = debt_after(self._get(account.key), cost_s, now)
        bucket = figures.bucket
        if debt > bucket.ceiling_s:
            return _refuse(exchange, [(self._limit, self._times, account, debt, cost_s)])
        self._set(account.key, now + debt, now)
        self._allowed.value += 1
        if not self._silent:
            told = figures.item % (bucket.left(debt), ceil(debt))
            exchange.response_headers += (figures.policy_field, (RATELIMIT, told))
        return None


def many(gates: Sequence[Counting]) -> Gate | None:
    """One quick gate for several, when all of them are rates in memory."""
    limits = [limit for gate in gates for limit in gate.limits]
    times = [(limit, limit.times) for limit in limits if isinstance(limit, RateLimit) and limit.times is not None]
    return ManyLimits(times) if len(times) == len(limits) else None


class ManyLimits(Counting):
    """Several limits of one slot, decided together."""

    def __init__(self, limits: Sequence[tuple[RateLimit, Times]]) -> None:
        self.limits = tuple(limit for limit, _ in limits)
        self._limits = tuple(limits)
        self._now = limits[0][1].now
        self._silent = limits[0][0].silent

    def alike(self, gates: Sequence[Counting]) -> Gate | None:
        return many(gates)

    def check(self, exchange: Exchange) -> Response | None:
        method = exchange.request.method
        now = self._now()
        charges: list[_Charge] = []
        refused = False
        for limit, times in self._limits:
            account = limit.find(exchange)
            if account is None:
                limit.allowed.value += 1
                continue
            figures = account.figures
            cost_s = figures.costs_s.get(method, figures.cost_s)
            debt = debt_after(times.get(account.key), cost_s, now)
            if debt > figures.bucket.ceiling_s:
                refused = True
            charges.append((limit, times, account, debt, cost_s))
        if refused:
            return _refuse(exchange, charges)
        if not charges:
            return None
        for limit, times, account, debt, _ in charges:
            limit.allowed.value += 1
            key, until = account.key, now + debt
            if limit.shares and (times.get(key) or 0.0) > until:
                continue  # another limit of this call took more from the same bucket: the call is paid once
            times.set(key, until, now)
        if not self._silent:
            announce(exchange, [_items(charge[2], charge[3]) for charge in charges])
        return None


_Charge = tuple[RateLimit, Times, Account, float, float]
"""A limit, where its buckets are, who pays, the debt after the call, and what the call adds to it; both in seconds."""


def _items(account: Account, debt: float) -> tuple[bytes, bytes]:
    figures = account.figures
    return figures.policy_item, figures.item % (figures.bucket.left(debt), ceil(debt))


def _refuse(exchange: Exchange, charges: Sequence[_Charge]) -> Response:
    """429. Nothing is taken, so each bucket is told as it stood before the call."""
    wait_s, label = 0, ""
    for limit, _, account, debt, _ in charges:
        bucket = account.figures.bucket
        if debt <= bucket.ceiling_s:
            limit.allowed.value += 1
            continue
        limit.refused.value += 1
        if bucket.wait_s(debt) > wait_s:  # the longest is the true one: what passes now passes then as well
            wait_s, label = bucket.wait_s(debt), limit.label
    if not charges[0][0].silent:
        announce(exchange, [_items(account, debt - cost_s) for _, _, account, debt, cost_s in charges])
    return refusal(exchange, "rate_limit", label, wait_s)
