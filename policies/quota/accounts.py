"""Who pays for a call, and out of which window's count. Counts nothing."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from zoneinfo import ZoneInfo

from gateway.api.addresses import caller_network
from gateway.api.callers import key_of, scope_parts, value_of
from gateway.api.exchange import Exchange, Principal
from gateway.api.limits.fields import quoted
from gateway.api.limits.limit import Charge
from gateway.api.limits.operations import Amount
from gateway.api.policy import Level
from gateway.api.ports import Scope, Store, is_local
from policies.quota.config import QuotaConfig
from policies.quota.core import Window, window_of

KEPT = 32768  # accounts of one quota; then the oldest go, and are made anew when they call again
GRACE_S = 60.0  # a count outlives its window by this: clocks of other processes may be late

Figure = tuple[int, str]
"""Most calls, and the window: hour, day, week or month."""


class QuotaCharge(Charge):
    """One call out of one window."""

    __slots__ = ("_item", "_now", "caller", "limit", "unit", "window")

    def __init__(
        self, label: str, figure: Figure, window: Window, amount: Amount, caller: str, account: Account
    ) -> None:
        self.limit, self.unit = figure
        super().__init__(amount, quoted(label) + b";q=%d;w=%d" % (self.limit, ceil(window.ends - window.starts)))
        self.window = window
        self.caller = caller
        self._item = quoted(label).replace(b"%", b"%%") + b";r=%d;t=%d"
        self._now = account.now

    def item(self, standing: float) -> bytes:
        return self._item % (self.left(standing), self.ends_in_s())

    def wait_s(self, standing: float) -> int:
        return self.ends_in_s() if standing + self.amount.cost > self.amount.bound else 0

    def left(self, standing: float) -> int:
        return max(0, int(self.amount.bound - standing))

    def ends_in_s(self) -> int:
        return max(1, ceil(self.window.ends - self._now()))


class Account:
    """One caller's count. Its charge is made anew with each window."""

    __slots__ = ("_charge", "_make", "now", "owner")

    def __init__(self, make: Callable[[Account, float], QuotaCharge], now: Callable[[], float], owner: object) -> None:
        self._make = make
        self.now = now
        self.owner = owner  # whose figures they are, where those may change
        self._charge: QuotaCharge | None = None

    def charge(self) -> QuotaCharge:
        charge, now = self._charge, self.now()
        if charge is None or not charge.window.starts <= now < charge.window.ends:
            charge = self._charge = self._make(self, now)
        return charge


class Accounts:
    """The accounts of one quota."""

    def __init__(self, config: QuotaConfig, scope: Scope, store: Store) -> None:
        name = f"{config.name or config.per}-quota"
        self.label = f"global-{name}" if scope.level is Level.GLOBAL else name
        self._config = config
        self._zone = ZoneInfo(config.timezone)
        self._now = scope.clock.time
        self._workers = max(1, scope.workers) if is_local(store) else 1
        self._route = scope.route
        self._store = store.within("quota", "shadow") if scope.shadow else store.within("quota")
        self._parts = (*scope_parts(config.scope, scope), self.label, config.per)
        self._known: dict[str | bytes, Account] = {}

    def finder(self) -> Callable[[Exchange], Account | None]:
        per = self._config.per
        if per == "consumer":
            return self._of_consumer
        value, key = value_of(per), key_of(per)

        def find(exchange: Exchange) -> Account | None:
            told_by = value(exchange)
            account = self._known.get(told_by)
            if account is None:
                assert self._config.limit is not None, "the model demands it for everything but consumers"
                account = self._keep(told_by, self._account(self._parts, key(told_by), self._config.limit))
            return account

        return find

    def of(self, principal: Principal) -> Account | None:
        """The account of a consumer; None where callers are told apart by something else, or no quota applies.

        The most particular figure wins: the consumer's for this route, the route's own, the consumer's or its tier's.
        """
        if self._config.per != "consumer":
            return None
        consumer, owner = principal.consumer, principal.consumer or principal.limits
        own = None if consumer is None else consumer.route_limits.get(self._route)
        if own is not None and own.quota is not None:
            return self._account(("route", self._route, self.label), principal.key, own.quota, owner)
        if self._config.limit is not None:
            return self._account(self._parts, principal.key, self._config.limit, owner)
        if principal.limits.quota is not None:
            return self._account(("tier",), principal.key, principal.limits.quota, owner)
        return None

    def _of_consumer(self, exchange: Exchange) -> Account | None:
        principal = exchange.principal
        if principal is None:
            # only where an authenticator in shadow let somebody pass: each address is one caller
            if self._config.limit is None:
                return None
            caller = "anonymous:" + caller_network(exchange.request.client)
            return self._known.get(caller) or self._keep(caller, self._account(self._parts, caller, self._config.limit))
        account = self._known.get(principal.key)
        if account is None or account.owner is not (principal.consumer or principal.limits):
            made = self.of(principal)
            return None if made is None else self._keep(principal.key, made)
        return account

    def _keep(self, told_by: str | bytes, account: Account) -> Account:
        known = self._known
        known[told_by] = account
        if len(known) > KEPT:
            del known[next(iter(known))]
        return account

    def _account(self, parts: tuple[str, ...], caller: str, figure: Figure, owner: object = None) -> Account:
        limit, unit = figure
        zone, workers, config = self._zone, self._workers, self._config

        def make(account: Account, now: float) -> QuotaCharge:
            window = window_of(unit, zone, now)
            key = self._store.within(*parts, unit, config.timezone, window.name).full_key(caller)
            bound = max(1, limit // workers)
            amount = Amount(key, b"window", 1, bound, window.ends - now + GRACE_S, config.on_store_error)
            return QuotaCharge(self.label, figure, window, amount, caller, account)

        return Account(make, self._now, owner)
