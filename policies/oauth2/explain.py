"""Says, for an operator who holds a token, which issuer accepts it and why the others do not.

Answers in full where callers are told nothing, so its text never goes to a caller.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.api.consumers import Consumers
from gateway.api.ports import Clock, Fetch
from gateway.api.settings.issuer import IssuerConfig
from policies.oauth2.discovery import KeySource
from policies.oauth2.issuer import TrustedIssuer
from policies.oauth2.keyring import Keyring
from policies.oauth2.reasons import Reason
from policies.oauth2.remembered import Remembered
from policies.oauth2.token import Token, read_token


async def explain_token(
    issuers: Mapping[str, IssuerConfig], consumers: Consumers, raw: bytes, *, fetch: Fetch, clock: Clock
) -> str:
    """One line an issuer: `NAME accepts it ...` or `NAME refuses it: why`. Fetches each issuer's keys that it needs.

    `raw` is the token, with or without `Bearer ` and surrounding blanks.
    """
    token = read_token(raw.strip().removeprefix(b"Bearer ").strip())
    if isinstance(token, Reason):
        return f"no issuer accepts it: {token.sentence} ({token.code})"
    return "\n".join([await _verdict(name, config, consumers, token, fetch, clock) for name, config in issuers.items()])


async def _verdict(
    name: str, config: IssuerConfig, consumers: Consumers, token: Token, fetch: Fetch, clock: Clock
) -> str:
    keyring = Keyring(name, KeySource(config.issuer, config.jwks, fetch), clock, config.stale)
    issuer = TrustedIssuer(name, config, keyring, Remembered())
    reason = issuer.refusal_of_form(token)
    if reason is None:
        await keyring.refresh()
        if not keyring.ready:
            return f"{name} cannot tell: its keys cannot be had: {keyring.failure}"
    now = clock.time()
    verdict = issuer.verify(token, now)
    if isinstance(verdict, Reason):
        return f"{name} refuses it: {verdict.sentence} ({verdict.code})"
    principal = issuer.principal(issuer.remember(b"", token, verdict, now), consumers)
    if principal is None:
        return f"{name} refuses it: it is good, but no consumer has client {issuer.client_of(token.claims)!r} (consumer.unknown)"
    who = (
        f"consumer {principal.name}" if principal.consumer else f"client {principal.client_id!r}, which is no consumer"
    )
    scopes = " ".join(sorted(principal.scopes)) or "none"
    return f"{name} accepts it as {who}; scopes: {scopes}; expires in {token.claims['exp'] - now:.0f} s"
