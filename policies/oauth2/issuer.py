"""One issuer as this gateway trusts it: its configuration, keys and remembered tokens, and the verdict on a token.

Knows nothing of routes and their demands, nor of HTTP.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

from gateway.api.consumers import NO_LIMITS, Consumers, Limits
from gateway.api.exchange import Principal
from gateway.api.placeholder import find_claim
from gateway.api.ports import Scope, Tally
from gateway.api.settings.issuer import IssuerConfig
from policies.oauth2.core import (
    Claims,
    refusal_of_answer,
    refusal_of_audience,
    refusal_of_times,
    scopes_of,
)
from policies.oauth2.discovery import KeySource
from policies.oauth2.introspection import Counts, Introspector
from policies.oauth2.keyring import Keyring
from policies.oauth2.keys import VerificationKey
from policies.oauth2.reasons import Reason
from policies.oauth2.remembered import Entry, Remembered, Voucher
from policies.oauth2.revoked import Revoked
from policies.oauth2.token import Token, normal_typ


class TrustedIssuer:
    """Shared by the routes of a configuration; its keys and remembered tokens outlive it."""

    def __init__(
        self,
        name: str,
        config: IssuerConfig,
        keyring: Keyring,
        remembered: Remembered,
        limits: Limits = NO_LIMITS,
        *,
        revoked: Revoked | None = None,
        introspector: Introspector | None = None,
    ) -> None:
        self.name = name
        self.issuer = config.issuer
        self.keyring = keyring
        self.remembered = remembered
        self.introspector = introspector
        self._revoked = revoked if revoked is not None else Revoked(name)
        self._revoked.watch(remembered)
        self._cache_s = 0.0 if config.introspection is None else config.introspection.cache
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
        revoked = scope.state(("revoked", name), lambda: Revoked(name, scope.revocations()))
        introspector = _introspector(name, config, scope)
        return scope.state(
            ("issuer", name, config, limits),
            lambda: cls(name, config, keyring, remembered, limits, revoked=revoked, introspector=introspector),
        )

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
                    or self._refusal_of_owner(token.claims, now)
                    or key
                )
        return Reason.BAD_SIGNATURE

    async def introspect(self, digest: bytes, token: str, now: float) -> Entry | Reason | None:
        """An entry for an opaque token that the issuer stands by now, or why not; None when it cannot be asked."""
        assert self.introspector is not None, "asked of issuers that have one"
        claims = await self.introspector.ask(digest, token)
        if claims is None or isinstance(claims, Reason):
            return claims
        reason = refusal_of_answer(claims, now, self._leeway_s, self.issuer, self._audience) or self._refusal_of_owner(
            claims, now
        )
        return reason or self._remember(digest, claims, self.introspector, now, self._cache_s)

    def remember(self, digest: bytes, token: Token, key: VerificationKey, now: float) -> Entry:
        """An entry for a token that `verify` believed."""
        return self._remember(digest, token.claims, key, now, self._remember_s)

    def _remember(self, digest: bytes, claims: Claims, voucher: Voucher, now: float, for_s: float) -> Entry:
        until = min(claims.get("exp", math.inf), now + for_s)
        entry = Entry(MappingProxyType(claims), voucher, until)
        if until > now:  # within leeway after exp it is verified every time
            self.remembered.put(digest, entry, now)
        return entry

    def _refusal_of_owner(self, claims: Claims, now: float) -> Reason | None:
        if self.client_of(claims) is None:
            return Reason.NO_CLIENT
        return Reason.REVOKED if self._revoked.covers(claims, now) else None

    def client_of(self, claims: Any) -> str | None:
        client = find_claim(claims, self._consumer_claim)
        return client if isinstance(client, str) and client else None

    def principal(self, entry: Entry, consumers: Consumers) -> Principal | None:
        """Who a believed token stands for; None when it is no consumer and this issuer does not allow that."""
        claims = entry.claims
        client = self.client_of(claims)
        assert client is not None, "verify refuses tokens that name no client"
        consumer = consumers.by_client(self.name, client)
        if consumer is None and not self._allows_unknown(consumers):
            return None
        if consumer is None:
            key, tier, limits = f"client:{self.name}:{client}", self._tier, self._limits
        else:
            key, tier, limits = f"consumer:{consumer.name}", consumer.tier, consumer.limits
        return Principal(key, consumer, self.name, client, tier, limits, claims, scopes_of(claims), claims.get("exp"))

    def _allows_unknown(self, consumers: Consumers) -> bool:
        if self._unknown is None:
            return not consumers.names_issuer(self.name)
        return self._unknown == "allow"


def _introspector(name: str, config: IssuerConfig, scope: Scope) -> Introspector | None:
    asked = config.introspection
    if asked is None:
        return None

    def count(result: str) -> Tally:
        return scope.counter("introspections_total", name, result)

    counts = Counts(count("active"), count("inactive"), count("failed"), count("turned-away"))
    share = max(1, asked.max_in_flight // scope.workers)
    return scope.state(
        ("introspection", name, asked), lambda: Introspector(name, asked, share, scope.fetch, scope.clock, counts)
    )
