"""What of a certificate names a caller, and when it is good. Checks no signature: TLS did, or the proxy that ended it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from warnings import catch_warnings, simplefilter

from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import load_der_x509_certificate

_READ = 1024  # certificates remembered, 2 to 4 KB each: reading one takes 60 µs, a hit 0.1


@dataclass(frozen=True, slots=True)
class Certificate:
    sha256: bytes
    subject: str  # RFC 4514, as consumers have it
    begins: float  # Unix seconds
    ends: float  # Unix seconds; the last one is good


class Fault(Enum):
    MALFORMED = "malformed"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"


def look_at(der: bytes, now: float) -> Certificate | Fault:
    """The certificate when it is good at `now` (Unix seconds): a connection may outlive what its handshake checked."""
    certificate = read(der)
    if certificate is None:
        return Fault.MALFORMED
    if now < certificate.begins:
        return Fault.NOT_YET_VALID
    return Fault.EXPIRED if now > certificate.ends else certificate


@lru_cache(maxsize=_READ)
def read(der: bytes) -> Certificate | None:
    """None for what is no certificate."""
    try:
        with catch_warnings():
            # a serial number of zero or below (RFC 5280 §4.1.2.2): some authorities did so, and TLS lets it pass
            simplefilter("ignore", CryptographyDeprecationWarning)
            parsed = load_der_x509_certificate(der)
        subject = parsed.subject.rfc4514_string()
        begins, ends = parsed.not_valid_before_utc.timestamp(), parsed.not_valid_after_utc.timestamp()
    except ValueError:
        return None
    return Certificate(sha256(der).digest(), subject, begins, ends)
