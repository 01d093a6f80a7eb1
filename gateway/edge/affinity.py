"""What calls have in common that shall go to the same target, for upstreams that balance by hash. Knows no target."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from gateway.api.exchange import Exchange
from gateway.api.settings.upstream import HashBalance

Affinity: TypeAlias = Callable[[Exchange], bytes | None]
"""The value that is hashed; None where a call has none, and any target will do."""


def of_balance(balance: str | HashBalance) -> Affinity | None:
    """How `balance` reads it; None where it does not balance by hash."""
    if not isinstance(balance, HashBalance):
        return None
    kind, _, name = balance.hash.partition(":")
    if kind == "header":
        field = name.lower().encode("ascii")
        return lambda exchange: exchange.request.headers.get(field)
    return _principal if kind == "consumer" else _address


def _principal(exchange: Exchange) -> bytes | None:
    return None if exchange.principal is None else exchange.principal.key.encode()


def _address(exchange: Exchange) -> bytes | None:
    return exchange.request.client.encode() or None  # "" on a Unix socket
