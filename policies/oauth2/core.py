"""What a verified token must say, and what a route demands of it. Pure: no keys, no HTTP, the clock is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeGuard

from gateway.api.placeholder import find_claim
from policies.oauth2.config import OAuth2Block, Scalar
from policies.oauth2.reasons import Reason

Claims = Mapping[str, Any]

_MAX_DATE = 1e15  # seconds: 30 million years


def refusal_of_answer(
    claims: Claims, now: float, leeway_s: float, issuer: str, audience: frozenset[str]
) -> Reason | None:
    """RFC 7662 §2.2: what an issuer says of an active token is all optional; whatever it says must be right."""
    if claims.get("iss", issuer) != issuer:
        return Reason.WRONG_ISSUER
    exp = claims.get("exp", now + 1)
    if not is_date(exp):
        return Reason.BAD_CLAIMS
    if now >= exp:  # one clock, that of the issuer, stands behind `active` and `exp`: no leeway
        return Reason.EXPIRED
    return refusal_of_times({**claims, "exp": exp}, now, leeway_s) or (
        refusal_of_audience(claims, audience) if "aud" in claims else None
    )


def refusal_of_times(claims: Claims, now: float, leeway_s: float) -> Reason | None:
    """RFC 7519 §4.1.4 to §4.1.6. exp is demanded, nbf and iat are checked when they are there."""
    exp, nbf, iat = claims.get("exp"), claims.get("nbf", now), claims.get("iat", now)
    if not is_date(exp) or not is_date(nbf) or not is_date(iat):
        return Reason.BAD_CLAIMS
    if now >= exp + leeway_s:
        return Reason.EXPIRED
    return Reason.NOT_YET_VALID if now < max(nbf, iat) - leeway_s else None


def refusal_of_audience(claims: Claims, audience: frozenset[str]) -> Reason | None:
    """RFC 7519 §4.1.3: text or a list of texts, of which one must be ours."""
    aud = claims.get("aud")
    if isinstance(aud, str):
        return None if aud in audience else Reason.WRONG_AUDIENCE
    if not isinstance(aud, list) or not aud or not all(isinstance(one, str) for one in aud):
        return Reason.BAD_CLAIMS
    return Reason.WRONG_AUDIENCE if audience.isdisjoint(aud) else None


def scopes_of(claims: Claims) -> frozenset[str]:
    """`scope` as RFC 9068 §2.2.3 writes it, or `scp` as a list or text; lists are accepted for both."""
    written = claims.get("scope", claims.get("scp"))
    if isinstance(written, str):
        return frozenset(written.split())
    if isinstance(written, list):
        return frozenset(one for one in written if isinstance(one, str))
    return frozenset()


def roles_of(claims: Claims) -> frozenset[str]:
    """`roles` (RFC 9068 §2.2.3.1) and Keycloak's `realm_access.roles`."""
    found: set[str] = set()
    for path in ("roles", "realm_access.roles"):
        named = find_claim(claims, path)
        if isinstance(named, list):
            found.update(one for one in named if isinstance(one, str))
    return frozenset(found)


class Lack(Enum):
    """What of a route's demands a token does not meet."""

    SCOPE = auto()
    ROLE = auto()
    CLAIM = auto()


@dataclass(frozen=True, slots=True)
class Demands:
    """What one route demands of a caller it believes."""

    scopes: frozenset[str]
    any_scope: frozenset[str]
    roles: frozenset[str]
    claims: tuple[tuple[str, tuple[Scalar, ...]], ...]

    @classmethod
    def of(cls, config: OAuth2Block) -> Demands:
        return cls(
            frozenset(config.scopes), frozenset(config.any_scope), frozenset(config.roles), tuple(config.claims.items())
        )

    def lack(self, claims: Claims, scopes: frozenset[str], roles: frozenset[str]) -> Lack | None:
        if not self.scopes <= scopes or (self.any_scope and self.any_scope.isdisjoint(scopes)):
            return Lack.SCOPE
        if self.roles and self.roles.isdisjoint(roles):
            return Lack.ROLE
        for path, accepted in self.claims:
            if not _holds(find_claim(claims, path), accepted):
                return Lack.CLAIM
        return None


NOTHING = Demands(frozenset(), frozenset(), frozenset(), ())


def _holds(claim: Any, accepted: Sequence[Scalar]) -> bool:
    """Whether a claim, or one item of a list, equals one of the accepted values; True is not 1, and "1" is not 1."""
    for one in claim if isinstance(claim, list) else (claim,):
        for value in accepted:
            if one == value and isinstance(one, bool) == isinstance(value, bool):
                return True
    return False


def is_date(value: Any) -> TypeGuard[float]:
    """A NumericDate (RFC 7519 §2) that arithmetic can be done with; NaN and the infinities lie in no range."""
    kind = type(value)  # exactly: True is an int, too
    return (kind is int or kind is float) and -_MAX_DATE < value < _MAX_DATE
