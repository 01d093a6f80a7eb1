"""Whom a limit counts: what `per` and `scope` mean, as parts of a store's key. Counts nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.api.addresses import caller_network
from gateway.api.exchange import Exchange, Principal
from gateway.api.placeholder import as_text, find_claim
from gateway.api.policy import Level

if TYPE_CHECKING:
    from gateway.api.ports import Scope

PER = r"^(consumer|ip|route|header:[!#$%&'*+.^_`|~0-9A-Za-z-]+|claim:[!#-\[\]-~]+)$"  # goes into a quoted sf-string
_LONGEST = 96  # characters of a caller's own value in a key; longer ones are hashed


def needs_caller(per: str) -> bool:
    """Whether somebody must have been authenticated before `per` means anything."""
    return per == "consumer" or per.startswith("claim:")


def value_of(per: str) -> Callable[[Exchange], str | bytes]:
    """What in a request tells callers apart under `per` (not of consumers: those are principals)."""
    kind, _, name = per.partition(":")
    if kind == "ip":
        return lambda exchange: exchange.request.client
    if kind == "header":
        field = name.lower().encode()
        return lambda exchange: exchange.request.headers.get(field) or b""
    if kind == "claim":
        return lambda exchange: claim_value(exchange.principal, name)
    return lambda exchange: ""


def key_of(per: str) -> Callable[[str | bytes], str]:
    """What value_of() gave, as a key."""
    return caller_network if per == "ip" else plain_key


def claim_value(principal: Principal | None, name: str) -> str:
    """The claim, with the issuer that vouches for it; callers without it are one."""
    return "" if principal is None else f"{principal.issuer}:{as_text(find_claim(principal.claims, name))}"


def plain_key(value: str | bytes) -> str:
    octets = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    if len(octets) > _LONGEST:
        return "#" + hashlib.sha256(octets).hexdigest()
    return octets.decode("latin-1")


def scope_parts(written: str | None, scope: Scope) -> tuple[str, ...]:
    """`scope: route|upstream|gateway`; the route's when left out, under `global` the gateway's."""
    match written or ("gateway" if scope.level is Level.GLOBAL else "route"):
        case "route":
            return ("route", scope.route)
        case "upstream":
            return ("upstream", scope.upstream)
        case _:
            return ("gateway",)
