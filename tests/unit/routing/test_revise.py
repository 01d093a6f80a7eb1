"""A revised table answers as one that is built anew, and what it was made from answers as before."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.messages import Headers
from gateway.routing import Match, RouteMatch, RouteTable, build_table, dismantle, route_match
from gateway.routing.revise import revise_in_slices

Route = tuple[str, RouteMatch]

SEGMENTS = ("a", "b", "{x}")
SHAPES = ["/"] + [f"/{one}" for one in SEGMENTS] + [f"/{one}/{two}" for one in ("a", "b") for two in ("c", "{y}", "**")]
HOSTS = (None, "api.example", "*.example")
ASKED = [
    (host, path, method)
    for host in ("api.example", "www.example", "other.test")
    for path in ("/", "/a", "/b", "/z", "/a/c", "/a/d", "/a/c/e", "/b/c", "/z/c")
    for method in ("GET", "POST")
]


def match_of(route: Route) -> RouteMatch:
    return route[1]


def revised(table: RouteTable[Route], gone: Sequence[Route], fresh: Sequence[Route]) -> RouteTable[Route]:
    steps = revise_in_slices(table, [(r[1], r) for r in gone], [(r[1], r) for r in fresh], match_of)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            made: RouteTable[Route] = done.value
            return made


def answers(table: RouteTable[Route]) -> list[object]:
    told: list[object] = []
    for host, path, method in ASKED:
        found = table.match(host, path, method, Headers(), b"")
        told.append((found.route[0], found.params) if isinstance(found, Match) else found)
    return told


def table_of(routes: Sequence[Route]) -> RouteTable[Route]:
    return build_table((route[1], route) for route in routes)


@st.composite
def edits(draw: st.DrawFn) -> list[dict[tuple[object, ...], int]]:
    """Configurations one after the other: what has its place in each, with a number that an edit changes."""
    places = st.tuples(st.sampled_from(SHAPES), st.sampled_from(HOSTS), st.sampled_from(("GET", "POST")))
    return draw(st.lists(st.dictionaries(places, st.integers(0, 1), max_size=8), min_size=2, max_size=5))


@settings(deadline=None)
@given(edits())
def test_a_revised_table_answers_as_one_built_anew(configurations: list[dict[tuple[object, ...], int]]) -> None:
    live: dict[tuple[object, ...], Route] = {}
    table = table_of([])
    for wanted in configurations:
        kept = {place: route for place, route in live.items() if route[0].endswith(f"#{wanted.get(place)}")}
        fresh = {
            place: (f"{place}#{number}", route_match(place[0], host=place[1], method=place[2]))  # type: ignore[arg-type]
            for place, number in wanted.items()
            if place not in kept
        }
        before, told = table, answers(table)
        table = revised(table, [live[place] for place in live.keys() - kept.keys()], list(fresh.values()))
        live = {**kept, **fresh}
        assert answers(table) == answers(table_of(list(live.values())))
        assert answers(before) == told
        assert table.size == len(live)


def test_an_edit_shares_what_it_does_not_touch() -> None:
    routes = [(f"r{n}", route_match(f"/service-{n % 10}/thing-{n}/{{id}}")) for n in range(100)]
    table = table_of(routes)
    fresh = ("new", routes[7][1])
    made = revised(table, [routes[7]], [fresh])
    old, new = (one.by_pattern()[2].root for one in (table, made))
    apart = [name for name in old.literal if old.literal[name] is not new.literal[name]]
    assert apart == ["service-7"]
    found = made.match("h", "/service-7/thing-7/1", "GET", Headers(), b"")
    assert isinstance(found, Match)
    assert found.route is fresh


def test_a_table_that_shares_its_parts_is_not_taken_apart() -> None:
    routes = [(f"r{n}", route_match(f"/thing-{n}/{{id}}")) for n in range(100)]
    table = table_of(routes)
    made = revised(table, [], [("new", route_match("/new"))])
    assert list(dismantle(table)) == []
    assert isinstance(made.match("h", "/thing-5/1", "GET", Headers(), b""), Match)


def test_what_is_gone_leaves_nothing_behind() -> None:
    routes = [(f"r{n}", route_match(f"/a/b/thing-{n}/{{id}}", host="api.example")) for n in range(50)]
    table = revised(table_of([]), [], routes)
    empty = revised(table, routes, [])
    assert empty.by_pattern()[0] == {}
    assert empty.size == 0
