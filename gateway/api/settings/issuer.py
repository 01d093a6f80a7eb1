"""`issuers`: whose tokens are believed, and how. Fetches and verifies nothing itself."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from gateway.api.config import ONE_OR_MANY, Block, Duration, Name, SecretField, file_path

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]  # asymmetric only: a shared secret in a gateway would let it mint tokens


def _https_or_http(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise ValueError("not a URL; it begins with https://")
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0  # RFC 3986 §3.2: reading the port refuses what is none
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("not a URL; host or port is none, write it as in https://idp.example:8443/path")
    return url


def is_url(value: str) -> bool:
    return value.startswith(("https://", "http://"))


HttpUrl = Annotated[str, AfterValidator(_https_or_http)]
UrlOrFile = Annotated[
    str, file_path(unless=is_url), AfterValidator(lambda text: _https_or_http(text) if is_url(text) else text)
]


class Introspection(Block):
    """Asking the issuer about opaque tokens (RFC 7662)."""

    endpoint: HttpUrl
    """The introspection endpoint."""
    client_id: str
    """Our client id there."""
    client_secret: SecretField
    """Our client secret there."""
    cache: Duration = 30.0
    """How long an answer is remembered."""
    max_in_flight: Annotated[int, Field(ge=1)] = 50
    """Most questions at a time."""


class IssuerConfig(Block):
    """One issuer of tokens."""

    issuer: HttpUrl
    """The `iss` of its tokens, compared exactly; discovery starts there when `jwks` is left out."""
    audience: Annotated[tuple[str, ...], ONE_OR_MANY, Field(min_length=1)]
    """A token's `aud` must hold one of these; a name or a list."""
    jwks: UrlOrFile | None = None
    """URL or file of its keys; found by discovery (OpenID Connect, RFC 8414) when left out."""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "PS256", "ES256", "EdDSA")
    """Signature algorithms that are accepted."""
    typ: tuple[str, ...] | Literal["any"] = ("at+jwt", "JWT")
    """Values of the `typ` header that are accepted, compared without case; any accepts all, and none."""
    leeway: Duration = 30.0
    """Difference of clocks that is forgiven."""
    remember: Duration = 300.0
    """How long a verified token is remembered."""
    stale: Duration = 86400.0
    """How long keys are used after the issuer stopped answering."""
    consumer_claim: str = "client_id"
    """The claim that names the consumer."""
    unknown_consumer: Literal["refuse", "allow"] | None = None
    """Whether tokens that match no consumer pass; when left out, an issuer that no consumer names allows."""
    tier: Name | None = None
    """Tier of callers that match no consumer."""
    introspection: Introspection | None = None
    """For opaque tokens; JWTs are verified by key."""
