"""The YAML block of oauth2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gateway.api.config import ONE_OR_MANY, Name, PolicyBlock

Scalar = str | bool | int | float
ScopeToken = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]  # RFC 6749 §3.3; it travels in a header

_ONE_OR_MANY_SCALARS = BeforeValidator(
    lambda value: (value,) if isinstance(value, Scalar) else value,
    json_schema_input_type=Scalar | tuple[Scalar, ...],
)


class OAuth2Block(PolicyBlock):
    """Bearer tokens of one issuer or several."""

    issuer: Annotated[tuple[Name, ...], ONE_OR_MANY, Field(min_length=1)]
    """Whose tokens are accepted: a name under `issuers`, or a list of them."""
    scopes: tuple[ScopeToken, ...] = ()
    """Scopes that a token must all have."""
    any_scope: tuple[ScopeToken, ...] = ()
    """Scopes of which a token must have at least one."""
    roles: tuple[str, ...] = ()
    """Roles of which the caller must have at least one: of its consumer, or the token's `roles` or `realm_access.roles`."""
    claims: Mapping[str, Annotated[tuple[Scalar, ...], _ONE_OR_MANY_SCALARS, Field(min_length=1)]] = Field(
        default_factory=dict
    )
    """Claims that must hold a value, or one of a list; a dotted path reaches into nested claims."""
    sender_constrained: Literal["off", "dpop", "mtls", "any"] = "off"
    """Whether the caller must prove that the token is its own."""
    store: str | None = None
    """Where DPoP proofs that were used are kept: a name from `stores:` or a URL; SQLite in the state folder when left out."""
    forward: bool = True
    """Whether the upstream sees the token."""
