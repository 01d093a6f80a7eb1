"""From one route table to the next: what an edit does not touch is shared, so its cost does not grow with the table.

Copies what lies on the way to each place that changes, and nothing else; tables and nodes that requests read stay as
they are. Knows no clock and no event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Generic, TypeVar

from gateway.routing.build import SLICE, leaf_of
from gateway.routing.pattern import RouteMatch
from gateway.routing.table import Leaf, Node, PathTable, RouteTable

T = TypeVar("T")

_Place = tuple[str, tuple[str | None, ...], bool]  # host, segments, whether /** follows


def revise_in_slices(
    table: RouteTable[T],
    gone: Iterable[tuple[RouteMatch, T]],
    fresh: Iterable[tuple[RouteMatch, T]],
    match_of: Callable[[T], RouteMatch],
) -> Generator[None, None, RouteTable[T]]:
    """Yields after some places each, returns `table` without the routes `gone` and with `fresh`.

    `match_of` tells where a route of `table` that stays has its place.
    """
    lists: dict[_Place, list[tuple[RouteMatch, T]]] = {}
    left, size = set(), table.size
    for match, route in gone:
        left.add(id(route))
        size -= 1
        for place in _places(match):
            lists.setdefault(place, [])
    for match, route in fresh:
        size += 1
        for place in _places(match):
            lists.setdefault(place, []).append((match, route))
    copy = _Copy(table)
    shared: dict[frozenset[str], frozenset[str]] = {}
    for done, ((host, segments, rest), added) in enumerate(lists.items(), 1):
        paths = copy.paths(host)
        way = copy.way(paths, segments)
        node = way[-1]
        before = (node.rest if rest else node.here) or ()
        stay = [(match_of(entry.route), entry.route) for entry in before if id(entry.route) not in left]
        leaf = leaf_of(stay + added, shared) if stay or added else None
        if rest:
            node.rest = leaf
        else:
            node.here = leaf
            if None not in segments:
                _set_exact(paths, "".join(f"/{segment}" for segment in segments), leaf)
        if leaf is None:
            _prune(way, segments)
        if done % SLICE == 0:
            yield
    table.shares = True
    return copy.table(size)


def _places(match: RouteMatch) -> list[_Place]:
    return [(host, match.path.segments, match.path.rest) for host in match.hosts or ("",)]


class _Copy(Generic[T]):
    """A table that begins as another and owns what it changed."""

    def __init__(self, table: RouteTable[T]) -> None:
        self._hosts, self._wildcards, self._anywhere = table.by_pattern()
        self._owned: set[int] = set()  # of tables, nodes and dictionaries; all of them are held by this copy

    def table(self, size: int) -> RouteTable[T]:
        made = RouteTable(
            {host: paths for host, paths in self._hosts.items() if not _bare(paths.root)},
            {host: paths for host, paths in self._wildcards.items() if not _bare(paths.root)},
            self._anywhere,
            size,
        )
        made.shares = True
        return made

    def paths(self, host: str) -> PathTable[T]:
        """The table of a host pattern, to be changed."""
        if not host:
            self._anywhere = paths = self._own_paths(self._anywhere)
            return paths
        tables, key = (self._wildcards, host[1:]) if host.startswith("*.") else (self._hosts, host)
        tables[key] = paths = self._own_paths(tables.get(key))
        return paths

    def way(self, paths: PathTable[T], segments: tuple[str | None, ...]) -> list[Node[T]]:
        """The nodes from the root to the place of `segments`, all to be changed."""
        paths.depth = max(paths.depth, len(segments))
        node = paths.root
        way = [node]
        for segment in segments:
            if segment is None:
                node.hole = child = self._own(node.hole)
            elif node.name == segment or (node.child is None and segment not in node.literal):
                node.name = segment
                node.child = child = self._own(node.child)
            else:
                if id(node.literal) not in self._owned:
                    node.literal = dict(node.literal)
                    self._owned.add(id(node.literal))
                node.literal[segment] = child = self._own(node.literal.get(segment))
            node = child
            way.append(node)
        return way

    def _own_paths(self, paths: PathTable[T] | None) -> PathTable[T]:
        if paths is not None and id(paths) in self._owned:
            return paths
        made: PathTable[T] = PathTable()
        if paths is not None:
            made.exact, made.depth = dict(paths.exact), paths.depth
        made.root = self._own(None if paths is None else paths.root)
        self._owned.add(id(made))
        return made

    def _own(self, node: Node[T] | None) -> Node[T]:
        if node is not None and id(node) in self._owned:
            return node
        made: Node[T] = Node()
        if node is not None:
            made.name, made.child, made.literal = node.name, node.child, node.literal
            made.hole, made.here, made.rest = node.hole, node.here, node.rest
        self._owned.add(id(made))
        return made


def _set_exact(paths: PathTable[T], path: str, leaf: Leaf[T] | None) -> None:
    if leaf is None:
        paths.exact.pop(path, None)
    else:
        paths.exact[path] = leaf


def _prune(way: list[Node[T]], segments: tuple[str | None, ...]) -> None:
    """Take away, from the end of the way, the nodes that lead nowhere any more."""
    for depth in range(len(segments), 0, -1):
        if not _bare(way[depth]):
            return
        parent, segment = way[depth - 1], segments[depth - 1]
        if segment is None:
            parent.hole = None
        elif parent.name == segment:
            parent.name = parent.child = None
        else:
            del parent.literal[segment]


def _bare(node: Node[T]) -> bool:
    return node.here is None and node.rest is None and node.hole is None and node.child is None and not node.literal
