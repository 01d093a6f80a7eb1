"""What a known consumer may do, however it was identified: from which addresses, and with which role.

Authenticators call `Access.check` from `authorize`, so that RBAC and address lists hold for tokens, keys and
certificates alike. `ConsumerAuthenticator` is what keys and certificates have in common. Knows no form of credential.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache

from gateway.api.addresses import AddressSet
from gateway.api.consumers import Consumer
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Response
from gateway.api.policy import Authenticator
from gateway.api.ports import Scope, Tally
from gateway.api.problem import problem

Grants = Mapping[str, frozenset[str] | None]
"""What the table `roles:` says of one route: role -> methods, None for all; empty when it does not name the route."""

_NOBODY: frozenset[str] = frozenset()
_PRINCIPALS = 4096  # remembered principals: making one costs more than finding its consumer


class Access:
    """The checks of one route. `challenge` goes out as WWW-Authenticate with a refusal, which `forbidden` counts."""

    def __init__(self, grants: Grants, challenge: bytes, forbidden: Tally) -> None:
        # RFC 9110 §9.3.2: HEAD asks for what GET asks for, as in `match`
        self._grants = {
            role: methods | {"HEAD"} if methods is not None and "GET" in methods else methods
            for role, methods in grants.items()
        }
        self._forbidden = forbidden
        self._fields = ((b"www-authenticate", challenge),)

    def check(self, exchange: Exchange, principal: Principal, token_roles: frozenset[str] = _NOBODY) -> Response | None:
        """403 when the consumer's addresses or the route's roles say no. `token_roles` come from its token."""
        consumer = principal.consumer
        if (
            consumer is not None
            and consumer.ip_allow
            and not _networks(consumer.ip_allow).holds(exchange.request.client)
        ):
            self._forbidden.value += 1
            detail = "This consumer may not call from this address; ask the operators to allow it."
            return problem(exchange, 403, "consumer.address", detail, self._fields)
        if self._grants:
            roles = token_roles if consumer is None else token_roles | consumer.roles
            if not self._grants_method(roles, exchange.request.method):
                self._forbidden.value += 1
                return problem(
                    exchange,
                    403,
                    "consumer.role",
                    "No role of the caller allows this call; ask the operators for one that does.",
                    self._fields,
                )
        return None

    def _grants_method(self, roles: frozenset[str], method: str) -> bool:
        for role in roles:
            if role in self._grants:
                methods = self._grants[role]
                if methods is None or method in methods:
                    return True
        return False


class ConsumerAuthenticator(Authenticator):
    """Finds a consumer in the snapshot's table, at once; what the consumer may do is all that its credentials may do."""

    def __init__(self, scope: Scope, challenge: bytes) -> None:
        # RFC 9110 §11.6.1: a 401 carries a challenge
        self._fields = ((b"www-authenticate", challenge),)
        self._clock = scope.clock
        self._allowed = scope.tally("allow")
        self._refused = scope.tally("refuse")
        self._access = Access(scope.grants(), challenge, scope.tally("forbid"))
        self._principals: dict[Hashable, Principal] = {}

    async def identify(self, exchange: Exchange) -> Principal | Response:
        answer = self.identify_nowait(exchange)
        assert answer is not None, "it is always decided from memory"
        return answer

    def authorize(self, exchange: Exchange, principal: Principal) -> Response | None:
        return self._access.check(exchange, principal)

    def believe(self, consumer: Consumer, identity: Hashable, expires: float | None = None) -> Principal:
        """The consumer as principal; `identity` tells apart what may `expire` (Unix seconds) at different times."""
        self._allowed.value += 1
        principal = self._principals.get(identity)
        if principal is None or principal.consumer is not consumer:
            if len(self._principals) >= _PRINCIPALS:
                self._principals.clear()
            principal = self._principals[identity] = Principal(
                f"consumer:{consumer.name}", consumer, tier=consumer.tier, limits=consumer.limits, expires=expires
            )
        return principal

    def refuse(self, exchange: Exchange, status: int, code: str, detail: str) -> Response:
        self._refused.value += 1
        return problem(exchange, status, code, detail, self._fields)


_networks = lru_cache(maxsize=4096)(AddressSet)
