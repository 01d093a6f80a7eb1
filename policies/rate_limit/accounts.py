"""Who pays for a call, and out of which bucket. Counts nothing.

Resolving a caller costs a few µs (joining keys, encoding header fields), so accounts are kept, by what identifies the
caller in the request: a known caller costs one look-up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from math import ceil

from gateway.api.addresses import caller_network
from gateway.api.callers import key_of, scope_parts, value_of
from gateway.api.consumers import Limits
from gateway.api.exchange import Exchange, Principal
from gateway.api.limits.bucket import Bucket
from gateway.api.limits.fields import quoted
from gateway.api.limits.limit import Charge
from gateway.api.limits.operations import Amount, Away
from gateway.api.messages import Field
from gateway.api.policy import Level
from gateway.api.ports import Scope, Store, is_local
from policies.rate_limit.config import RateLimitConfig, burst_of

KEPT = 32768  # accounts of all limits of a process, about 13 MiB; then the oldest go
_FIGURES_KEPT = 1024  # figures of one limit: as many as there are tiers, and consumers with their own


class Figures:
    """A rate and a burst, as this process applies and announces them."""

    __slots__ = ("away", "bucket", "burst", "cost_s", "costs_s", "item", "policy_field", "policy_item", "rate_per_s")

    def __init__(self, label: str, rate_per_s: float, burst: float, config: RateLimitConfig, workers: int) -> None:
        self.bucket = Bucket.of(rate_per_s, burst, share=workers, highest_cost=config.highest_cost)
        interval_s = self.bucket.interval_s
        costs: Mapping[str, int] = config.cost if isinstance(config.cost, Mapping) else {}
        self.costs_s = {method: cost * interval_s for method, cost in costs.items()}
        self.cost_s = (1 if isinstance(config.cost, Mapping) else config.cost) * interval_s
        # q and w are those of the whole gateway, whatever this process's share
        self.policy_item = quoted(label) + b";q=%d;w=%d" % (max(1, int(burst)), ceil(burst / rate_per_s))
        self.policy_field: Field = (b"ratelimit-policy", self.policy_item)
        self.item = quoted(label).replace(b"%", b"%%") + b";r=%d;t=%d"
        self.rate_per_s = rate_per_s
        self.burst = burst
        self.away: Away = config.on_store_error


class RateCharge(Charge):
    """What a call takes from a bucket."""

    __slots__ = ("figures",)

    def __init__(self, key: str, figures: Figures, cost_s: float) -> None:
        super().__init__(Amount(key, b"rate", cost_s, figures.bucket.ceiling_s, 0.0, figures.away), figures.policy_item)
        self.figures = figures

    def item(self, standing: float) -> bytes:
        return self.figures.item % (self.figures.bucket.left(standing), max(0, ceil(standing)))

    def wait_s(self, standing: float) -> int:
        bucket = self.figures.bucket
        return bucket.wait_s(standing) if self.amount.cost and standing > bucket.ceiling_s else 0


class Account:
    """One caller's bucket."""

    __slots__ = ("charges", "figures", "key", "owner")

    def __init__(self, key: str, figures: Figures, owner: object = None) -> None:
        self.key = key
        self.figures = figures
        self.owner = owner  # whose limits the figures were made from, where those may change
        self.charges: dict[float, RateCharge] | None = None  # by cost, where a store is asked with them

    def charge(self, cost_s: float) -> RateCharge:
        if self.charges is None:
            self.charges = {}
        made = self.charges.get(cost_s)
        if made is None:
            made = self.charges[cost_s] = RateCharge(self.key, self.figures, cost_s)
        return made


Known = dict[str | bytes, Account]


class Shelf:
    """Bounds the accounts that all limits of a process keep: first in, first out, one at a time."""

    def __init__(self) -> None:
        self._order: deque[tuple[Known, str | bytes]] = deque()

    def put(self, known: Known, caller: str | bytes, account: Account) -> None:
        known[caller] = account
        self._order.append((known, caller))
        if len(self._order) > KEPT:
            oldest, gone = self._order.popleft()
            oldest.pop(gone, None)


Find = Callable[[Exchange], Account | None]
"""The account that pays for an exchange; None where no limit applies."""


def label_of(config: RateLimitConfig, scope: Scope) -> str:
    """What the limit is called in header fields."""
    name = config.name or config.per
    return f"global-{name}" if scope.level is Level.GLOBAL else name


class Accounts:
    """The accounts of one limit."""

    def __init__(self, config: RateLimitConfig, scope: Scope, store: Store) -> None:
        self.label = label_of(config, scope)
        self._config = config
        self._workers = max(1, scope.workers) if is_local(store) else 1
        self._route = scope.route
        self._known: Known = {}
        self._shelf = scope.state("accounts", Shelf)
        self._made: dict[tuple[float, float], Figures] = {}
        store = store.within("rate")
        if scope.shadow:
            store = store.within("shadow")  # decides beside the enforced limits, never with their tokens
        self._tier_store = store.within("tier")
        self._route_store = store.within("route", scope.route, self.label, config.per)
        self._store = store.within(*scope_parts(config.scope, scope), self.label, config.per)
        self._figures = (
            None
            if config.rate is None
            else self._make_figures(config.rate.per_second, burst_of(config.rate, config.burst))
        )

    def finder(self) -> Find:
        per = self._config.per
        if per == "consumer":
            return self._of_consumer
        figures = self._figures
        assert figures is not None, "the model demands a rate for everything but consumers"
        if per == "route":
            account = Account(self._store.full_key(""), figures)
            return lambda exchange: account
        return self._by_value(figures, value_of(per), key_of(per))

    def of(self, principal: Principal) -> Account | None:
        """The account of a consumer who is not calling now; None where callers are told apart by something else."""
        return self._resolve(principal) if self._config.per == "consumer" else None

    def _make_figures(self, rate_per_s: float, burst: float) -> Figures:
        made = self._made.get((rate_per_s, burst))
        if made is None:
            if len(self._made) >= _FIGURES_KEPT:
                self._made.clear()
            made = Figures(self.label, rate_per_s, burst, self._config, self._workers)
            self._made[(rate_per_s, burst)] = made
        return made

    def _by_value(
        self, figures: Figures, value_of: Callable[[Exchange], str | bytes], key_of: Callable[[str | bytes], str]
    ) -> Find:
        known = self._known

        def find(exchange: Exchange) -> Account | None:
            value = value_of(exchange)
            account = known.get(value)
            if account is None:
                account = Account(self._store.full_key(key_of(value)), figures)
                self._shelf.put(known, value, account)
            return account

        return find

    def _of_consumer(self, exchange: Exchange) -> Account | None:
        principal = exchange.principal
        if principal is None:
            # only where an authenticator in shadow let somebody pass: each address is one caller
            if self._figures is None:
                return None
            key = self._store.full_key("anonymous:" + caller_network(exchange.request.client))
            return Account(key, self._figures)
        account = self._known.get(principal.key)
        if account is None or account.owner is not (principal.consumer or principal.limits):
            return self._resolve(principal)
        return account

    def _resolve(self, principal: Principal) -> Account | None:
        """The most particular figures win: the consumer's for this route, the route's own, the consumer's or its tier's."""
        consumer, key = principal.consumer, principal.key
        own = None if consumer is None else consumer.route_limits.get(self._route)
        if own is not None and own.rate is not None:
            account = Account(self._route_store.full_key(key), self._of_limits(own), consumer)
        elif self._figures is not None:
            account = Account(self._store.full_key(key), self._figures, consumer or principal.limits)
        elif principal.limits.rate is not None:
            figures = self._of_limits(principal.limits)
            account = Account(self._tier_store.full_key(key), figures, consumer or principal.limits)
        else:
            return None
        self._shelf.put(self._known, key, account)
        return account

    def _of_limits(self, limits: Limits) -> Figures:
        assert limits.rate is not None, "asked for with a rate only"
        return self._make_figures(limits.rate.per_second, burst_of(limits.rate, limits.burst))
