"""Builds a route table in slices, so that ten thousand routes never hold up a request. Knows no clock and no event loop."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable
from sys import intern
from typing import Generic, TypeVar

from gateway.api.messages import Headers
from gateway.routing.pattern import Condition, RouteMatch
from gateway.routing.table import NO_CHILDREN, Check, Entry, Leaf, Node, PathTable, RouteTable, query_values

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
    shared: dict[frozenset[str], frozenset[str]] = {}
    while drafts:  # taken out one by one: freeing them all at the end would take 2 ms at once
        _, draft = drafts.popitem()
        leaf = leaf_of(draft.routes, shared)
        if draft.rest:
            draft.node.rest = leaf
        else:
            draft.node.here = leaf
            if draft.literal is not None:
                draft.paths.exact[draft.literal] = leaf
        if len(drafts) % SLICE == 0:
            yield
    return RouteTable(hosts, wildcards, anywhere, size)


def dismantle(table: RouteTable[T]) -> Generator[None, None, None]:
    """Take apart, in slices, a table that nobody reads any more: freed in one go, ten thousand routes take 3 ms and more.

    One that shares its parts with another is left as it is: what it had alone is little.
    """
    if table.shares:
        return
    table.forget_ways()
    for paths in table.parts():
        paths.exact = {}
        todo = [paths.root]
        paths.root = Node()
        for count in itertools.count(1):
            if not todo:
                break
            node = todo.pop()
            todo.extend(node.literal.values())
            todo.extend(child for child in (node.child, node.hole) if child is not None)
            node.literal, node.child, node.hole = NO_CHILDREN, None, None
            if count % SLICE == 0:
                yield


def _place(paths: PathTable[T], match: RouteMatch) -> _Draft[T]:
    node = paths.root
    for segment in match.path.segments:
        if segment is not None:
            # PERF: one string for all routes that have it stays in the cache, thousands of equal ones do not
            node = _literal_child(node, intern(segment))
        else:
            if node.hole is None:
                node.hole = Node()
            node = node.hole
    paths.depth = max(paths.depth, len(match.path.segments))
    literal = None if match.path.names else str(match.path)
    return _Draft(paths, node, literal, match.path.rest)


def _literal_child(node: Node[T], name: str) -> Node[T]:
    if node.child is None:
        node.name, node.child = name, Node()
    if node.name == name:
        return node.child
    if node.literal is NO_CHILDREN:
        node.literal = {}
    return node.literal.setdefault(name, Node())


def leaf_of(routes: list[tuple[RouteMatch, T]], shared: dict[frozenset[str], frozenset[str]]) -> Leaf[T]:
    """The routes of one place, in their order. `shared` keeps one of each set of methods."""
    # More conditions before fewer, then priority; `conflicts` has refused what would still be equal
    routes.sort(key=lambda pair: (-pair[0].conditions, -pair[0].priority))
    return tuple(
        Entry(
            route,
            shared.setdefault(match.answered, match.answered) if match.methods else None,
            match.path.names,
            _check(match.headers, match.query) if match.conditions else None,
        )
        for match, route in routes
    )


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
