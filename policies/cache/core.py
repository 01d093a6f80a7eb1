"""What a shared cache does with a stored answer (RFC 9111 §4): stored response + request + clock -> serve, validate or forward.

Pure: knows no store, no key and no upstream. `now` is monotonic, `wall` Unix seconds. docs/caching.md lists each rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar

from gateway.api.messages import Field, Headers
from gateway.http.dates import format_date, parse_date
from policies.cache.directives import LONGEST_S, Directives, seconds
from policies.cache.selection import Selector, selector_of
from policies.cache.terms import OWN_FIELD, Rules, Terms, initial_age, lifetime_of, said_date, tags_of, terms_of

T = TypeVar("T")
ERRORS = frozenset((500, 502, 503, 504))  # RFC 5861 §4
# RFC 9111 §3.2: what must stay as it was stored, since the content does
_OF_THE_CONTENT = frozenset((b"content-length", b"content-encoding", b"content-range", b"age", b"set-cookie"))
# Fields that say how a route answers, not what: the same in many answers. The values of all others are each answer's own
_ALIKE = frozenset(
    b"""
    accept-patch accept-ranges access-control-allow-credentials access-control-allow-headers access-control-allow-methods
    access-control-allow-origin access-control-expose-headers access-control-max-age allow alt-svc cache-control
    cdn-cache-control content-encoding content-language content-type cross-origin-embedder-policy
    cross-origin-opener-policy cross-origin-resource-policy permissions-policy pragma referrer-policy server
    strict-transport-security timing-allow-origin vary via x-content-type-options x-frame-options x-powered-by
    x-xss-protection
    """.split()
)
_MOST_ALIKE = 512  # octets of such fields; where there are more, all of them are each answer's own, and count
AROUND = 445  # octets around a body and its own values: the objects, the URL, the place in a queue; not what is held for many
MOST_SHARED = 8192  # values that are equal in many answers, at most; then they are gathered anew
_held: dict[Any, Any] = {}
_A_TIME = 1e9  # Unix seconds: whether something is a date does not depend on when it is read


class Action(Enum):
    SERVE = "serve"
    SERVE_AND_REFRESH = "serve, and validate meanwhile"
    VALIDATE = "validate"


@dataclass(frozen=True, slots=True)
class Kind:
    """What many stored answers have alike; held once for all of them."""

    status: int
    fields: tuple[Field, ...]  # the same in each
    names: tuple[bytes, ...]  # of those whose values are each answer's own
    tags_field: bytes
    own: tuple[bytes, ...]  # Sluicegate-Cache-Control, which goes to no caller
    public: bool
    no_cache: bool
    never_stale: bool
    stale_while_revalidate_s: float
    stale_if_error_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A stored answer. Replaced as a whole when it is freshened. Millions fit into memory: what can be worked out is not held."""

    kind: Kind
    values: bytes  # of the fields that the kind names, a line each
    body: bytes
    lifetime_s: float
    born_s: float  # monotonic seconds at which its age was 0 (RFC 9111 §4.2.3: receipt less corrected_initial_age)
    selector: Selector

    @property
    def headers(self) -> Headers:
        """Without Age, Content-Length and what may not be stored; with one valid Date. A list of the caller's own."""
        kind = self.kind
        headers = Headers(kind.fields)
        values = self.values
        headers += (_known_fields if len(values) <= _MOST_KNOWN else _own_fields)(kind.names, values)
        return headers

    def age_s(self, now: float) -> float:
        """RFC 9111 §4.2.3: current_age."""
        return max(0.0, now - self.born_s)

    def fresh_for_s(self, now: float) -> float:
        """Seconds for which nobody need be asked; with no-cache none (RFC 9111 §4.2, §5.2.2.4)."""
        return 0.0 if self.kind.no_cache else self.lifetime_s - self.age_s(now)

    @property
    def etag(self) -> bytes | None:
        return self.headers.get(b"etag")

    def modified(self, wall: float) -> int | None:
        """Unix seconds of Last-Modified, read at `wall`."""
        said = self.headers.get(b"last-modified")
        return None if said is None else parse_date(said, wall)

    @property
    def last_modified(self) -> bytes | None:
        """The field, where it is a date."""
        said = self.headers.get(b"last-modified")
        return None if said is None or parse_date(said, _A_TIME) is None else said

    @property
    def has_validator(self) -> bool:
        return self.etag is not None or self.last_modified is not None

    def has_tag(self, tag: bytes) -> bool:
        if tag not in self.values:  # PERF: a purge asks all answers, and most end here
            return False
        return tag in tags_of(Headers(_own_fields(self.kind.names, self.values)), self.kind.tags_field)

    @property
    def size(self) -> int:
        """Octets that it takes in memory: near what is resident, as loadtests/cache.py memory shows."""
        return len(self.body) + len(self.values) + AROUND


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
    left_out = terms.unstored | {b"age", b"content-length", b"set-cookie", OWN_FIELD}
    kept = Headers(one for one in headers if one[0] not in left_out)
    if said_date(kept, wall) is None:  # RFC 9110 §6.6.1: who caches an answer without a Date adds one
        kept.set(b"date", format_date(wall))
    alike = [one for one in kept if one[0] in _ALIKE and one[0] != rules.tags_header]
    if sum(len(value) for _, value in alike) > _MOST_ALIKE:
        alike = []
    names = {name for name, _ in alike}
    own = [one for one in kept if one[0] not in names]
    stale_s, error_s = terms.stale_while_revalidate_s, terms.stale_if_error_s
    kind = Kind(
        status,
        tuple([_shared(one) for one in alike]),
        _shared(tuple([name for name, _ in own])),
        rules.tags_header,
        tuple(headers.get_all(OWN_FIELD)),
        terms.public,
        terms.no_cache,
        terms.never_stale,
        rules.stale_while_revalidate_s if stale_s is None else stale_s,
        rules.stale_if_error_s if error_s is None else error_s,
    )
    return Stored(
        _shared(kind),
        # RFC 9110 §5.5: no value holds a newline; in one that does it becomes a space
        b"\n".join([value.replace(b"\n", b" ") for _, value in own]),
        body,
        _shared(lifetime_of(status, headers, terms, wall, rules)),
        now - initial_age(headers, wall, delay_s),
        _shared(selector_of(kept, request)),
    )


def decide(stored: Stored, asked: Directives | None, now: float) -> tuple[Action, str]:
    """What to do with a stored answer that the request selects; with VALIDATE the word of RFC 9211 §2.2 for why."""
    age = stored.age_s(now)
    left = stored.lifetime_s - age
    kind = stored.kind
    if not asked:
        if left > 0 and not kind.no_cache:  # §4.2: fresh while its lifetime is greater than its age
            return Action.SERVE, ""
        if not kind.never_stale and -left < kind.stale_while_revalidate_s and left <= 0:
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
    if kind.no_cache:
        return Action.VALIDATE, "stale"
    if left > 0:
        return Action.SERVE, ""
    # 3: stale, and nobody forbids it (§4.2.4)
    if not kind.never_stale:
        if b"max-stale" in asked:
            most = asked[b"max-stale"]
            bound = LONGEST_S if most is None else seconds(most)
            if bound is not None and -left <= bound:
                return Action.SERVE, ""
        if not demanding and -left < kind.stale_while_revalidate_s:  # RFC 5861 §3
            return Action.SERVE_AND_REFRESH, ""
    return Action.VALIDATE, "stale"


def serves_on_error(stored: Stored, asked: Directives | None, now: float) -> bool:
    """RFC 5861 §4: whether a stale answer stands in for an error. Request and answer may both allow it."""
    if stored.kind.never_stale or (asked and b"no-cache" in asked):
        return False
    allowed = max(stored.kind.stale_if_error_s, float(seconds((asked or {}).get(b"stale-if-error")) or 0))
    return stored.age_s(now) - stored.lifetime_s < allowed


def freshened(
    stored: Stored, headers: Headers, rules: Rules, *, now: float, wall: float, delay_s: float
) -> tuple[Stored, Terms]:
    """RFC 9111 §3.2: the stored answer with the fields of a 304 (or of a HEAD that matches) in place of its own; and what they say."""
    news = {name for name, _ in headers} - _OF_THE_CONTENT
    fields = Headers(one for one in stored.headers if one[0] not in news)
    fields += [one for one in headers if one[0] in news]
    if b"date" not in news:
        fields.set(b"date", format_date(wall))
    aged = Headers(fields)
    if (age := headers.get(b"age")) is not None:
        aged.append((b"age", age))
    if OWN_FIELD not in news:
        aged += [(OWN_FIELD, value) for value in stored.kind.own]
    terms = terms_of(aged, wall, rules)
    fresh = keep(stored.kind.status, aged, stored.body, Headers(), terms, rules, now=now, wall=wall, delay_s=delay_s)
    return replace(fresh, selector=stored.selector), terms


def outdated_by_head(stored: Stored, headers: Headers) -> bool:
    """RFC 9111 §4.3.5: a HEAD whose validators or length differ from what is stored."""
    for name, own in ((b"etag", stored.etag), (b"last-modified", stored.headers.get(b"last-modified"))):
        said = headers.get(name)
        if said is not None and said != own:
            return True
    length = headers.get(b"content-length")
    return length is not None and length != b"%d" % len(stored.body)


def _own_fields(names: tuple[bytes, ...], values: bytes) -> tuple[Field, ...]:
    return tuple(zip(names, values.split(b"\n"), strict=True))


_known_fields = lru_cache(maxsize=4096)(_own_fields)  # PERF: 0.1 µs for what is asked for often, else 0.5
_MOST_KNOWN = 512  # octets of values


def _shared(value: T) -> T:
    """An equal value that other answers hold already: most of their fields are the same, and memory is for bodies."""
    if len(_held) >= MOST_SHARED:
        _held.clear()
    held: T = _held.setdefault(value, value)
    return held
