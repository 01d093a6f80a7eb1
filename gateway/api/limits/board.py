"""All limits of a process, for operators: how a consumer stands, and beginning anew. Never on the path of a request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Any
from weakref import WeakSet

from gateway.api.consumers import Consumer
from gateway.api.exchange import Principal
from gateway.api.orders import ShowLimits


class Shown(ABC):
    """A limit that operators can look at and reset."""

    @abstractmethod
    async def show(self, principal: Principal, *, reset: bool) -> dict[str, Any] | None:
        """How it stands with `principal`, after it began anew with `reset`; None where it is not theirs.

        `key` is where it is counted: entries with the same key are one.
        """


class Board:
    """Lasting state that carries out ShowLimits (gateway.api.ports.Ordered)."""

    def __init__(self) -> None:
        self.limits: WeakSet[Shown] = WeakSet()

    def carry_out(self, order: object) -> Awaitable[list[dict[str, Any]]] | None:
        return self._show(order) if isinstance(order, ShowLimits) else None

    async def _show(self, order: ShowLimits) -> list[dict[str, Any]]:
        entries: dict[str, dict[str, Any]] = {}
        for limit in list(self.limits):
            entry = await limit.show(principal_of(order.consumer), reset=order.reset)
            if entry is not None:
                entries[entry["key"]] = entry
        return list(entries.values())


def principal_of(consumer: Consumer) -> Principal:
    """The consumer as an authenticator would name it."""
    return Principal(f"consumer:{consumer.name}", consumer, tier=consumer.tier, limits=consumer.limits)
