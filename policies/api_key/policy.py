"""Identifies a caller by an API key. Finds the key in the snapshot's table of consumers; waits for nothing."""

from __future__ import annotations

from gateway.api.access import Access
from gateway.api.consumers import Consumer, KeyEntry
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Response
from gateway.api.policy import Authenticator
from gateway.api.ports import Scope
from gateway.api.problem import problem
from policies.api_key.config import ApiKeyBlock
from policies.api_key.core import Verdict, look_up
from policies.api_key.last_uses import KeyUses

# RFC 9110 §11.6.1: a 401 carries a challenge. No scheme is registered for keys in a header; this is the customary name.
CHALLENGE = b'ApiKey realm="sluicegate"'
_FIELDS = ((b"www-authenticate", CHALLENGE),)
_PRINCIPALS = 4096  # remembered principals: making one costs more than finding its key


class ApiKey(Authenticator):
    def __init__(self, config: ApiKeyBlock, scope: Scope) -> None:
        self._header = config.header.lower().encode("ascii")
        self._forward = config.forward
        self._clock = scope.clock
        self._access = Access(scope.grants(), CHALLENGE)
        self._allowed = scope.tally("allow")
        self._refused = scope.tally("refuse")
        self._forbidden = scope.tally("forbid")
        self._uses = scope.state("uses", KeyUses)
        self._used = self._uses.at
        self._principals: dict[str, Principal] = {}

    def presented(self, exchange: Exchange) -> bool:
        return exchange.request.headers.get(self._header) is not None

    def identify_nowait(self, exchange: Exchange) -> Principal | Response | None:
        header = self._header
        keys = [value for name, value in exchange.request.headers if name == header]
        if not keys:
            return self._refuse(exchange, "api_key.missing", "This call needs an API key.")
        if len(keys) > 1:
            # which of them the upstream would believe is anybody's guess
            return self._refuse(exchange, "api_key.repeated", "The API key was sent more than once.")
        now = self._clock.time()
        match look_up(keys[0], exchange.snapshot.consumers, now):
            case KeyEntry() as entry:
                self._used[entry.sha256] = now
                self._allowed.value += 1
                return self._principal(entry.consumer)
            case Verdict.EXPIRED:
                return self._refuse(exchange, "api_key.expired", "The API key has expired.")
            case verdict:
                exchange.note(f"api_key.{verdict.value}")
                return self._refuse(exchange, "api_key.invalid", "The API key is not valid.")

    async def identify(self, exchange: Exchange) -> Principal | Response:
        answer = self.identify_nowait(exchange)
        assert answer is not None, "a key is always decided from memory"
        return answer

    def authorize(self, exchange: Exchange, principal: Principal) -> Response | None:
        refusal = self._access.check(exchange, principal)
        if refusal is not None:
            self._forbidden.value += 1
        return refusal

    def strip(self, exchange: Exchange) -> None:
        if not self._forward:
            exchange.request.headers.remove_all(self._header)

    def _principal(self, consumer: Consumer) -> Principal:
        principal = self._principals.get(consumer.name)
        if principal is None or principal.consumer is not consumer:
            if len(self._principals) >= _PRINCIPALS:
                self._principals.clear()
            principal = Principal(f"consumer:{consumer.name}", consumer, tier=consumer.tier, limits=consumer.limits)
            self._principals[consumer.name] = principal
        return principal

    def _refuse(self, exchange: Exchange, code: str, detail: str) -> Response:
        self._refused.value += 1
        return problem(exchange, 401, code, detail, _FIELDS)
