"""The files of listeners' TLS: do they fit together, and are they still good? Opens no socket."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from gateway.api.settings.listen import Certificate, ListenTls
from gateway.compile.checks.facts import Facts
from gateway.compile.decode.blocks import Remarks
from gateway.compile.decode.errors import Keys
from gateway.compile.world import World

NEEDS_CERTIFICATES = "mtls"  # the authenticator that nothing can satisfy where no certificate ever arrives
_PEM_CRL = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL).findall


def check_certificates(world: World, facts: Facts) -> None:
    settings = world.settings
    if settings is None:
        return
    notes = world.notes.on(world.main)
    written = world.main.file.value.get("listen")
    now = datetime.now(UTC)
    asked = settings.proxy.client_cert_header != "none"
    for index, listener in enumerate(settings.listen):
        if listener.tls is not None:
            at: Keys = ("listen", "tls") if isinstance(written, Mapping) else ("listen", index, "tls")
            asked = asked or listener.tls.client_cert != "none"
            _check_tls(listener.tls, at, notes, now)
    if NEEDS_CERTIFICATES in facts.policies and not asked:
        notes.add(
            ("listen",),
            f"routes with {NEEDS_CERTIFICATES} can never be called: no listener asks for certificates (`tls.client_cert`), "
            "and no proxy hands them on (`proxy.client_cert_header`)",
        )


def _check_tls(tls: ListenTls, at: Keys, notes: Remarks, now: datetime) -> None:
    for number, certificate in enumerate(tls.certificates):
        keys = (*at, "certificates", number)
        problem = _unusable(certificate)
        if problem is not None:
            notes.add((*keys, "cert"), problem)
            continue
        ends = _end(certificate)
        if ends is not None and ends < now:
            notes.add((*keys, "cert"), f"the certificate expired on {ends:%Y-%m-%d}; callers will refuse it", "warning")
    for word, path in (("client_ca", tls.client_ca), ("client_crl", tls.client_crl)):
        if path is not None:
            for level, problem in _about_list(word, path, now):
                notes.add((*at, word), problem, "error" if level == "error" else "warning")
    if tls.client_cert == "none" and (tls.client_ca or tls.client_crl):
        notes.add(at, "client_ca and client_crl do nothing without client_cert: optional or required", "warning")


def _unusable(certificate: Certificate) -> str | None:
    """Why certificate and key cannot be served."""
    try:
        # a password, so that OpenSSL never asks the terminal for one
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate.cert, certificate.key, password="")
    except ssl.SSLError as problem:
        if problem.reason == "KEY_VALUES_MISMATCH":
            return f"the key {certificate.key} is not that of the certificate"
        return f"certificate and key cannot be used ({problem.reason or 'PEM'}); both are PEM, and the key is not encrypted"
    except OSError as problem:
        return f"certificate and key cannot be read: {problem.strerror}"
    return None


def _end(certificate: Certificate) -> datetime | None:
    try:
        return x509.load_pem_x509_certificate(Path(certificate.cert).read_bytes()).not_valid_after_utc
    except (OSError, ValueError):  # replaced meanwhile, or odd: OpenSSL, who serves it, had nothing against it
        return None


def _about_list(word: str, path: str, now: datetime) -> Iterator[tuple[str, str]]:
    """What is wrong with a file of authorities or of revoked certificates."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(path)
        stored = context.cert_store_stats()
        if word == "client_ca" and stored["x509"]:
            return
        lists = [x509.load_pem_x509_crl(pem) for pem in _PEM_CRL(Path(path).read_bytes())] if stored["crl"] else []
    except (OSError, ValueError):
        lists = []
    if not lists or word == "client_ca":
        what = "certificates" if word == "client_ca" else "list of revoked certificates"
        yield "error", f"no {what} in PEM format in {path}"
        return
    for revoked in lists:
        due = revoked.next_update_utc
        if due is not None and due < now:
            issuer = revoked.issuer.rfc4514_string()
            yield (
                "warning",
                f"the list of {issuer} was to be renewed on {due:%Y-%m-%d}: its certificates are all refused",
            )
