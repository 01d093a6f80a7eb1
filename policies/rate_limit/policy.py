"""Takes tokens for a call, or refuses it with 429; and tells callers what is left. The arithmetic is core.py's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from gateway.api.exchange import Exchange
from gateway.api.messages import Response
from gateway.api.policy import Gate
from gateway.api.ports import LocalStore, Scope, Tally, Times
from gateway.api.problem import problem
from policies.rate_limit.accounts import Account, Accounts, Figures, Find
from policies.rate_limit.config import RateLimitConfig
from policies.rate_limit.core import debt_after

RATELIMIT = b"ratelimit"
POLICY_FIELD = b"ratelimit-policy"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a route."""

    label: str
    find: Find
    times: Times
    allowed: Tally
    refused: Tally
    shares: bool  # its buckets are those of tiers, which other limits may take from
    silent: bool  # in shadow: no header fields


def build(config: RateLimitConfig, scope: Scope) -> Gate:
    store = scope.store(config.store)
    if not isinstance(store, LocalStore):
        raise ValueError(
            "rate_limit keeps its buckets in memory in this version; leave `store` out or name a memory store"
        )
    accounts = Accounts(config, scope, store)
    return OneLimit(
        Limit(
            accounts.label,
            accounts.finder(),
            store.times,
            scope.tally("allow"),
            scope.tally("refuse"),
            config.rate is None,
            scope.shadow,
        )
    )


def merge(gates: Sequence[Gate]) -> Gate:
    """One gate for several: all must pass, and a call that one refuses takes nothing from the others."""
    limits: list[Limit] = []
    for gate in gates:
        assert isinstance(gate, OneLimit | ManyLimits), "merge is given what build returned"
        limits += gate.limits
    return ManyLimits(tuple(limits))


class OneLimit(Gate):
    """The usual case, written out: about 1.1 µs with its header fields."""

    def __init__(self, limit: Limit) -> None:
        self.limits = (limit,)
        self._find = limit.find
        self._now = limit.times.now
        self._get = limit.times.get
        self._set = limit.times.set
        self._allowed = limit.allowed
        self._silent = limit.silent

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
            return _refuse(exchange, [(self.limits[0], account, debt, cost_s)])
        self._set(account.key, now + debt, now)
        self._allowed.value += 1
        if not self._silent:
            told = figures.item % (bucket.left(debt), ceil(debt))
            exchange.response_headers += (figures.policy_field, (RATELIMIT, told))
        return None


class ManyLimits(Gate):
    """Several limits of one slot, decided together."""

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self.limits = limits
        self._now = limits[0].times.now
        self._silent = limits[0].silent

    def check(self, exchange: Exchange) -> Response | None:
        method = exchange.request.method
        now = self._now()
        charges: list[Charge] = []
        refused = False
        for limit in self.limits:
            account = limit.find(exchange)
            if account is None:
                limit.allowed.value += 1
                continue
            figures = account.figures
            cost_s = figures.costs_s.get(method, figures.cost_s)
            debt = debt_after(limit.times.get(account.key), cost_s, now)
            if debt > figures.bucket.ceiling_s:
                refused = True
            charges.append((limit, account, debt, cost_s))
        if refused:
            return _refuse(exchange, charges)
        if not charges:
            return None
        for limit, account, debt, _ in charges:
            limit.allowed.value += 1
            times, key, until = limit.times, account.key, now + debt
            if limit.shares and (times.get(key) or 0.0) > until:
                continue  # another limit of this call took more from the same bucket: the call is paid once
            times.set(key, until, now)
        if not self._silent:
            _announce(exchange, [(charge[1].figures, charge[2]) for charge in charges])
        return None


Charge = tuple[Limit, Account, float, float]
"""A limit, who pays, the debt after the call, and what the call adds to it; both in seconds."""


def _announce(exchange: Exchange, standing: Sequence[tuple[Figures, float]]) -> None:
    """One field each, one item a limit: its figures with the debt of the caller's bucket."""
    policies, items = [], []
    for figures, debt in standing:
        policies.append(figures.policy_item)
        items.append(figures.item % (figures.bucket.left(debt), ceil(debt)))
    exchange.response_headers += ((POLICY_FIELD, b", ".join(policies)), (RATELIMIT, b", ".join(items)))


def _refuse(exchange: Exchange, charges: Sequence[Charge]) -> Response:
    """429. Nothing is taken, so each bucket is told as it stood before the call."""
    wait_s, label = 0, ""
    for limit, account, debt, _ in charges:
        bucket = account.figures.bucket
        if debt <= bucket.ceiling_s:
            limit.allowed.value += 1
            continue
        limit.refused.value += 1
        if bucket.wait_s(debt) > wait_s:  # the longest is the true one: what passes now passes then as well
            wait_s, label = bucket.wait_s(debt), limit.label
    if not charges[0][0].silent:
        _announce(exchange, [(account.figures, debt - cost_s) for _, account, debt, cost_s in charges])
    return problem(
        exchange,
        429,
        "rate_limit.exceeded",
        f"The limit '{label}' is used up; try again in {wait_s} s.",
        ((b"retry-after", b"%d" % wait_s),),
    )
