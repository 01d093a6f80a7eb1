"""`routes`: which requests, and what becomes of them. Matches nothing itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from gateway.api.config import ONE_OR_MANY, Block, Name

_METHOD = re.compile(r"[A-Z][A-Z_-]*")  # RFC 9110 §9.1: a token, case-sensitive; the registered ones are upper case
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_SEGMENT = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)\}|\*\*|[^{}*]*")
_HOST = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.?)+|\[[0-9a-f:.]+\]")


def _methods(methods: tuple[str, ...]) -> tuple[str, ...]:
    for method in methods:
        if not _METHOD.fullmatch(method):
            raise ValueError("methods are written in upper case, as in GET or [GET, POST]")
    return methods


def _path(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("a path begins with /")
    seen: set[str] = set()
    segments = path[1:].split("/")
    for at, segment in enumerate(segments):
        found = _SEGMENT.fullmatch(segment)
        if found is None:
            raise ValueError(f"segment '{segment}': a segment is literal text, {{name}} as a whole, or a final **")
        if segment == "**" and at != len(segments) - 1:
            raise ValueError("** stands at the end only")
        if found[1] is not None:
            if found[1] in seen:
                raise ValueError(f"{{{found[1]}}} is there twice")
            seen.add(found[1])
    if "?" in path or "#" in path:
        raise ValueError("a path has no ? and no #; conditions on the query go under `query`")
    return path


def _host(host: str) -> str:
    if not _HOST.fullmatch(host.lower()):
        raise ValueError("not a host; write api.example.com or *.example.com, without scheme and port")
    return host.lower()


def _header_names(conditions: Mapping[str, str]) -> Mapping[str, str]:
    for name in conditions:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"'{name}' is not a header name")
    return conditions


def _patterns(conditions: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in conditions.items():
        if len(value) >= 2 and value[0] == value[-1] == "/":
            try:
                re.compile(value[1:-1])
            except re.error as problem:
                raise ValueError(f"{name}: not a regular expression: {problem}") from None
    return conditions


class Match(Block):
    """Which requests a route answers. All that is written must hold."""

    host: Annotated[str, AfterValidator(_host)] | None = None
    """An exact host or *.domain; any host when left out."""
    path: Annotated[str, AfterValidator(_path)] = "/**"
    """Literal segments, {name} for one segment, a final /** for the rest (none included)."""
    method: Annotated[tuple[str, ...], ONE_OR_MANY, AfterValidator(_methods)] = ()
    """A method or a list; all when left out. HEAD follows GET."""
    headers: Annotated[Mapping[str, str], AfterValidator(_header_names), AfterValidator(_patterns)] = Field(
        default_factory=dict
    )
    """Header fields that must be there: a value, or a regular expression between slashes (found anywhere in the value)."""
    query: Annotated[Mapping[str, str], AfterValidator(_patterns)] = Field(default_factory=dict)
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


class Respond(Block):
    """An answer without an upstream."""

    status: Annotated[int, Field(ge=200, le=599)] = 200
    """Its status."""
    headers: Annotated[Mapping[str, str], AfterValidator(_header_names)] = Field(default_factory=dict)
    """Its header fields."""
    body: Any = None
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
