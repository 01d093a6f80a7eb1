"""Tokens that are bound to their owner's client certificate (RFC 8705 §3): a stolen one is of no use. Reads no TLS."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest

from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Response
from gateway.api.ports import Scope, Tally
from policies.oauth2.config import OAuth2Block
from policies.oauth2.core import Claims
from policies.oauth2.policy import OAuth2
from policies.oauth2.reasons import Reason


class CertificateBound(OAuth2):
    """`sender_constrained: mtls`. A remembered token is held against the certificate in every request."""

    def __init__(self, config: OAuth2Block, scope: Scope) -> None:
        super().__init__(config, scope)
        self._believed = self._allowed  # counted here, once the certificate fits, too
        self._allowed = Tally()

    def identify_nowait(self, exchange: Exchange) -> Principal | Response | None:
        verdict = super().identify_nowait(exchange)
        return None if verdict is None else self._held(exchange, verdict)

    async def identify(self, exchange: Exchange) -> Principal | Response:
        return self._held(exchange, await super().identify(exchange))

    def _held(self, exchange: Exchange, verdict: Principal | Response) -> Principal | Response:
        if isinstance(verdict, Response):
            return verdict
        reason = refusal_of_certificate(verdict.claims, exchange.request.certificate)
        if reason is not None:
            return self._refuse(exchange, reason)
        self._believed.value += 1
        return verdict


def refusal_of_certificate(claims: Claims, certificate: bytes | None) -> Reason | None:
    """RFC 8705 §3.1: `cnf.x5t#S256` is the certificate's SHA-256, base64url without padding."""
    confirmation = claims.get("cnf")
    wanted = confirmation.get("x5t#S256") if isinstance(confirmation, Mapping) else None
    if not isinstance(wanted, str) or not wanted:
        return Reason.UNBOUND
    if not certificate:  # none was shown, or what a proxy says of it cannot be read
        return Reason.NO_CERTIFICATE
    shown = urlsafe_b64encode(sha256(certificate).digest()).rstrip(b"=")
    return None if compare_digest(shown, wanted.encode("utf-8", "replace")) else Reason.WRONG_CERTIFICATE
