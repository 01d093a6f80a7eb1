"""What a route matches, parsed once: path shapes, host shapes, conditions. Knows no table, no order and no YAML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from gateway.api.settings.route import RouteConfig
from gateway.http.fields import is_token
from gateway.http.host import BadHost, parse_authority
from gateway.http.target import BadTarget, PathRules, normal_path

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}").fullmatch
_PLAIN = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*").fullmatch  # in normal form whatever the rules are
_METHOD = re.compile(
    r"[A-Z][A-Z0-9_-]*"
).fullmatch  # RFC 9110 §9.1: a token, case-sensitive; all registered ones are upper case
_KEEP_ALL = PathRules("keep", "keep")


class PatternError(ValueError):
    """What ops wrote is no pattern; the message says how to write it. `field` is the key inside `match`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class PathPattern:
    """`/customers/{id}/files/**`: segments from the left, None where a placeholder stands."""

    segments: tuple[str | None, ...]
    names: tuple[str, ...]  # of the placeholders, from the left
    rest: bool  # ends in /**

    def __str__(self) -> str:
        names = iter(self.names)
        text = "".join("/" + (f"{{{next(names)}}}" if part is None else part) for part in self.segments)
        return text + "/**" if self.rest else text

    def position(self, name: str) -> int:
        """Which segment the placeholder `name` is, counted from 0. Raises KeyError."""
        holes = [index for index, part in enumerate(self.segments) if part is None]
        return dict(zip(self.names, holes, strict=True))[name]


@dataclass(frozen=True, slots=True)
class Condition:
    """A header or query parameter that must have a value: exactly `text`, or one in which `regex` is found."""

    name: str  # a header's in lower case
    text: str
    regex: re.Pattern[str] | None = None

    def holds(self, value: str | None) -> bool:
        if value is None:
            return False
        return value == self.text if self.regex is None else self.regex.search(value) is not None

    def excludes(self, other: Condition) -> bool:
        """Whether it is certain that no request meets both; two regexes are never told apart."""
        if self.name != other.name or (self.regex is not None and other.regex is not None):
            return False
        return not self.holds(other.text) if other.regex is None else not other.holds(self.text)


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """Which requests a route answers. Empty `hosts` or `methods`: any. Higher `priority` goes first."""

    path: PathPattern
    hosts: tuple[str, ...] = ()
    methods: frozenset[str] = frozenset()
    headers: tuple[Condition, ...] = ()
    query: tuple[Condition, ...] = ()
    priority: int = 0

    @property
    def conditions(self) -> int:
        return len(self.headers) + len(self.query)

    @property
    def answered(self) -> frozenset[str]:
        """The methods answered: HEAD follows GET (RFC 9110 §9.3.2). Empty: any."""
        return self.methods | {"HEAD"} if "GET" in self.methods else self.methods


def route_match(
    path: str,
    *,
    host: str | Iterable[str] | None = None,
    method: str | Iterable[str] | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    priority: int = 0,
) -> RouteMatch:
    """A route's `match` block, parsed. Raises PatternError, which names the field."""
    hosts = (host,) if isinstance(host, str) else tuple(host or ())
    methods = (method,) if isinstance(method, str) else tuple(method or ())
    for name in methods:
        if not _METHOD(name):
            raise PatternError("method", f"'{name}' is no method; write it in upper case, as in GET or [GET, POST]")
    for name in headers or ():
        if not is_token(name.encode("utf-8")):
            raise PatternError("headers", f"'{name}' cannot be the name of a header")
    return RouteMatch(
        parse_path(path),
        tuple(dict.fromkeys(parse_host(name) for name in hosts)),
        frozenset(methods),
        tuple(parse_condition("headers", name.lower(), value) for name, value in (headers or {}).items()),
        tuple(parse_condition("query", name, value) for name, value in (query or {}).items()),
        priority,
    )


def parse_path(text: str) -> PathPattern:
    """`/a/{name}/**`. Literal parts are brought to the normal form that requests have. Raises PatternError."""
    pattern = parse_template(text)
    if len(set(pattern.names)) < len(pattern.names):
        raise PatternError("path", "the path names a placeholder twice")
    return pattern


def parse_template(text: str) -> PathPattern:
    """The same, but a placeholder may stand in several places: for filling in, not for matching."""
    if not text.startswith("/"):
        raise PatternError("path", "a path begins with a slash")
    rest = text.endswith("/**")
    body = text.removesuffix("/**")
    parts = body.split("/")[1:]
    segments = tuple(None if _PLACEHOLDER(part) else _literal(part) for part in parts)
    return PathPattern(segments, tuple(part[1:-1] for part in parts if _PLACEHOLDER(part)), rest)


def _literal(part: str) -> str:
    if _PLAIN(part):
        return part
    if "{" in part or "}" in part:
        raise PatternError(
            "path",
            f"'{part}': a placeholder is a whole segment, as in /customers/{{id}}; a literal brace is %7B or %7D",
        )
    if "*" in part and "**" in part:
        raise PatternError("path", "** stands at the end only, as a segment of its own: /files/**")
    if unquote(part) in (".", ".."):
        raise PatternError("path", "a path has no dot segments; requests have none left when they are matched")
    raw = "".join(character if "!" <= character <= "~" else quote(character) for character in part)
    try:
        return normal_path(f"/{raw}".encode("ascii"), _KEEP_ALL)[1:]
    except BadTarget as exc:
        raise PatternError("path", f"'{part}' can never be in a path: {exc.detail}") from exc


def parse_host(text: str) -> str:
    """`api.example` or `*.example`, in lower case. Raises PatternError."""
    wildcard = "*." if text.startswith("*.") else ""
    try:
        host, port = parse_authority(text[len(wildcard) :].encode("utf-8"))
    except BadHost as exc:
        raise PatternError("host", f"'{text}' is no host; write api.example, *.example or an address") from exc
    if port is not None:
        raise PatternError("host", f"'{text}': a host is matched without its port")
    if wildcard and host.startswith("["):
        raise PatternError("host", f"'{text}': a wildcard stands before a name, not an address")
    return wildcard + host


def parse_condition(field: str, name: str, value: str) -> Condition:
    """`value` or `/regex/`. A regex is searched for; anchor it with ^ and $. Raises PatternError."""
    if len(value) < 2 or not (value.startswith("/") and value.endswith("/")):
        return Condition(name, value)
    try:
        return Condition(name, value, re.compile(value[1:-1]))
    except re.error as exc:
        raise PatternError(field, f"'{value}' is no regular expression: {exc}") from exc


def of_route(config: RouteConfig) -> RouteMatch:
    """What a route of the configuration matches. Raises PatternError."""
    match = config.match
    return route_match(
        match.path,
        host=match.host,
        method=match.method,
        headers=match.headers,
        query=match.query,
        priority=config.priority,
    )
