"""The immutable route table: which route answers a request. Knows no policies, no upstreams and no configuration.

Order (the best first): host exact, then `*.` with the longest name, then none; the path segment by segment from the
left (literal, placeholder, `/**`); more conditions before fewer; higher priority. What the best refuses by method,
header or query goes to the next that matches whole. Looking up costs the same with ten routes and ten thousand: an
exact path is one dictionary look-up, any other walks a trie of its own segments, or went it not long ago.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, unquote

from gateway.api.messages import Headers

T = TypeVar("T")

Check = Callable[[Headers | None, bytes], bool]
"""Whether a request's headers and query meet a route's conditions; without headers those on headers are passed over."""


@dataclass(slots=True)
class Match(Generic[T]):
    route: T
    params: dict[str, str]  # what each {name} stands for, percent-decoded; never to be changed


@dataclass(frozen=True, slots=True)
class Miss:
    """No route. `allow` has the methods for the Allow field; empty unless the status is 405."""

    status: int
    allow: tuple[str, ...] = ()


NOT_FOUND = Miss(404)


class Entry(Generic[T]):
    """One route at the place its path leads to. `plain` is the ready match of a route without placeholders."""

    __slots__ = ("check", "methods", "names", "plain", "route")

    def __init__(self, route: T, methods: frozenset[str] | None, names: tuple[str, ...], check: Check | None) -> None:
        self.route = route
        self.methods = methods  # None: any
        self.names = names
        self.check = check
        self.plain = Match(route, {})


Leaf = tuple[Entry[T], ...]
"""The routes of one path shape, the best first. PERF: with 10,000 routes what costs is memory that no cache holds; a
tuple scanned with shared sets of methods touches two lines less than a dictionary by method, and few paths have many."""


MAX_SEEN = 4096  # paths whose way through the trie is remembered
MAX_SEEN_PATH = 256  # characters

NO_CHILDREN: dict[str, Any] = {}  # shared, always empty


class Node(Generic[T]):
    """A segment of the trie. `here` answers a path that ends at it, `rest` what lies at or below it (`/**`)."""

    __slots__ = ("child", "here", "hole", "literal", "name", "rest")

    def __init__(self) -> None:
        # PERF: the first literal child stands in the node itself, most have no other: with 10,000 routes in turn a match
        # with two placeholders takes 2.8 instead of 3.4 µs, loadtests/micro/routing.py
        self.name: str | None = None
        self.child: Node[T] | None = None
        self.literal: dict[str, Node[T]] = NO_CHILDREN  # all others; replaced by the second child
        self.hole: Node[T] | None = None
        self.here: Leaf[T] | None = None
        self.rest: Leaf[T] | None = None


class PathTable(Generic[T]):
    """The routes of one host pattern."""

    __slots__ = ("depth", "exact", "root")

    def __init__(self) -> None:
        self.exact: dict[str, Leaf[T]] = {}  # paths without placeholders; these leaves are in the trie too
        self.root: Node[T] = Node()
        self.depth = 0  # segments of the longest pattern

    def find(
        self, path: str, method: str, headers: Headers | None, query: bytes, refused: list[Leaf[T]], seen: Seen[T]
    ) -> Match[T] | None:
        """The best route of this table that matches whole; the leaves whose path fits, but nothing else, go to `refused`.

        A leaf that is the best for its path, whatever else is asked, and has no placeholders goes to `seen`.
        """
        # Segments beyond the deepest pattern stay in one piece: a path of 8,000 slashes costs no more than a short one
        segments = path.split("/", self.depth + 1)
        end = len(segments)
        node = self.root
        index = 1
        values: tuple[str, ...] = ()
        # What is yet to be tried, the best last; index 0 stands for the node's `/**`
        todo: list[tuple[Node[T], int, tuple[str, ...]]] = []
        refused_before = len(refused)
        while True:
            leaf = None
            if index == 0:
                leaf = node.rest
            elif index < end:
                segment = segments[index]
                child = node.child if segment == node.name else node.literal.get(segment)
                hole = node.hole if segment else None  # a placeholder is one segment, and an empty one is none
                below = hole if child is None else child
                if below is None:
                    leaf = node.rest
                else:
                    if node.rest is not None:
                        todo.append((node, 0, values))
                    if child is None:
                        values = (*values, segment)
                    elif hole is not None:
                        todo.append((hole, index + 1, (*values, segment)))
                    node, index = below, index + 1
                    continue
            else:
                leaf = node.here
                if node.rest is not None:  # "the rest (none included)": `/files/**` answers `/files` too
                    todo.append((node, 0, values))
            if leaf is not None:
                for entry in leaf:
                    if (entry.methods is None or method in entry.methods) and (
                        entry.check is None or entry.check(headers, query)
                    ):
                        if not values:
                            if len(refused) == refused_before and len(path) <= MAX_SEEN_PATH:
                                if len(seen) >= MAX_SEEN:
                                    seen.clear()
                                seen[self, path] = leaf
                            return entry.plain
                        params = dict(zip(entry.names, values, strict=True))
                        return Match(entry.route, _decoded(params) if "%" in path else params)
                refused.append(leaf)
            if not todo:
                return None
            node, index, values = todo.pop()


Seen = dict[tuple[PathTable[T], str], Leaf[T]]
"""Leaves by table and path."""


class RouteTable(Generic[T]):
    """Built by `gateway.routing.build`. What it answers never changes; it only remembers ways that were found."""

    __slots__ = ("_anywhere", "_by_host", "_hosts", "_seen", "_wildcards", "shares", "size")

    def __init__(
        self, hosts: dict[str, PathTable[T]], wildcards: dict[str, PathTable[T]], anywhere: PathTable[T], size: int
    ) -> None:
        self._hosts = hosts
        self._wildcards = wildcards  # by the name with its leading dot
        self._anywhere = (anywhere,)
        self._by_host = bool(hosts or wildcards)
        # PERF: most traffic repeats itself: 0.2 instead of 0.8 µs for a path that was asked for, 0.2 more for one that was not
        self._seen: Seen[T] = {}
        self.size = size
        self.shares = False  # parts of it are another table's too

    def match(self, host: str, path: str, method: str, headers: Headers | None, query: bytes) -> Match[T] | Miss:
        """The route for a request, or why there is none.

        `host` is lower case without port, `path` in normal form, `query` raw. Without `headers`, conditions on headers are
        passed over: for a CORS preflight, which announces a request and does not carry its headers.
        """
        refused: list[Leaf[T]] = []
        seen = self._seen
        for paths in self._tables(host) if self._by_host else self._anywhere:
            leaf = paths.exact.get(path) or seen.get((paths, path))
            if leaf is not None:
                for entry in leaf:
                    if (entry.methods is None or method in entry.methods) and (
                        entry.check is None or entry.check(headers, query)
                    ):
                        return entry.plain
            found = paths.find(path, method, headers, query, refused, seen)
            if found is not None:
                return found
        return _miss(refused, method) if refused else NOT_FOUND

    def forget_ways(self) -> None:
        self._seen.clear()

    def by_pattern(self) -> tuple[dict[str, PathTable[T]], dict[str, PathTable[T]], PathTable[T]]:
        """The tables of hosts, of wildcards by the name with its leading dot, and of any host; the dictionaries are copies."""
        return dict(self._hosts), dict(self._wildcards), self._anywhere[0]

    def parts(self) -> Iterator[PathTable[T]]:
        """The tables it is made of, for taking it apart."""
        yield from self._hosts.values()
        yield from self._wildcards.values()
        yield from self._anywhere

    def _tables(self, host: str) -> Iterator[PathTable[T]]:
        if self._hosts:
            table = self._hosts.get(host)
            if table is not None:
                yield table
        if self._wildcards:
            dot = host.find(".")
            while dot >= 0:  # the longest name first; `*.example` stands for one label or more
                table = self._wildcards.get(host[dot:])
                if table is not None:
                    yield table
                dot = host.find(".", dot + 1)
        yield from self._anywhere


def _decoded(params: dict[str, str]) -> dict[str, str]:
    # Octets that are no UTF-8 become U+FFFD: what is forwarded is the path, not this
    return {name: unquote(value) for name, value in params.items()}


def _miss(refused: list[Leaf[T]], method: str) -> Miss:
    """405 when no route of that path takes the method; 404 when one does and only its conditions refuse.

    RFC 9110 §15.5.6: Allow on a 405 must not name the method that was just refused.
    """
    entries = [entry for leaf in refused for entry in leaf]
    if any(entry.methods is None or method in entry.methods for entry in entries):
        return NOT_FOUND
    return Miss(405, tuple(sorted({name for entry in entries for name in entry.methods or ()})))


def query_values(query: bytes) -> dict[str, str]:
    """The first value of each parameter, decoded as forms are."""
    values: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        values.setdefault(name, value)
    return values
