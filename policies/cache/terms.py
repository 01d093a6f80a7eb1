"""What an answer's fields say to a shared cache: whether it may be stored, and for how long it is fresh (RFC 9111 §3, §4.2).

Pure: `wall` is Unix seconds. docs/caching.md lists each rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.api.messages import Headers
from gateway.http.dates import parse_date
from gateway.http.fields import split_list
from policies.cache.directives import Directives, fields_of, parse_directives, seconds, targeted

OWN_FIELD = b"sluicegate-cache-control"
CDN_FIELD = b"cdn-cache-control"
# RFC 9110 §15.1: what may be stored and given a heuristic lifetime without being told; 206 is not stored here
HEURISTIC = frozenset((200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501))
UNDERSTOOD = HEURISTIC | frozenset((302, 303, 307))
# Faults of one request, or of the moment: stored they would be denied to everybody. `negative` may name them all the same
NEVER = frozenset((206, 304, 400, 401, 403, 407, 408, 412, 413, 416, 417, 421, 425, 426, 428, 429, 431))
MOST_VARYING = 64  # names in Vary; each is compared for each hit, and an upstream that names more means everything
HEURISTIC_SHARE = 0.1  # RFC 9111 §4.2.2 names this share of the time since Last-Modified as typical


@dataclass(frozen=True, slots=True)
class Rules:
    """What ops configured. All times in seconds."""

    default_ttl_s: float = 0.0
    max_ttl_s: float = 86_400.0
    negative: Mapping[int, float] = field(default_factory=dict)
    stale_while_revalidate_s: float = 0.0
    stale_if_error_s: float = 0.0
    targeted: tuple[bytes, ...] = (OWN_FIELD,)
    tags_header: bytes = b"cache-tag"


@dataclass(frozen=True, slots=True)
class Terms:
    """What an answer's directives say to a shared cache."""

    lifetime_s: float | None  # None: nothing explicit
    no_store: bool = False
    no_cache: bool = False
    private: bool = False
    public: bool = False
    shared_age: bool = False  # s-maxage
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    stale_while_revalidate_s: float | None = None
    stale_if_error_s: float | None = None
    unstored: frozenset[bytes] = frozenset()  # fields that qualified no-cache and private name

    @property
    def never_stale(self) -> bool:
        """RFC 9111 §4.2.4: no stale answer, whoever would take one; s-maxage says so too (§5.2.2.10)."""
        return self.must_revalidate or self.proxy_revalidate or self.no_cache or self.shared_age


def terms_of(headers: Headers, wall: float, rules: Rules) -> Terms:
    """The directives of an answer that was received at `wall`."""
    said = targeted(headers, rules.targeted)
    lifetime: float | None = None
    if said is None:
        said = parse_directives(headers.get_all(b"cache-control"))
        # RFC 9111 §5.3: Expires counts without max-age and s-maxage; RFC 9213 §2.2: not beside a targeted field
        expires = headers.get_all(b"expires")
        if expires and not (b"max-age" in said or b"s-maxage" in said):
            date = date_of(headers, wall)
            at = parse_date(expires[0], wall) if len(expires) == 1 else None
            lifetime = 0.0 if at is None else max(0.0, at - date)  # an invalid one has passed, `0` above all
    # RFC 9111 §4.2.1: s-maxage beats max-age for a shared cache; an invalid figure is no time at all
    for name in (b"s-maxage", b"max-age"):
        if name in said:
            lifetime = float(seconds(said[name]) or 0)
            break
    no_cache_fields, private_fields = _qualified(said, b"no-cache"), _qualified(said, b"private")
    return Terms(
        lifetime,
        no_store=b"no-store" in said,
        no_cache=b"no-cache" in said and not no_cache_fields,
        private=b"private" in said and not private_fields,
        public=b"public" in said,
        shared_age=b"s-maxage" in said,
        must_revalidate=b"must-revalidate" in said,
        proxy_revalidate=b"proxy-revalidate" in said,
        must_understand=b"must-understand" in said,
        stale_while_revalidate_s=_optional(said, b"stale-while-revalidate"),
        stale_if_error_s=_optional(said, b"stale-if-error"),
        unstored=no_cache_fields | private_fields,
    )


def why_not_stored(
    asked: Directives, *, authorization: bool, status: int, headers: Headers, terms: Terms, rules: Rules
) -> str | None:
    """Why the answer to a GET may not be stored (RFC 9111 §3), in a word; None: it may.

    `authorization`: the request has that field, and the gateway itself did not settle who its sender is.
    """
    named = status in rules.negative
    if status < 200 or (status in NEVER and not named) or status in (206, 304):
        return "status"
    if terms.must_understand and status not in UNDERSTOOD:  # §5.2.2.3
        return "must-understand"
    if terms.no_store and not terms.must_understand:  # §5.2.2.5; §5.2.2.3: who understands ignores no-store
        return "no-store"
    if b"no-store" in asked:  # §5.2.1.5
        return "request-no-store"
    if terms.private:  # §5.2.2.7
        return "private"
    # §3.5; §5.2.2.8: proxy-revalidate by itself allows nothing
    if authorization and not (terms.public or terms.shared_age or terms.must_revalidate):
        return "authorization"
    if not (terms.lifetime_s is not None or terms.public or status in HEURISTIC or named):
        return "status"
    if headers.get(b"set-cookie") is not None and not (terms.public or terms.shared_age):
        return "set-cookie"  # §7.3: most who set one did not think of caches
    varying = [name for value in headers.get_all(b"vary") for name in split_list(value)]
    if b"*" in varying or len(varying) > MOST_VARYING:  # §4.1: `*` never matches
        return "vary"
    if (headers.get(b"content-range") or b"").lower().startswith(b"bytes "):  # a part under a wrong status
        return "range"
    return None


def lifetime_of(status: int, headers: Headers, terms: Terms, wall: float, rules: Rules) -> float:
    """RFC 9111 §4.2.1 and §4.2.2: the freshness lifetime, never beyond `max_ttl`."""
    lifetime = terms.lifetime_s
    if lifetime is None:
        if status in rules.negative:
            lifetime = rules.negative[status]
        elif status not in HEURISTIC and not terms.public:
            lifetime = 0.0
        elif rules.default_ttl_s:
            lifetime = rules.default_ttl_s
        else:
            modified = headers.get(b"last-modified")
            at = None if modified is None else parse_date(modified, wall)
            lifetime = 0.0 if at is None else max(0.0, (date_of(headers, wall) - at) * HEURISTIC_SHARE)
    return min(lifetime, rules.max_ttl_s)


def initial_age(headers: Headers, wall: float, delay_s: float) -> float:
    """RFC 9111 §4.2.3: the age at receipt, from Date, Age and how long the answer took."""
    apparent = max(0.0, wall - date_of(headers, wall))
    # §5.1: of several members the first counts; what is no number is as if it were not there
    said = split_list(b",".join(headers.get_all(b"age")))
    return max(apparent, float((seconds(said[0]) if said else 0) or 0) + delay_s)


def tags_of(headers: Headers, name: bytes) -> list[bytes]:
    """What an operator may purge an answer by, from the field called `name`: divided by commas or blanks."""
    return [tag for value in headers.get_all(name) for part in split_list(value) for tag in part.split()]


def _qualified(said: Directives, name: bytes) -> frozenset[bytes]:
    return (fields_of(said.get(name)) if name in said else None) or frozenset()


def _optional(said: Directives, name: bytes) -> float | None:
    return float(seconds(said[name]) or 0) if name in said else None


def said_date(headers: Headers, wall: float) -> int | None:
    said = headers.get_all(b"date")
    return parse_date(said[0], wall) if len(said) == 1 else None


def date_of(headers: Headers, wall: float) -> int:
    said = said_date(headers, wall)
    return int(wall) if said is None else said
