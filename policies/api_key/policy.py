"""Identifies a caller by an API key. Finds the key in the snapshot's table of consumers; waits for nothing."""

from __future__ import annotations

from gateway.api.access import ConsumerAuthenticator
from gateway.api.consumers import KeyEntry
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Response
from gateway.api.ports import Scope
from policies.api_key.config import ApiKeyBlock
from policies.api_key.core import Verdict, look_up
from policies.api_key.last_uses import KeyUses

# No scheme is registered for keys in a header; this is the customary name.
CHALLENGE = b'ApiKey realm="sluicegate"'


class ApiKey(ConsumerAuthenticator):
    def __init__(self, config: ApiKeyBlock, scope: Scope) -> None:
        super().__init__(scope, CHALLENGE)
        self._header = config.header.lower().encode("ascii")
        self._forward = config.forward
        self._uses = scope.state("uses", KeyUses)
        self._used = self._uses.at

    def presented(self, exchange: Exchange) -> bool:
        return exchange.request.headers.get(self._header) is not None

    def identify_nowait(self, exchange: Exchange) -> Principal | Response | None:
        header = self._header
        keys = [value for name, value in exchange.request.headers if name == header]
        if not keys:
            return self.refuse(
                exchange, 401, "api_key.missing", "This call needs an API key; send yours in the agreed header field."
            )
        if len(keys) > 1:
            # which of them the upstream would believe is anybody's guess
            return self.refuse(exchange, 401, "api_key.repeated", "The API key was sent more than once; send it once.")
        now = self._clock.time()
        match look_up(keys[0], exchange.snapshot.consumers, now):
            case KeyEntry() as entry:
                self._used[entry.sha256] = now
                return self.believe(entry.consumer, entry.consumer.name)
            case Verdict.EXPIRED:
                return self.refuse(exchange, 401, "api_key.expired", "The API key has expired; ask for a new one.")
            case verdict:
                exchange.note(f"api_key.{verdict.value}")
                return self.refuse(
                    exchange,
                    401,
                    "api_key.invalid",
                    "The API key is not valid; check that it is sent whole, or ask for a new one.",
                )

    def strip(self, exchange: Exchange) -> None:
        if not self._forward:
            exchange.request.headers.remove_all(self._header)
