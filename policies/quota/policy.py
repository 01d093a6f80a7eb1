"""Counts calls in calendar windows, gives back those that were not forwarded, and warns before the end. The calendar is core.py's."""

from __future__ import annotations

import logging
from typing import Any

from gateway.api.exchange import Exchange, Principal
from gateway.api.limits.board import Board
from gateway.api.limits.gate import LimitsGate
from gateway.api.limits.limit import Charge, Limit
from gateway.api.limits.place import NAMESPACE, pot_of
from gateway.api.policy import Gate
from gateway.api.ports import Scope
from policies.quota.accounts import Accounts, QuotaCharge
from policies.quota.blocks import Blocks, blocks_of
from policies.quota.config import QuotaConfig

log = logging.getLogger("sluicegate.quota")

WARNED_KEPT = 10_000  # keys that were warned of; a key is of one window


class Quota(Limit):
    """One quota of a route."""

    policy = "quota"

    def __init__(self, config: QuotaConfig, scope: Scope) -> None:
        place = scope.shared(NAMESPACE)
        store = place.store(config.store, durable=True)
        accounts = Accounts(config, scope, store)
        self.label = accounts.label
        self.pot = blocks_of(place, store) if store.waits_for_disk else pot_of(place, store)
        self.allowed = scope.tally("allow")
        self.refused = scope.tally("refuse")
        self.silent = scope.shadow
        self.after = self._after
        self._find = accounts.finder()
        self._of = accounts.of
        self._forwarded_only = config.count == "forwarded"
        self._warn = config.warn
        self._per = config.per
        self._warned: dict[str, None] = {}
        self._warnings = scope.counter("quota_warnings_total", scope.route, self.label)
        self._board = place.state("board", Board)
        if not scope.shadow:
            self._board.limits.add(self)

    def charge(self, exchange: Exchange) -> Charge | None:
        account = self._find(exchange)
        return None if account is None else account.charge()

    def charge_of(self, principal: Principal) -> Charge | None:
        account = self._of(principal)
        return None if account is None else account.charge()

    def describe(self, charge: Charge, standing: float) -> dict[str, Any]:
        assert isinstance(charge, QuotaCharge), "made by charge_of"
        in_hand = self.pot.in_hand(charge.amount.key) if isinstance(self.pot, Blocks) else 0
        return {
            "quota": charge.limit,
            "window": charge.unit,
            "left": charge.left(standing - in_hand),
            "in_hand": in_hand,
            "ends_in_s": charge.ends_in_s(),
        }

    def _after(self, exchange: Exchange, charge: Charge, standing: float) -> None:
        assert isinstance(charge, QuotaCharge), "made by charge"
        if standing >= self._warn * charge.amount.bound and charge.amount.key not in self._warned:
            self._say(charge, standing)
        if self._forwarded_only:
            exchange.on_close(lambda: exchange.sent or self.pot.give_back((charge.amount,)))

    def _say(self, charge: QuotaCharge, standing: float) -> None:
        """Once a caller and window in each process; where the count is exact, only in the one that crossed the line."""
        warned = self._warned
        warned[charge.amount.key] = None
        if len(warned) > WARNED_KEPT:
            del warned[next(iter(warned))]
        if self.pot.exact and standing - charge.amount.cost >= self._warn * charge.amount.bound:
            return
        self._warnings.value += 1
        # what a caller wrote into a field or a claim is not repeated
        who = charge.caller if self._per in ("consumer", "ip") else f"a caller by its {self._per.partition(':')[0]}"
        log.warning(
            "%s has used %d of %d calls of the %s of '%s'",
            who, standing, charge.amount.bound, charge.unit, self.label,
        )  # fmt: skip


def build(config: QuotaConfig, scope: Scope) -> Gate:
    return LimitsGate([Quota(config, scope)])
