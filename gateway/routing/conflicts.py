"""Which routes could answer the same request with nothing to choose between them. Knows no table and no YAML places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import TypeVar

from gateway.routing.pattern import RouteMatch

T = TypeVar("T")

_Rank = tuple[str, tuple[str | None, ...], bool, int, int]


def conflicts(routes: Iterable[tuple[RouteMatch, T]]) -> Iterator[tuple[T, T]]:
    """Pairs of routes that only a `priority` can tell apart, in the order of `routes`; each pair once.

    Two routes of the same shape (host and path, whatever their placeholders are called), with equally many conditions and
    equal priority, whose methods meet, and of whose conditions none excludes the other's.
    """
    ranks: defaultdict[_Rank, list[tuple[RouteMatch, T]]] = defaultdict(list)
    for match, route in routes:
        for host in match.hosts or ("",):
            rank = (host, match.path.segments, match.path.rest, match.conditions, match.priority)
            ranks[rank].append((match, route))
    seen: set[tuple[int, int]] = set()
    for equals in ranks.values():
        for (first, one), (second, other) in combinations(equals, 2):
            if _may_meet(first, second) and (id(one), id(other)) not in seen:
                seen.add((id(one), id(other)))
                yield one, other


def _may_meet(one: RouteMatch, other: RouteMatch) -> bool:
    if one.methods and other.methods and one.answered.isdisjoint(other.answered):
        return False
    return not any(
        mine.excludes(theirs)
        for here, there in ((one.headers, other.headers), (one.query, other.query))
        for mine in here
        for theirs in there
    )
