"""One limit as a gate sees it: who pays how much, and how that is told. Takes nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from gateway.api.errors import StoreError
from gateway.api.exchange import Exchange, Principal
from gateway.api.limits.board import Shown
from gateway.api.limits.operations import Amount, Take
from gateway.api.limits.pots import Pot
from gateway.api.ports import Tally


class Charge(ABC):
    """What one limit asks of one call."""

    __slots__ = ("amount", "policy_item", "take")

    def __init__(self, amount: Amount, policy_item: bytes) -> None:
        self.amount = amount
        self.take = Take((amount,))  # where it is the only charge
        self.policy_item = policy_item  # of RateLimit-Policy

    @abstractmethod
    def item(self, standing: float) -> bytes:
        """Of RateLimit; `standing` as in Taken."""

    @abstractmethod
    def wait_s(self, standing: float) -> int:
        """Whole seconds after which the call passes, if nobody else takes; 0: this limit does not refuse it."""


class Limit(Shown):
    """One limit of a route."""

    policy: str  # the prefix of reason codes
    label: str  # what callers know it as
    pot: Pot
    allowed: Tally
    refused: Tally
    silent: bool  # in shadow: no header fields
    after: Callable[[Exchange, Charge, float], None] | None = None
    """Called when a call passed all limits of its slot, with its charge and standing."""

    @abstractmethod
    def charge(self, exchange: Exchange) -> Charge | None:
        """None where no limit applies."""

    @abstractmethod
    def charge_of(self, principal: Principal) -> Charge | None:
        """The charge of one who is not calling now; None where callers are not told apart by principal."""

    @abstractmethod
    def describe(self, charge: Charge, standing: float) -> dict[str, Any]:
        """How a caller stands, for operators. `standing` as in Taken, of a call that costs nothing."""

    async def show(self, principal: Principal, *, reset: bool) -> dict[str, Any] | None:
        charge = self.charge_of(principal)
        if charge is None:
            return None
        key = charge.amount.key
        entry: dict[str, Any] = {"key": key, "policy": self.policy, "limit": self.label, "shared": self.pot.asks}
        try:
            if reset:
                await self.pot.forget([key])
            taken = await self.pot.look([charge.amount])
        except StoreError:
            return entry | {"unknown": "the store is away"}
        return entry | self.describe(charge, taken.standing[0])
