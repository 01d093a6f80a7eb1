"""Which route answers: CONFIG's order read literally, and a brute-force reference that the table must agree with."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.messages import Headers
from gateway.routing import Match, Miss, RouteMatch, RouteTable, build_in_slices, build_table, dismantle, route_match
from gateway.routing.table import MAX_SEEN, MAX_SEEN_PATH

NONE = Headers()


def table(*routes: tuple[str, RouteMatch]) -> RouteTable[str]:
    return build_table([(match, name) for name, match in routes])


def answer(
    routes: RouteTable[str],
    path: str,
    method: str = "GET",
    host: str = "h",
    headers: Headers = NONE,
    query: bytes = b"",
) -> object:
    found = routes.match(host, path, method, headers, query)
    # what the first look-up left behind changes nothing
    assert routes.match(host, path, method, headers, query) == found
    if isinstance(found, Match):
        return (found.route, found.params) if found.params else found.route
    return (found.status, *found.allow)


def test_literal_beats_placeholder_beats_rest_from_the_left() -> None:
    routes = table(
        ("rest", route_match("/**")),
        ("a-rest", route_match("/a/**")),
        ("a-one", route_match("/a/{x}")),
        ("a-b", route_match("/a/b")),
        ("one-b-c", route_match("/{x}/b/c")),
    )
    assert answer(routes, "/a/b") == "a-b"
    assert answer(routes, "/a/c") == ("a-one", {"x": "c"})
    assert answer(routes, "/a/b/c") == "a-rest"  # `a` is decided before `b` and `c` are looked at
    assert answer(routes, "/z/b/c") == ("one-b-c", {"x": "z"})
    assert answer(routes, "/z") == "rest"
    assert answer(routes, "/") == "rest"


def test_rest_takes_none_and_any_number_of_segments() -> None:
    routes = table(("files", route_match("/files/**")))
    assert [answer(routes, path) for path in ("/files", "/files/", "/files/a/b/c", "/files//x")] == ["files"] * 4
    assert answer(routes, "/filesystem") == (404,)
    assert answer(routes, "/") == (404,)


def test_of_the_paths_that_were_asked_for_few_are_remembered() -> None:
    routes = table(("files", route_match("/files/**", method="GET")), ("put", route_match("/**", method="PUT")))
    for number in range(2 * MAX_SEEN):
        assert answer(routes, f"/files/{number}") == "files"
        assert answer(routes, f"/files/{number}", "PUT") == "put"
        assert answer(routes, f"/files/{number}", "DELETE") == (405, "GET", "HEAD", "PUT")
    assert answer(routes, "/files/" + "x" * MAX_SEEN_PATH) == "files"
    assert 0 < len(routes._seen) <= MAX_SEEN
    assert max(len(path) for _, path in routes._seen) <= MAX_SEEN_PATH


def test_a_path_with_and_without_a_final_slash_differ() -> None:
    routes = table(("plain", route_match("/a")), ("slash", route_match("/a/")), ("one", route_match("/b/{x}")))
    assert answer(routes, "/a") == "plain"
    assert answer(routes, "/a/") == "slash"
    assert answer(routes, "/b/") == (404,)  # a placeholder is one segment, never none
    assert answer(routes, "/A") == (404,)


def test_placeholders_are_decoded_and_the_slash_in_them_is_not_a_separator() -> None:
    routes = table(("r", route_match("/c/{id}/o/{no}")))
    assert answer(routes, "/c/a%2Fb%20c/o/%C3%A9") == ("r", {"id": "a/b c", "no": "é"})
    assert answer(routes, "/c/%FF/o/1") == ("r", {"id": "\ufffd", "no": "1"})


def test_hosts_exact_then_longest_wildcard_then_none() -> None:
    routes = table(
        ("none", route_match("/a")),
        ("exact", route_match("/a", host="api.x.example")),
        ("near", route_match("/a", host="*.x.example")),
        ("far", route_match("/a", host="*.example")),
    )
    assert answer(routes, "/a", host="api.x.example") == "exact"
    assert answer(routes, "/a", host="b.c.x.example") == "near"
    assert answer(routes, "/a", host="x.example") == "far"  # a wildcard stands for one label or more
    assert answer(routes, "/a", host="example") == "none"
    assert answer(routes, "/a", host="[::1]") == "none"


def test_host_is_compared_before_the_path() -> None:
    routes = table(("any-literal", route_match("/a/b")), ("host-rest", route_match("/**", host="h")))
    assert answer(routes, "/a/b") == "host-rest"
    assert answer(routes, "/a/b", host="other") == "any-literal"


def test_one_route_may_have_several_hosts() -> None:
    routes = table(("r", route_match("/a", host=["x.example", "*.y.example"])))
    assert answer(routes, "/a", host="x.example") == "r"
    assert answer(routes, "/a", host="b.y.example") == "r"
    assert answer(routes, "/a", host="y.example") == (404,)


def test_what_the_best_route_refuses_goes_to_the_next() -> None:
    routes = table(
        ("get", route_match("/a/b", method="GET")),
        ("put", route_match("/a/{x}", method="PUT")),
        ("tenant", route_match("/a/**", method="POST", headers={"X-Tenant": "acme"})),
        ("host-delete", route_match("/a/b", method="DELETE", host="h")),
    )
    assert answer(routes, "/a/b") == "get"
    assert answer(routes, "/a/b", "PUT") == ("put", {"x": "b"})
    assert answer(routes, "/a/b", "POST", headers=Headers([(b"x-tenant", b"acme")])) == "tenant"
    assert answer(routes, "/a/b", "DELETE") == "host-delete"
    assert answer(routes, "/a/b", "PATCH") == (405, "DELETE", "GET", "HEAD", "POST", "PUT")
    assert answer(routes, "/a/b", "POST") == (404,)  # the method is fine, a condition is not


def test_head_follows_get_and_nothing_else_does() -> None:
    routes = table(("get", route_match("/a", method="GET")), ("post", route_match("/b", method="POST")))
    assert answer(routes, "/a", "HEAD") == "get"
    assert answer(routes, "/b", "HEAD") == (405, "POST")
    assert answer(routes, "/a", "get") == (405, "GET", "HEAD")  # methods are case-sensitive


def test_more_conditions_then_priority() -> None:
    routes = table(
        ("low", route_match("/a", priority=1)),
        ("high", route_match("/a", priority=2)),
        ("conditions", route_match("/a", headers={"X": "1"}, query={"y": "2"})),
        ("condition", route_match("/a", headers={"X": "1"}, priority=9)),
    )
    assert answer(routes, "/a") == "high"
    assert answer(routes, "/a", headers=Headers([(b"x", b"1")]), query=b"y=2") == "conditions"
    assert answer(routes, "/a", headers=Headers([(b"x", b"1")])) == "condition"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"v=2", "two"),
        (b"a=b&v=2&v=3", "two"),
        (b"v=3&v=2", "else"),
        (b"v=%32", "two"),
        (b"v=", "else"),
        (b"", "else"),
        (b"w=a+b", "form"),
    ],
)
def test_query_conditions(query: bytes, expected: str) -> None:
    routes = table(
        ("two", route_match("/a", query={"v": "2"})),
        ("form", route_match("/a", query={"w": "/^a b$/"}, priority=1)),
        ("else", route_match("/a")),
    )
    assert answer(routes, "/a", query=query) == expected


def test_fields_of_one_name_are_one_list() -> None:
    routes = table(("both", route_match("/a", headers={"X": "1, 2"})), ("one", route_match("/a", headers={"X": "1"})))
    assert answer(routes, "/a", headers=Headers([(b"x", b"1"), (b"x", b"2")])) == "both"
    assert answer(routes, "/a", headers=Headers([(b"x", b"1")])) == "one"


def test_a_preflight_has_no_headers_yet() -> None:
    routes = table(("tenant", route_match("/a", method="PUT", headers={"X": "1"}, query={"v": "1"})))
    assert isinstance(routes.match("h", "/a", "PUT", None, b"v=1"), Match)
    assert routes.match("h", "/a", "PUT", None, b"v=2") == Miss(404)
    assert routes.match("h", "/a", "GET", None, b"v=1") == Miss(405, ("PUT",))


def test_a_deep_path_is_not_taken_apart() -> None:
    routes = table(("rest", route_match("/a/{x}/**")), ("exact", route_match("/a/b/c")))
    assert answer(routes, "/a/b/c" + "/c" * 5000) == ("rest", {"x": "b"})
    assert answer(routes, "/b" * 5000) == (404,)


SEGMENTS = st.sampled_from(["a", "b", "{}", "{}", "x%2Fy"])
PATTERNS = st.builds(
    lambda parts, end: (
        "".join("/" + (f"{{p{at}}}" if part == "{}" else part) for at, part in enumerate(parts)) + end or "/"
    ),
    st.lists(SEGMENTS, max_size=3),
    st.sampled_from(["", "", "/", "/**"]),
)
MATCHES = st.builds(
    route_match,
    PATTERNS,
    host=st.sampled_from([None, None, "a.b.c", "*.b.c", "*.c"]),
    method=st.sampled_from([None, "GET", "PUT", ["GET", "PUT"], "HEAD"]),
    headers=st.dictionaries(st.sampled_from(["h", "i"]), st.sampled_from(["1", "2", "/[12]/"]), max_size=2),
    query=st.dictionaries(st.just("q"), st.sampled_from(["1", "/2/"]), max_size=1),
    priority=st.integers(0, 2),
)


def fits(pattern: RouteMatch, path: str) -> bool:
    wanted, given = pattern.path.segments, path[1:].split("/")
    if len(given) < len(wanted) or (len(given) > len(wanted) and not pattern.path.rest):
        return False
    return all(want == have or (want is None and have != "") for want, have in zip(wanted, given, strict=False))


def host_fits(pattern: str, host: str) -> bool:
    return pattern in ("", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]) and host != pattern[2:])


def rank(host: str, match: RouteMatch) -> tuple[object, ...]:
    """CONFIG's sentence, word for word: host (exact, `*.`, none), path, more conditions, priority."""
    by_host = (2,) if host == "" else (1, -len(host)) if host.startswith("*.") else (0,)
    by_segment = [0 if part is not None else 1 for part in match.path.segments] + ([2] if match.path.rest else [])
    return (by_host, by_segment, -match.conditions, -match.priority)


def reference(
    routes: list[RouteMatch], host: str, path: str, method: str, headers: Headers, query: dict[str, str]
) -> set[int] | Miss:
    paths = [
        (rank(pattern, match), at, match)
        for at, match in enumerate(routes)
        for pattern in (match.hosts or ("",))
        if host_fits(pattern, host) and fits(match, path)
    ]
    methods = [row for row in paths if not row[2].methods or method in row[2].answered]
    given = {name.decode(): value.decode() for name, value in headers}
    whole = [
        row
        for row in methods
        if all(c.holds(given.get(c.name)) for c in row[2].headers)
        and all(c.holds(query.get(c.name)) for c in row[2].query)
    ]
    if whole:
        best = min(row[0] for row in whole)
        return {row[1] for row in whole if row[0] == best}
    if methods or not paths:
        return Miss(404)
    return Miss(405, tuple(sorted(set().union(*(row[2].answered for row in paths)))))


@given(
    st.lists(MATCHES, max_size=12),
    st.sampled_from(["a.b.c", "z.b.c", "b.c", "c", "[::1]"]),
    st.lists(st.sampled_from(["a", "b", "c", "x%2Fy"]), max_size=4),
    st.booleans(),
    st.sampled_from(["GET", "HEAD", "PUT", "POST"]),
    st.dictionaries(st.sampled_from([b"h", b"i"]), st.sampled_from([b"1", b"2", b"3"])),
    st.dictionaries(st.just("q"), st.sampled_from(["1", "2"])),
)
def test_the_table_agrees_with_the_text(
    routes: list[RouteMatch],
    host: str,
    parts: list[str],
    slash: bool,
    method: str,
    fields: dict[bytes, bytes],
    query: dict[str, str],
) -> None:
    path = "".join("/" + part for part in parts) + ("/" if slash or not parts else "")
    headers = Headers(fields.items())
    raw = "&".join(f"{name}={value}" for name, value in query.items()).encode()
    expected = reference(routes, host, path, method, headers, query)
    built = build_table([(match, at) for at, match in enumerate(routes)])
    for before in ("PUT", "GET"):  # whoever asked for the path before
        built.match(host, path, before, NONE, b"")
    found = built.match(host, path, method, headers, raw)
    if isinstance(found, Miss):
        assert found == expected
    else:
        assert isinstance(expected, set)
        assert found.route in expected  # ambiguous routes, which `conflicts` refuses, may stand in either order
        given = path[1:].split("/")
        holes = [have for want, have in zip(routes[found.route].path.segments, given, strict=False) if want is None]
        assert [value.replace("/", "%2F") for value in found.params.values()] == holes


def many(count: int) -> list[tuple[RouteMatch, int]]:
    return [(route_match(f"/s{at}/{{id}}", host=f"h{at % 7}.example" if at % 2 else None), at) for at in range(count)]


def test_building_comes_in_slices_and_gives_the_same_table() -> None:
    read: list[int] = []
    steps = build_in_slices((match, read.append(at) or at) for match, at in many(200))  # type: ignore[func-returns-value]  # append gives None
    pauses = []
    while True:
        try:
            next(steps)
        except StopIteration as done:
            built = done.value
            break
        pauses.append(len(read))
    assert len(pauses) >= 10
    assert max(after - before for before, after in zip([0, *pauses], pauses, strict=False)) <= 32
    assert built.size == 200
    assert built.match("h3.example", "/s3/x", "GET", NONE, b"") == Match(3, {"id": "x"})
    assert built.match("h3.example", "/s4/x", "GET", NONE, b"") == Match(4, {"id": "x"})


def test_a_table_goes_without_the_collector() -> None:
    class Handler:
        pass

    handler = Handler()
    gone = weakref.ref(handler)
    built = build_table(
        [(route_match("/a/{x}/**", host="*.h", headers={"X": "/1/"}), handler), (route_match("/b"), handler)]
    )
    assert isinstance(built.match("h", "/b", "GET", NONE, b""), Match)
    gc.disable()
    try:
        del built, handler
        assert gone() is None
    finally:
        gc.enable()


def test_taking_a_table_apart_comes_in_slices() -> None:
    built = build_table(many(300))
    assert sum(1 for _ in dismantle(built)) >= 8
    assert isinstance(built.match("h3.example", "/s4/x", "GET", NONE, b""), Miss)
