"""What a shared cache may store and reuse (RFC 9111): stored response + request + clock -> serve, validate or forward.

Pure: knows no store, no key and no upstream. `now` is monotonic seconds, `wall` Unix seconds. docs/caching.md lists each rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, TypeVar

from gateway.api.messages import Headers
from gateway.http.dates import format_date, parse_date
from gateway.http.fields import split_list
from policies.cache.directives import LONGEST_S, Directives, fields_of, parse_directives, seconds, targeted
from policies.cache.selection import Selector, selector_of

T = TypeVar("T")

OWN_FIELD = b"sluicegate-cache-control"
CDN_FIELD = b"cdn-cache-control"

# RFC 9110 §15.1: what may be stored and given a heuristic lifetime without being told; 206 is not stored here
HEURISTIC = frozenset((200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501))
UNDERSTOOD = HEURISTIC | frozenset((302, 303, 307))
# Faults of one request, or of the moment: stored they would be denied to everybody. `negative` may name them all the same
NEVER = frozenset((206, 304, 400, 401, 403, 407, 408, 412, 413, 416, 417, 421, 425, 426, 428, 429, 431))
MOST_VARYING = 64  # names in Vary; each is compared for each hit, and an upstream that names more means everything
ERRORS = frozenset((500, 502, 503, 504))  # RFC 5861 §4
MOST_SHARED = 8192
_held: dict[Any, Any] = {}
_NO_TAGS: frozenset[bytes] = frozenset()
HEURISTIC_SHARE = 0.1  # RFC 9111 §4.2.2 names this share of the time since Last-Modified as typical
# RFC 9111 §3.2: what must stay as it was stored, since the content does
_OF_THE_CONTENT = frozenset((b"content-length", b"content-encoding", b"content-range", b"age", b"set-cookie"))


class Action(Enum):
    SERVE = "serve"
    SERVE_AND_REFRESH = "serve, and validate meanwhile"
    VALIDATE = "validate"


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
    must_revalidate: bool = False  # or proxy-revalidate
    must_understand: bool = False
    stale_while_revalidate_s: float | None = None
    stale_if_error_s: float | None = None
    unstored: frozenset[bytes] = frozenset()  # fields that qualified no-cache and private name

    @property
    def never_stale(self) -> bool:
        """RFC 9111 §4.2.4: no stale answer, whoever would take one; s-maxage says so too (§5.2.2.10)."""
        return self.must_revalidate or self.no_cache or self.shared_age


_NO_FIELDS = Headers()


class Face:
    """How a stored answer looks to its callers during one second of its age: most hits find it ready."""

    __slots__ = ("age", "headers")

    def __init__(self) -> None:
        self.age = -1
        self.headers = _NO_FIELDS


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A stored answer. Replaced as a whole when it is freshened."""

    status: int
    headers: Headers  # without Age, Content-Length and what may not be stored; with a Date
    body: bytes
    terms: Terms
    lifetime_s: float
    initial_age_s: float  # RFC 9111 §4.2.3: corrected_initial_age
    at: float  # monotonic seconds of its receipt
    selector: Selector
    etag: bytes | None
    modified: int | None  # Unix seconds of Last-Modified
    date: int  # Unix seconds
    tags: frozenset[bytes]
    own: tuple[bytes, ...]  # its Sluicegate-Cache-Control, which goes to no caller
    size: int  # octets that it takes in memory, about
    stale_while_revalidate_s: float
    stale_if_error_s: float
    born: float  # monotonic seconds when its age was 0
    fresh_until: float  # monotonic seconds until which nobody need be asked; -inf: always the upstream (no-cache)
    face: Face = field(default_factory=Face)

    def age_s(self, now: float) -> float:
        """RFC 9111 §4.2.3: current_age."""
        return self.initial_age_s + max(0.0, now - self.at)

    @property
    def has_validator(self) -> bool:
        return self.etag is not None or self.modified is not None


def terms_of(headers: Headers, wall: float, rules: Rules) -> Terms:
    """The directives of an answer that was received at `wall`."""
    said = targeted(headers, rules.targeted)
    lifetime: float | None = None
    if said is None:
        said = parse_directives(headers.get_all(b"cache-control"))
        # RFC 9111 §5.3: Expires counts without max-age and s-maxage; RFC 9213 §2.2: not beside a targeted field
        expires = headers.get_all(b"expires")
        if expires and not (b"max-age" in said or b"s-maxage" in said):
            date = _date_of(headers, wall)
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
        must_revalidate=b"must-revalidate" in said or b"proxy-revalidate" in said,
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
    if authorization and not (terms.public or terms.shared_age or terms.must_revalidate):  # §3.5
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
            lifetime = 0.0 if at is None else max(0.0, (_date_of(headers, wall) - at) * HEURISTIC_SHARE)
    return min(lifetime, rules.max_ttl_s)


def initial_age(headers: Headers, wall: float, delay_s: float) -> float:
    """RFC 9111 §4.2.3: the age at receipt, from Date, Age and how long the answer took."""
    apparent = max(0.0, wall - _date_of(headers, wall))
    # §5.1: of several members the first counts; what is no number is as if it were not there
    said = split_list(b",".join(headers.get_all(b"age")))
    return max(apparent, float((seconds(said[0]) if said else 0) or 0) + delay_s)


def keep(
    status: int,
    headers: Headers,
    body: bytes,
    request: Headers,
    terms: Terms,
    rules: Rules,
    *,
    now: float,
    wall: float,
    delay_s: float,
) -> Stored:
    """The answer as it is stored. `request` are the fields of the request that it answers."""
    date = _date_of(headers, wall)
    left_out = terms.unstored | {b"age", b"content-length", b"set-cookie", OWN_FIELD}
    kept = Headers(one for one in headers if one[0] not in left_out)
    if date != _said_date(headers, wall):  # RFC 9110 §6.6.1: who caches an answer without a Date adds one
        kept.set(b"date", format_date(date))
    modified = headers.get(b"last-modified")
    tags = frozenset(
        tag for value in headers.get_all(rules.tags_header) for part in split_list(value) for tag in part.split()
    )
    stale_s, error_s = terms.stale_while_revalidate_s, terms.stale_if_error_s
    lifetime, age = lifetime_of(status, headers, terms, wall, rules), initial_age(headers, wall, delay_s)
    return Stored(
        status,
        Headers(_shared(one) for one in kept),
        body,
        _shared(terms),
        lifetime,
        age,
        now,
        _shared(selector_of(kept, request)),
        kept.get(b"etag"),
        None if modified is None else parse_date(modified, wall),
        date,
        tags or _NO_TAGS,
        tuple(headers.get_all(OWN_FIELD)),
        _footprint(kept, body),
        rules.stale_while_revalidate_s if stale_s is None else stale_s,
        rules.stale_if_error_s if error_s is None else error_s,
        now - age,
        float("-inf") if terms.no_cache else now - age + lifetime,
    )


def decide(stored: Stored, asked: Directives | None, now: float) -> tuple[Action, str]:
    """What to do with a stored answer that the request selects; with VALIDATE the word of RFC 9211 §2.2 for why."""
    age = stored.age_s(now)
    left = stored.lifetime_s - age
    terms = stored.terms
    if not asked:
        if left > 0 and not terms.no_cache:  # §4.2: fresh while its lifetime is greater than its age
            return Action.SERVE, ""
        if not terms.never_stale and -left < stored.stale_while_revalidate_s and left <= 0:
            return Action.SERVE_AND_REFRESH, ""
        return Action.VALIDATE, "stale"
    # 1: what the caller demands of any answer (§5.2.1)
    if b"no-cache" in asked:
        return Action.VALIDATE, "request"
    demanding = False
    if b"max-age" in asked:
        demanding = True
        if age > (seconds(asked[b"max-age"]) or 0):
            return Action.VALIDATE, "request" if left > 0 else "stale"
    fresh_for = seconds(asked.get(b"min-fresh"))
    if fresh_for is not None:
        demanding = True
        if left < fresh_for:
            return Action.VALIDATE, "request" if left > 0 else "stale"
    # 2: fresh
    if terms.no_cache:
        return Action.VALIDATE, "stale"
    if left > 0:
        return Action.SERVE, ""
    # 3: stale, and nobody forbids it (§4.2.4)
    if not terms.never_stale:
        if b"max-stale" in asked:
            most = asked[b"max-stale"]
            bound = LONGEST_S if most is None else seconds(most)
            if bound is not None and -left <= bound:
                return Action.SERVE, ""
        if not demanding and -left < stored.stale_while_revalidate_s:  # RFC 5861 §3
            return Action.SERVE_AND_REFRESH, ""
    return Action.VALIDATE, "stale"


def serves_on_error(stored: Stored, asked: Directives | None, now: float) -> bool:
    """RFC 5861 §4: whether a stale answer stands in for an error. Request and answer may both allow it."""
    if stored.terms.never_stale or (asked and b"no-cache" in asked):
        return False
    allowed = max(stored.stale_if_error_s, float(seconds((asked or {}).get(b"stale-if-error")) or 0))
    return stored.age_s(now) - stored.lifetime_s < allowed


def freshened(stored: Stored, headers: Headers, rules: Rules, *, now: float, wall: float, delay_s: float) -> Stored:
    """RFC 9111 §3.2: the stored answer with the fields of a 304 (or of a HEAD that matches) in place of its own."""
    news = {name for name, _ in headers} - _OF_THE_CONTENT
    fields = Headers(one for one in stored.headers if one[0] not in news)
    fields += [one for one in headers if one[0] in news]
    if b"date" not in news:
        fields.set(b"date", format_date(wall))
    aged = Headers(fields)
    if (age := headers.get(b"age")) is not None:
        aged.append((b"age", age))
    if OWN_FIELD not in news:
        aged += [(OWN_FIELD, value) for value in stored.own]
    terms = terms_of(aged, wall, rules)
    fresh = keep(stored.status, aged, stored.body, Headers(), terms, rules, now=now, wall=wall, delay_s=delay_s)
    return replace(fresh, selector=stored.selector, face=Face())


def outdated_by_head(stored: Stored, headers: Headers) -> bool:
    """RFC 9111 §4.3.5: a HEAD whose validators or length differ from what is stored."""
    for name, own in ((b"etag", stored.etag), (b"last-modified", stored.headers.get(b"last-modified"))):
        said = headers.get(name)
        if said is not None and said != own:
            return True
    length = headers.get(b"content-length")
    return length is not None and length != b"%d" % len(stored.body)


def _shared(value: T) -> T:
    """An equal value that other answers hold already: most of their fields are the same, and memory is for bodies."""
    if len(_held) >= MOST_SHARED:
        _held.clear()
    held: T = _held.setdefault(value, value)
    return held


def _qualified(said: Directives, name: bytes) -> frozenset[bytes]:
    return (fields_of(said.get(name)) if name in said else None) or frozenset()


def _optional(said: Directives, name: bytes) -> float | None:
    return float(seconds(said[name]) or 0) if name in said else None


def _said_date(headers: Headers, wall: float) -> int | None:
    said = headers.get_all(b"date")
    return parse_date(said[0], wall) if len(said) == 1 else None


def _date_of(headers: Headers, wall: float) -> int:
    said = _said_date(headers, wall)
    return int(wall) if said is None else said


def _footprint(headers: Headers, body: bytes) -> int:
    """Near what is resident, seen with loadtests/cache.py memory: most pairs are shared, and 900 are around them."""
    return len(body) + sum(len(name) + len(value) + 70 for name, value in headers) + 900
