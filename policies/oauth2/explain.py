"""Says, for an operator who holds a token, which issuer accepts it and why the others do not.

Answers in full where callers are told nothing, so its text never goes to a caller.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.api.consumers import Consumers
from gateway.api.ports import Clock, Fetch, Tally
from gateway.api.settings.issuer import IssuerConfig
from policies.oauth2.core import NOTHING, Claims, Demands, roles_of
from policies.oauth2.discovery import KeySource
from policies.oauth2.introspection import Counts, Introspector
from policies.oauth2.issuer import TrustedIssuer
from policies.oauth2.keyring import Keyring
from policies.oauth2.reasons import Reason
from policies.oauth2.remembered import Entry, Remembered
from policies.oauth2.token import Token, is_opaque, read_token


async def explain_token(
    issuers: Mapping[str, IssuerConfig],
    consumers: Consumers,
    raw: bytes,
    *,
    fetch: Fetch,
    clock: Clock,
    demands: Demands = NOTHING,
) -> str:
    """One line an issuer: `NAME accepts it ...` or `NAME refuses it: why`. Fetches each issuer's keys that it needs.

    A token that is accepted may still lack what the route `demands`, which is said. `raw` is the token, with or without `Bearer ` or `DPoP ` and surrounding blanks.
    """
    written = raw.strip()
    scheme, _, rest = written.partition(b" ")
    if scheme.lower() in (b"bearer", b"dpop"):  # RFC 9110 §11.1: a scheme's name has no case
        written = rest.strip()
    if is_opaque(written) and any(config.introspection for config in issuers.values()):
        asked = [
            await _answer(name, config, consumers, written.decode("ascii"), fetch, clock, demands)
            for name, config in issuers.items()
        ]
        return "\n".join(asked)
    token = read_token(written)
    if isinstance(token, Reason):
        return f"no issuer accepts it: {token.sentence} ({token.code})"
    verdicts = [
        await _verdict(name, config, consumers, token, fetch, clock, demands) for name, config in issuers.items()
    ]
    return "\n".join(verdicts)


async def _verdict(
    name: str, config: IssuerConfig, consumers: Consumers, token: Token, fetch: Fetch, clock: Clock, demands: Demands
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
    return _who(issuer, issuer.remember(b"", token, verdict, now), consumers, now, demands)


async def _answer(
    name: str, config: IssuerConfig, consumers: Consumers, token: str, fetch: Fetch, clock: Clock, demands: Demands
) -> str:
    if config.introspection is None:
        return f"{name} is not asked: it is an opaque token, and the issuer has no `introspection`"
    counts = Counts(Tally(), Tally(), Tally(), Tally())
    introspector = Introspector(name, config.introspection, 1, fetch, clock, counts)
    keyring = Keyring(name, KeySource(config.issuer, config.jwks, fetch), clock, config.stale)
    issuer = TrustedIssuer(name, config, keyring, Remembered(), introspector=introspector)
    verdict = await issuer.introspect(b"", token, clock.time())
    if verdict is None:
        return f"{name} cannot tell: its introspection endpoint gives no answer"
    if isinstance(verdict, Reason):
        return f"{name} refuses it: {verdict.sentence} ({verdict.code})"
    return _who(issuer, verdict, consumers, clock.time(), demands)


def _who(issuer: TrustedIssuer, entry: Entry, consumers: Consumers, now: float, demands: Demands) -> str:
    name, principal = issuer.name, issuer.principal(entry, consumers)
    if principal is None:
        return f"{name} refuses it: it is good, but no consumer has client {issuer.client_of(entry.claims)!r} (consumer.unknown)"
    who = (
        f"consumer {principal.name}" if principal.consumer else f"client {principal.client_id!r}, which is no consumer"
    )
    scopes = " ".join(sorted(principal.scopes)) or "none"
    held = roles_of(principal.claims) | (principal.consumer.roles if principal.consumer else frozenset())
    lack = demands.lack(principal.claims, principal.scopes, held)
    but = (
        ""
        if lack is None
        else f"; the route refuses it with 403: it lacks a {lack.name.lower()} that is demanded there"
    )
    return f"{name} accepts it as {who}; scopes: {scopes}; {_end(principal.expires, now)}{_binding(entry.claims)}{but}"


def _end(expires: float | None, now: float) -> str:
    return "it says no end" if expires is None else f"expires in {expires - now:.0f} s"


def _binding(claims: Claims) -> str:
    """What a route with `sender_constrained` asks for beside the token."""
    confirmation = claims.get("cnf")
    bound = confirmation if isinstance(confirmation, Mapping) else {}
    proofs = [
        proof for member, proof in (("jkt", "a DPoP key"), ("x5t#S256", "a client certificate")) if member in bound
    ]
    return f"; bound to {' and '.join(proofs)}" if proofs else ""
