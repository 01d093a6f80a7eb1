"""`auth` of an upstream: how the gateway makes itself known to the system behind it. Asks for no token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from gateway.api.config import Block, SecretField
from gateway.api.settings.issuer import HttpUrl


class ClientCredentials(Block):
    """A token of our own for the upstream (RFC 6749 §4.4)."""

    token_url: HttpUrl
    """The token endpoint."""
    client_id: str
    """Our client id there."""
    client_secret: SecretField
    """Our client secret there."""
    scopes: tuple[str, ...] = ()
    """Scopes to ask for."""


class TokenExchange(Block):
    """The caller's token is exchanged for one of the upstream's (RFC 8693)."""

    token_url: HttpUrl
    """The token endpoint."""
    client_id: str
    """Our client id there."""
    client_secret: SecretField
    """Our client secret there."""
    audience: str
    """Audience of the token to ask for."""


class UpstreamAuth(Block):
    """How the gateway makes itself known to the upstream: one of the three."""

    oauth2: ClientCredentials | None = None
    """A token by client credentials."""
    headers: Mapping[Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")], SecretField] | None = None
    """Fixed header fields, by reference."""
    exchange: TokenExchange | None = None
    """The caller's token, exchanged."""

    @model_validator(mode="after")
    def _one(self) -> UpstreamAuth:
        if sum(each is not None for each in (self.oauth2, self.headers, self.exchange)) != 1:
            raise ValueError("name exactly one of oauth2, headers, exchange")
        return self
