"""`tiers` and `consumers`: the partners, what finds them and what they may use. Holds figures, counts nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from ipaddress import ip_network
from typing import Annotated

from cryptography import x509
from cryptography.x509.oid import NameOID
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gateway.api.config import Block, Name, QuotaField, RateField
from gateway.api.consumers import NO_LIMITS, Limits


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise ValueError("not an address or network; write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32") from None


Network = Annotated[str, AfterValidator(_network)]
"""An address or a CIDR network."""


def _sha256(text: str) -> str:
    plain = text.replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise ValueError("not a SHA-256 digest; it has 64 hexadecimal digits")
    return plain


Sha256 = Annotated[str, AfterValidator(_sha256)]


_LAST = datetime.max.replace(microsecond=0, tzinfo=UTC).timestamp()  # 9999-12-31, which many write for never


def _expires(value: object) -> object:
    """Unix seconds of a date (its last moment, UTC) or of a time with its offset (RFC 3339)."""
    if not isinstance(value, str):
        return value
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            day = datetime.combine(date.fromisoformat(value), time(), UTC)
            return min(day.timestamp() + 86_400.0, _LAST)
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("not a date; write 2027-01-31 or 2027-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("a time needs its offset, as in 2027-01-31T12:00:00Z")
    return min(moment.timestamp(), _LAST)


class LimitFigures(Block):
    """Figures that limits use."""

    rate: RateField | None = None
    """Sustained requests, over the whole gateway."""
    burst: Annotated[int, Field(ge=1)] | None = None
    """Most requests at once; one second's rate, at least 1, when left out."""
    quota: QuotaField | None = None
    """Requests in a calendar window, as in 1000000/month."""
    concurrency: Annotated[int, Field(ge=1)] | None = None
    """Most requests at a time."""

    def limits(self, base: Limits = NO_LIMITS) -> Limits:
        """The figures as policies read them, over those of `base`. A burst left out is one second's rate, at least 1."""
        rate, burst = base.rate, base.burst
        if self.rate is not None:
            rate, burst = self.rate, max(1.0, self.rate.per_second)
        if self.burst is not None and rate is not None:
            burst = float(self.burst)
        return Limits(rate, burst, self.quota or base.quota, self.concurrency or base.concurrency)


class TierConfig(LimitFigures):
    """What a group of consumers may use."""

    @model_validator(mode="after")
    def _burst_needs_rate(self) -> TierConfig:
        if self.burst is not None and self.rate is None:
            raise ValueError("burst without rate says nothing; add rate")
        return self


class ConsumerLimits(LimitFigures):
    """A consumer's own figures, over its tier's."""

    routes: Mapping[Name, LimitFigures] = Field(default_factory=dict)
    """Figures for single routes, by their name."""


_NO_LIMITS = ConsumerLimits()


class TokenIdentity(Block):
    """A client of one issuer."""

    issuer: Name
    """Name of the issuer."""
    client_id: str
    """Value of the issuer's consumer_claim."""


class ApiKey(Block):
    """One API key, by its digest; `sluicegate keys new` prints this line."""

    id: Name
    """Names the key in logs."""
    sha256: Sha256
    """SHA-256 of the key, hexadecimal."""
    expires: Annotated[float, BeforeValidator(_expires)] | None = None
    """Last day (UTC) or moment it is good; never ends when left out."""


# What openssl calls attributes that RFC 4514 has no name for, where authorities use them
_ATTRIBUTES = {
    "emailAddress": NameOID.EMAIL_ADDRESS,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "businessCategory": NameOID.BUSINESS_CATEGORY,
    "organizationIdentifier": NameOID.ORGANIZATION_IDENTIFIER,
    "postalCode": NameOID.POSTAL_CODE,
    "title": NameOID.TITLE,
}


def _subject(text: str) -> str:
    """The form in which cryptography writes subjects, so that they compare as text."""
    try:
        name = x509.Name.from_rfc4514_string(re.sub(r"(?<!\\)([,+])\s+", r"\1", text), _ATTRIBUTES)
    except ValueError:
        name = x509.Name([])
    if not name.rdns:
        raise ValueError(
            "not a subject (RFC 4514); write CN=acme,O=Acme Ltd, the most specific first, unusual attributes by their "
            "number; `openssl x509 -noout -subject -nameopt RFC2253 -in FILE` prints it"
        )
    return name.rfc4514_string()


class CertificateIdentity(Block):
    """A client certificate: by fingerprint or by subject."""

    sha256: Sha256 | None = None
    """SHA-256 of the certificate (DER), hexadecimal."""
    subject: Annotated[str, AfterValidator(_subject)] | None = None
    """Its subject (RFC 4514), as in CN=acme,O=Acme Ltd."""

    @model_validator(mode="after")
    def _one(self) -> CertificateIdentity:
        if (self.sha256 is None) == (self.subject is None):
            raise ValueError("name exactly one of sha256, subject")
        return self


class ConsumerConfig(Block):
    """One partner."""

    tier: Name | None = None
    """Its tier."""
    client_ids: tuple[str, ...] = ()
    """Its clients, where there is only one issuer."""
    tokens: tuple[TokenIdentity, ...] = ()
    """Its clients, with their issuers."""
    api_keys: tuple[ApiKey, ...] = ()
    """Its API keys; two at a time while they are changed."""
    certificates: tuple[CertificateIdentity, ...] = ()
    """Its client certificates."""
    ip_allow: tuple[Network, ...] = ()
    """Addresses it may call from; any when left out."""
    roles: tuple[Name, ...] = ()
    """Roles, as defined under `roles`."""
    labels: Mapping[str, str] = Field(default_factory=dict)
    """Free text for placeholders and reports."""
    limits: ConsumerLimits = Field(default_factory=lambda: _NO_LIMITS)  # as a plain default it is copied, 50 µs each
    """Its own figures, over its tier's."""
