"""What a known consumer may do, however it was identified: from which addresses, and with which role.

Authenticators call `Access.check` from `authorize`, so that RBAC and address lists hold for tokens, keys and
certificates alike. Knows nothing of credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from gateway.api.addresses import AddressSet, parse_address
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Response
from gateway.api.problem import problem

Grants = Mapping[str, frozenset[str] | None]
"""What the table `roles:` says of one route: role -> methods, None for all; empty when it does not name the route."""

_NOBODY: frozenset[str] = frozenset()


class Access:
    """The checks of one route. `challenge` goes out as WWW-Authenticate with a refusal."""

    def __init__(self, grants: Grants, challenge: bytes) -> None:
        self._grants = grants
        self._fields = ((b"www-authenticate", challenge),)

    def check(self, exchange: Exchange, principal: Principal, token_roles: frozenset[str] = _NOBODY) -> Response | None:
        """403 when the consumer's addresses or the route's roles say no. `token_roles` come from its token."""
        consumer = principal.consumer
        if consumer is not None and consumer.ip_allow and not admits(consumer.ip_allow, exchange.request.client):
            return problem(
                exchange, 403, "consumer.address", "This consumer may not call from this address.", self._fields
            )
        if self._grants:
            roles = token_roles if consumer is None else token_roles | consumer.roles
            if not self._grants_method(roles, exchange.request.method):
                return problem(exchange, 403, "consumer.role", "No role of the caller allows this call.", self._fields)
        return None

    def _grants_method(self, roles: frozenset[str], method: str) -> bool:
        for role in roles:
            if role in self._grants:
                methods = self._grants[role]
                if methods is None or method in methods:
                    return True
        return False


def admits(networks: tuple[str, ...], client: str) -> bool:
    """Whether an address lies in one of the networks. No address (a Unix socket) lies in none."""
    address = parse_address(client)
    return address is not None and address in _compiled(networks)


_compiled = lru_cache(maxsize=4096)(AddressSet)
