"""`routes`: which requests, and what becomes of them. Matches nothing itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue, model_validator

from gateway.api.config import ONE_OR_MANY, Block, Name


class Match(Block):
    """Which requests a route answers. All that is written must hold. (gateway/routing parses it, and says what is wrong.)"""

    host: Annotated[tuple[str, ...], ONE_OR_MANY] = ()
    """An exact host or *.domain, or a list; any host when left out."""
    path: str = "/**"
    """Literal segments, {name} for one segment, a final /** for the rest (none included)."""
    method: Annotated[tuple[str, ...], ONE_OR_MANY] = ()
    """A method or a list; all when left out. HEAD follows GET."""
    headers: Mapping[str, str] = Field(default_factory=dict)
    """Header fields that must be there: a value, or a regular expression between slashes (found anywhere in the value)."""
    query: Mapping[str, str] = Field(default_factory=dict)
    """Query parameters that must be there: a value, or a regular expression between slashes."""


class Rewrite(Block):
    """The path that the upstream sees: one of the two."""

    path: Annotated[str, Field(pattern="^/")] | None = None
    """A path with the match's {names} filled in."""
    strip_prefix: Annotated[str, Field(pattern="^/")] | None = None
    """Leading segments that are taken off."""

    @model_validator(mode="after")
    def _one(self) -> Rewrite:
        if (self.path is None) == (self.strip_prefix is None):
            raise ValueError("name exactly one of path, strip_prefix")
        return self


def _in_json(value: JsonValue) -> JsonValue:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise ValueError("JSON has no word for .nan and .inf (RFC 8259 §6)") from None
    return value


class Respond(Block):
    """An answer without an upstream."""

    status: Annotated[int, Field(ge=200, le=599)] = 200
    """Its status."""
    headers: Mapping[str, str] = Field(default_factory=dict)
    """Its header fields."""
    body: Annotated[JsonValue, AfterValidator(_in_json)] = None
    """Its body: a string as text, anything else as JSON; none when left out."""


class AuthConfig(Block):
    """How several authenticators of a route go together: one of the two."""

    any: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """One of them must know the caller; bad credentials of any of them are refused."""
    all: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """Each of them must know the caller, and as the same consumer."""

    @model_validator(mode="after")
    def _one(self) -> AuthConfig:
        if (self.any is None) == (self.all is None):
            raise ValueError("name exactly one of any, all")
        return self


class RouteConfig(Block):
    """One route."""

    name: Name
    """Its name, in logs, metrics and store keys."""
    match: Match
    """Which requests it answers."""
    upstream: Name | None = None
    """The upstream that answers."""
    public: bool = False
    """true: no authenticator; inherited ones do not apply."""
    policies: Mapping[str, Any] = Field(default_factory=dict)
    """Policies by name; each replaces an inherited one whole, `NAME: off` drops it."""
    adapter: Mapping[str, Any] | None = None
    """The adapter, by name, that translates for the upstream."""
    respond: Respond | None = None
    """An answer without an upstream."""
    rewrite: Rewrite | None = None
    """The path that the upstream sees; the caller's when left out."""
    priority: int = 0
    """Decides between routes that match equally well: the higher wins."""
