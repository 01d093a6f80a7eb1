"""One issuer as this gateway trusts it: its configuration, keys and remembered tokens, and the verdict on a token.

Knows nothing of routes and their demands, nor of HTTP.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from gateway.api.consumers import NO_LIMITS, Consumers, Limits
from gateway.api.exchange import Principal
from gateway.api.ports import Scope
from gateway.api.settings.issuer import IssuerConfig
from policies.oauth2.core import claim_at, refusal_of_audience, refusal_of_times, scopes_of
from policies.oauth2.discovery import KeySource
from policies.oauth2.keyring import Keyring
from policies.oauth2.keys import VerificationKey
from policies.oauth2.reasons import Reason
from policies.oauth2.remembered import Entry, Remembered
from policies.oauth2.token import Token, normal_typ


class TrustedIssuer:
    """Shared by the routes of a configuration; its keys and remembered tokens outlive it."""

    def __init__(
        self, name: str, config: IssuerConfig, keyring: Keyring, remembered: Remembered, limits: Limits = NO_LIMITS
    ) -> None:
        self.name = name
        self.issuer = config.issuer
        self.keyring = keyring
        self.remembered = remembered
        # RFC 9864 §2.2: Ed25519 is the exact name of what EdDSA means here
        self._algorithms = frozenset(config.algorithms) | ({"Ed25519"} if "EdDSA" in config.algorithms else set())
        self._typ = None if config.typ == "any" else frozenset(normal_typ(typ) for typ in config.typ)
        self._audience = frozenset(config.audience)
        self._leeway_s = config.leeway
        self._remember_s = config.remember
        self._consumer_claim = config.consumer_claim
        self._unknown = config.unknown_consumer
        self._tier = config.tier or ""
        self._limits = limits

    @classmethod
    def trust(cls, name: str, scope: Scope) -> TrustedIssuer:
        """The issuer called `name` in the configuration, on the state that earlier snapshots left."""
        config: IssuerConfig = scope.issuer(name)
        clock, fetch = scope.clock, scope.fetch
        # keys belong to where they come from: another leeway or audience must not lose them in an outage
        keyring = scope.state(
            ("keys", name, config.issuer, config.jwks),
            lambda: Keyring(name, KeySource(config.issuer, config.jwks, fetch), clock, config.stale),
        )
        keyring.stale_s = config.stale
        keyring.reread_file()
        scope.spawn(f"keys of issuer {name}: {config.jwks or config.issuer}", keyring.run)
        # what was verified holds for exactly this configuration; anything changed, everything is verified anew
        remembered = scope.state(("remembered", name, config), Remembered)
        limits = scope.tier(config.tier) if config.tier else NO_LIMITS
        return scope.state(("issuer", name, config, limits), lambda: cls(name, config, keyring, remembered, limits))

    def refusal_of_form(self, token: Token) -> Reason | None:
        """What can be said before a key is sought."""
        if token.claims.get("iss") != self.issuer:
            return Reason.WRONG_ISSUER
        if token.alg not in self._algorithms:
            return Reason.WRONG_ALGORITHM
        if self._typ is not None and token.typ not in self._typ:
            return Reason.WRONG_TYPE
        return None

    def verify(self, token: Token, now: float) -> VerificationKey | Reason:
        """The key that signed a token that may be believed now, or why not; UNKNOWN_KEY may change with a fetch."""
        reason = self.refusal_of_form(token)
        if reason is not None:
            return reason
        keys = self.keyring.fitting(token.kid, token.alg)
        if not keys:
            return Reason.UNKNOWN_KEY
        for key in keys:
            if key.verifies(token.alg, token.signed, token.signature):
                return (
                    refusal_of_times(token.claims, now, self._leeway_s)
                    or refusal_of_audience(token.claims, self._audience)
                    or (Reason.NO_CLIENT if self.client_of(token.claims) is None else None)
                    or key
                )
        return Reason.BAD_SIGNATURE

    def remember(self, digest: bytes, token: Token, key: VerificationKey, now: float) -> Entry:
        """An entry for a token that `verify` believed."""
        until = min(token.claims["exp"], now + self._remember_s)
        entry = Entry(MappingProxyType(token.claims), key, until)
        if until > now:  # within leeway after exp it is verified every time
            self.remembered.put(digest, entry, now)
        return entry

    def client_of(self, claims: Any) -> str | None:
        client = claim_at(claims, self._consumer_claim)
        return client if isinstance(client, str) and client else None

    def principal(self, entry: Entry, consumers: Consumers) -> Principal | None:
        """Who a believed token stands for; None when it is no consumer and this issuer does not allow that."""
        claims = entry.claims
        client = self.client_of(claims)
        assert client is not None, "verify refuses tokens that name no client"
        consumer = consumers.by_client(self.name, client)
        if consumer is None and not self._allows_unknown(consumers):
            return None
        return Principal(
            key=f"client:{self.name}:{client}" if consumer is None else f"consumer:{consumer.name}",
            consumer=consumer,
            issuer=self.name,
            client_id=client,
            tier=self._tier if consumer is None else consumer.tier,
            limits=self._limits if consumer is None else consumer.limits,
            claims=claims,
            scopes=scopes_of(claims),
            expires=claims["exp"],
        )

    def _allows_unknown(self, consumers: Consumers) -> bool:
        if self._unknown is None:
            return not consumers.names_issuer(self.name)
        return self._unknown == "allow"
