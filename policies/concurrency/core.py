"""Whose places a call takes, and how many there are. Holds nothing."""

from __future__ import annotations

from collections.abc import Callable

from gateway.api.addresses import caller_network
from gateway.api.callers import key_of, value_of
from gateway.api.exchange import Exchange, Principal
from policies.concurrency.config import ConcurrencyConfig

Key = tuple[str, ...]
Place = tuple[Key, int]
"""Whose places, and how many there are for the machine."""

Find = Callable[[Exchange], Place | None]
"""None where no limit applies."""


def finder(config: ConcurrencyConfig, route: str, parts: Key) -> Find:
    """`parts` name what the configuration's own figure counts in."""
    per, most = config.per, config.max
    if per == "consumer":
        return lambda exchange: _of_consumer(exchange, route, parts, most)
    assert most is not None, "the model demands it for everything but consumers"
    value, key = value_of(per), key_of(per)
    return lambda exchange: ((*parts, key(value(exchange))), most)


def consumer_finder(config: ConcurrencyConfig, route: str, parts: Key) -> Callable[[Principal], Place | None]:
    """The same for a consumer who is not calling now; None where callers are told apart by something else."""
    if config.per != "consumer":
        return lambda principal: None
    return lambda principal: _of_principal(principal, route, parts, config.max)


def _of_consumer(exchange: Exchange, route: str, parts: Key, most: int | None) -> Place | None:
    principal = exchange.principal
    if principal is None:
        # only where an authenticator in shadow let somebody pass: each address is one caller
        return None if most is None else ((*parts, "anonymous:" + caller_network(exchange.request.client)), most)
    return _of_principal(principal, route, parts, most)


def _of_principal(principal: Principal, route: str, parts: Key, most: int | None) -> Place | None:
    """The most particular figure wins: the consumer's for this route, the route's own, the consumer's or its tier's."""
    own = None if principal.consumer is None else principal.consumer.route_limits.get(route)
    if own is not None and own.concurrency is not None:
        return ("own", route, principal.key), own.concurrency
    if most is not None:
        return (*parts, principal.key), most
    if principal.limits.concurrency is not None:
        return ("tier", principal.key), principal.limits.concurrency
    return None
