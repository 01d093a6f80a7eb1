"""Certificates and lists of revoked ones for tests, as files, and callers that show them."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from tests.wire.plays import PATIENCE_S, Caller


@dataclass(frozen=True)
class Partner:
    """A caller's certificate."""

    leaf: trustme.LeafCert

    @property
    def pem(self) -> bytes:
        return self.leaf.cert_chain_pems[0].bytes()

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.pem.decode())

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.der).hexdigest()


def partner(authority: trustme.CA, name: str, *, ends: datetime | None = None) -> Partner:
    """Its subject is CN=NAME,OU=Orders,O=Acme Ltd."""
    return Partner(
        authority.issue_cert(
            f"{name}@acme.example",
            common_name=name,
            organization_name="Acme Ltd",
            organization_unit_name="Orders",
            not_after=ends,
        )
    )


def server_files(folder: Path, authority: trustme.CA, *names: str, file: str = "") -> dict[str, str]:
    """An entry of `certificates`."""
    made = authority.issue_cert(*names)
    stem = file or names[0].replace("*", "any")
    made.cert_chain_pems[0].write_to_path(folder / f"{stem}.pem")
    made.private_key_pem.write_to_path(folder / f"{stem}.key")
    return {"cert": f"{stem}.pem", "key": f"{stem}.key"}


def authority_file(folder: Path, *authorities: trustme.CA) -> str:
    (folder / "ca.pem").write_bytes(b"".join(one.cert_pem.bytes() for one in authorities))
    return "ca.pem"


def revoke(folder: Path, authority: trustme.CA, partners: Iterable[Partner], *, late: bool = False) -> str:
    """A file with the authority's list, which holds `partners`; one that is `late` was to be renewed yesterday."""
    key = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject
    now = datetime.now(UTC)
    due = now + timedelta(days=-1 if late else 1)
    made = x509.CertificateRevocationListBuilder(issuer).last_update(now - timedelta(days=2)).next_update(due)
    for one in partners:
        serial = x509.load_der_x509_certificate(one.der).serial_number
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        made = made.add_revoked_certificate(revoked)
    assert isinstance(key, CertificateIssuerPrivateKeyTypes)
    crl = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "revoked.crl").write_bytes(crl)
    return "revoked.crl"


def trusting(authority: trustme.CA, showing: Partner | None = None) -> ssl.SSLContext:
    """A caller's side."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if showing is not None:
        showing.leaf.configure_cert(context)
    return context


async def tls_caller(port: int, context: ssl.SSLContext, name: str = "api.example") -> Caller:
    """A connection of its own. With TLS 1.3 a caller learns only from its first read that the gateway ended the handshake."""
    async with asyncio.timeout(PATIENCE_S):
        return Caller(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name))
