"""The TLS context of a listener on uvicorn: several certificates by server name, client certificates. Reads PEM files only."""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.api.settings.listen import Certificate, ListenTls

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# RFC 9325 §4.2, of TLS 1.2: forward secrecy and authenticated encryption, which are all that Granian knows and TLS 1.3 has
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
DEMANDS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def server_context(tls: ListenTls) -> ssl.SSLContext:
    """Raises OSError (ssl.SSLError among them) when a file cannot be used."""
    contexts = [_context(tls, certificate) for certificate in tls.certificates]
    by_name: dict[str, ssl.SSLContext] = {}
    for certificate, context in zip(tls.certificates, contexts, strict=True):
        for name in certificate.hosts or _names(certificate):
            by_name.setdefault(name.lower(), context)

    def pick(connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
        # RFC 6066 §3: an unknown name may go on with the default certificate; the caller decides whether it trusts it
        name = (name or "").lower()
        connection.context = by_name.get(name) or by_name.get(f"*.{name.partition('.')[2]}") or first

    if len(contexts) > 1:
        contexts[0].sni_callback = pick
    return contexts[0]


def _context(tls: ListenTls, certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[tls.min_version]
    context.set_ciphers(CIPHERS)
    # a password, so that OpenSSL never asks the terminal for one
    context.load_cert_chain(certificate.cert, certificate.key, password="")
    context.set_alpn_protocols(["http/1.1"])
    context.verify_mode = DEMANDS[tls.client_cert]
    if tls.client_ca is not None:
        context.load_verify_locations(tls.client_ca)
    if tls.client_crl is not None:
        context.load_verify_locations(tls.client_crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def _names(certificate: Certificate) -> list[str]:
    """The names a certificate carries: RFC 6125 §6.4.4, the common name only when there are no others."""
    parsed = x509.load_pem_x509_certificate(Path(certificate.cert).read_bytes())
    try:
        alternatives = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [str(name.value) for name in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return alternatives.get_values_for_type(x509.DNSName)
