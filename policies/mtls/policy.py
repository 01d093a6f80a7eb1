"""Identifies a caller by its certificate. Finds it in the snapshot's table of consumers; waits for nothing."""

from __future__ import annotations

from gateway.api.access import ConsumerAuthenticator
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Response
from gateway.api.ports import Scope
from gateway.http.client_cert import CERTIFICATE_FIELDS, CLIENT_CERT, write_client_cert
from policies.mtls.config import MtlsBlock
from policies.mtls.core import Fault, look_at

# No scheme is registered for certificates in TLS.
CHALLENGE = b'ClientCertificate realm="sluicegate"'
_REFUSALS = {
    Fault.MALFORMED: "The client certificate cannot be read; send it whole.",
    Fault.NOT_YET_VALID: "The client certificate is not valid yet; use one that is.",
    Fault.EXPIRED: "The client certificate has expired; use a new one.",
}


class Mtls(ConsumerAuthenticator):
    def __init__(self, config: MtlsBlock, scope: Scope) -> None:
        super().__init__(scope, CHALLENGE)
        self._forward = config.forward

    def presented(self, exchange: Exchange) -> bool:
        return exchange.request.certificate is not None

    def identify_nowait(self, exchange: Exchange) -> Principal | Response | None:
        der = exchange.request.certificate
        if der is None:
            return self.refuse(
                exchange, 401, "mtls.missing", "This call needs a client certificate; connect with yours."
            )
        certificate = look_at(der, self._clock.time())
        if isinstance(certificate, Fault):
            return self.refuse(exchange, 401, f"mtls.{certificate.value}", _REFUSALS[certificate])
        consumer = exchange.snapshot.consumers.by_certificate(certificate.sha256, certificate.subject)
        if consumer is None:
            detail = "The credentials are good but belong to no consumer; ask the operators to register them."
            return self.refuse(exchange, 403, "consumer.unknown", detail)
        return self.believe(consumer, certificate.sha256, certificate.ends)

    def strip(self, exchange: Exchange) -> None:
        """What a proxy wrote never goes on as it is: the upstream sees one field, about a caller that was believed."""
        request = exchange.request
        for name, _ in request.headers:
            if name in CERTIFICATE_FIELDS:
                request.headers[:] = [field for field in request.headers if field[0] not in CERTIFICATE_FIELDS]
                break
        if self._forward and request.certificate and exchange.principal is not None:
            request.headers.add(CLIENT_CERT, write_client_cert(request.certificate))
