"""Builds a route table in slices, so that ten thousand routes never hold up a request. Knows no clock and no event loop."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Generic, TypeVar

from gateway.api.messages import Headers
from gateway.routing.pattern import Condition, RouteMatch
from gateway.routing.table import Check, Entry, Leaf, Match, Node, PathTable, RouteTable, query_values

T = TypeVar("T")

SLICE = 32  # routes between two yields


class _Draft(Generic[T]):
    """The routes of one leaf while the table is being built."""

    __slots__ = ("literal", "node", "paths", "rest", "routes")

    def __init__(self, paths: PathTable[T], node: Node[T], literal: str | None, rest: bool) -> None:
        self.paths = paths
        self.node = node
        self.literal = literal  # the whole path, where it has no placeholder
        self.rest = rest
        self.routes: list[tuple[RouteMatch, T]] = []


def build_table(routes: Iterable[tuple[RouteMatch, T]]) -> RouteTable[T]:
    """The table of `routes`, in one go."""
    steps = build_in_slices(routes)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            table: RouteTable[T] = done.value
            return table


def build_in_slices(routes: Iterable[tuple[RouteMatch, T]]) -> Generator[None, None, RouteTable[T]]:
    """Yields after some routes each (well under 1 ms of work), returns the table. `routes` is read as it goes."""
    hosts: dict[str, PathTable[T]] = {}
    wildcards: dict[str, PathTable[T]] = {}
    anywhere: PathTable[T] = PathTable()
    drafts: dict[tuple[str, tuple[str | None, ...], bool], _Draft[T]] = {}
    size = 0
    for match, route in routes:
        for host in match.hosts or ("",):
            key = (host, match.path.segments, match.path.rest)
            draft = drafts.get(key)
            if draft is None:
                if not host:
                    paths = anywhere
                elif host.startswith("*."):
                    paths = wildcards.setdefault(host[1:], PathTable())
                else:
                    paths = hosts.setdefault(host, PathTable())
                draft = drafts[key] = _place(paths, match)
            draft.routes.append((match, route))
        size += 1
        if size % SLICE == 0:
            yield
    for count, draft in enumerate(drafts.values(), 1):
        leaf = _leaf(draft.routes)
        if draft.rest:
            draft.node.rest = leaf
        else:
            draft.node.here = leaf
            if draft.literal is not None:
                draft.paths.exact[draft.literal] = leaf
        if count % SLICE == 0:
            yield
    return RouteTable(hosts, wildcards, anywhere, size)


def _place(paths: PathTable[T], match: RouteMatch) -> _Draft[T]:
    node = paths.root
    for segment in match.path.segments:
        if segment is not None:
            node = node.literal.setdefault(segment, Node())
        else:
            if node.hole is None:
                node.hole = Node()
            node = node.hole
    paths.depth = max(paths.depth, len(match.path.segments))
    literal = None if match.path.names else str(match.path)
    return _Draft(paths, node, literal, match.path.rest)


def _leaf(routes: list[tuple[RouteMatch, T]]) -> Leaf[T]:
    # More conditions before fewer, then priority; `conflicts` has refused what would still be equal
    routes.sort(key=lambda pair: (-pair[0].conditions, -pair[0].priority))
    entries = [(match.answered, _entry(match, route)) for match, route in routes]
    named = sorted(set().union(*(methods for methods, _ in entries)))
    return Leaf(
        {name: tuple(entry for methods, entry in entries if not methods or name in methods) for name in named},
        tuple(entry for methods, entry in entries if not methods),
    )


def _entry(match: RouteMatch, route: T) -> Entry[T]:
    check = _check(match.headers, match.query) if match.conditions else None
    return Entry(route, match.path.names, check, Match(route, {}))


def _check(headers: tuple[Condition, ...], query: tuple[Condition, ...]) -> Check:
    wanted = tuple((condition.name.encode("ascii"), condition.holds) for condition in headers)

    def check(fields: Headers | None, raw_query: bytes) -> bool:
        if fields is not None:
            for name, holds in wanted:
                values = fields.get_all(name)
                # RFC 9110 §5.3: fields of one name are one list; thus two routes on two values can never both match
                if not values or not holds(b", ".join(values).decode("utf-8", "replace")):
                    return False
        if query:
            given = query_values(raw_query)
            return all(condition.holds(given.get(condition.name)) for condition in query)
        return True

    return check
