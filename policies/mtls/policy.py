"""Identifies a caller by its certificate. Finds it in the snapshot's table of consumers; waits for nothing."""

from __future__ import annotations

from gateway.api.access import Access
from gateway.api.consumers import Consumer
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Response
from gateway.api.policy import Authenticator
from gateway.api.ports import Scope
from gateway.api.problem import problem
from gateway.http.client_cert import CERTIFICATE_FIELDS, CLIENT_CERT, write_client_cert
from policies.mtls.config import MtlsBlock
from policies.mtls.core import Certificate, Fault, look_at

# RFC 9110 §11.6.1: a 401 carries a challenge. No scheme is registered for certificates in TLS.
CHALLENGE = b'ClientCertificate realm="sluicegate"'
_FIELDS = ((b"www-authenticate", CHALLENGE),)
_PRINCIPALS = 4096  # remembered principals: making one costs more than finding its certificate
_REFUSALS = {
    Fault.MALFORMED: "The client certificate cannot be read.",
    Fault.NOT_YET_VALID: "The client certificate is not valid yet.",
    Fault.EXPIRED: "The client certificate has expired.",
}


class Mtls(Authenticator):
    def __init__(self, config: MtlsBlock, scope: Scope) -> None:
        self._forward = config.forward
        self._clock = scope.clock
        self._access = Access(scope.grants(), CHALLENGE)
        self._allowed = scope.tally("allow")
        self._refused = scope.tally("refuse")
        self._forbidden = scope.tally("forbid")
        self._principals: dict[bytes, Principal] = {}

    def presented(self, exchange: Exchange) -> bool:
        return exchange.request.certificate is not None

    def identify_nowait(self, exchange: Exchange) -> Principal | Response | None:
        der = exchange.request.certificate
        if der is None:
            return self._refuse(exchange, 401, "mtls.missing", "This call needs a client certificate.")
        certificate = look_at(der, self._clock.time())
        if isinstance(certificate, Fault):
            return self._refuse(exchange, 401, f"mtls.{certificate.value}", _REFUSALS[certificate])
        consumer = exchange.snapshot.consumers.by_certificate(certificate.sha256, certificate.subject)
        if consumer is None:
            return self._refuse(
                exchange, 403, "consumer.unknown", "The credentials are good but belong to no consumer."
            )
        self._allowed.value += 1
        return self._principal(consumer, certificate)

    async def identify(self, exchange: Exchange) -> Principal | Response:
        answer = self.identify_nowait(exchange)
        assert answer is not None, "a certificate is always decided from memory"
        return answer

    def authorize(self, exchange: Exchange, principal: Principal) -> Response | None:
        refusal = self._access.check(exchange, principal)
        if refusal is not None:
            self._forbidden.value += 1
        return refusal

    def strip(self, exchange: Exchange) -> None:
        """What a proxy wrote never goes on as it is: the upstream sees one field, about a caller that was believed."""
        request = exchange.request
        for name, _ in request.headers:
            if name in CERTIFICATE_FIELDS:
                request.headers[:] = [field for field in request.headers if field[0] not in CERTIFICATE_FIELDS]
                break
        if self._forward and request.certificate and exchange.principal is not None:
            request.headers.add(CLIENT_CERT, write_client_cert(request.certificate))

    def _principal(self, consumer: Consumer, certificate: Certificate) -> Principal:
        principal = self._principals.get(certificate.sha256)
        if principal is None or principal.consumer is not consumer:
            if len(self._principals) >= _PRINCIPALS:
                self._principals.clear()
            principal = Principal(
                f"consumer:{consumer.name}",
                consumer,
                tier=consumer.tier,
                limits=consumer.limits,
                expires=certificate.ends,
            )
            self._principals[certificate.sha256] = principal
        return principal

    def _refuse(self, exchange: Exchange, status: int, code: str, detail: str) -> Response:
        self._refused.value += 1
        return problem(exchange, status, code, detail, _FIELDS)
