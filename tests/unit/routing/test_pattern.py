"""What ops may write under `match`, and what they are told when it cannot be."""

from __future__ import annotations

import pytest

from gateway.api.settings.route import RouteConfig
from gateway.routing import PatternError, of_route, route_match
from gateway.routing.pattern import Condition, parse_condition, parse_host, parse_path


@pytest.mark.parametrize(
    ("text", "segments", "names", "rest"),
    [
        ("/", ("",), (), False),
        ("/**", (), (), True),
        ("/a", ("a",), (), False),
        ("/a/", ("a", ""), (), False),
        ("/customers/{id}", ("customers", None), ("id",), False),
        ("/{a}/b/{customer-id}/**", (None, "b", None), ("a", "customer-id"), True),
        ("/files/**", ("files",), (), True),
        ("/caf%c3%a9/%7euser", ("caf%C3%A9", "~user"), (), False),
        ("/café", ("caf%C3%A9",), (), False),
        ("/a b", ("a%20b",), (), False),
        ("/.well-known/x", (".well-known", "x"), (), False),
        ("/v1*/x", ("v1*", "x"), (), False),
    ],
)
def test_paths(text: str, segments: tuple[str | None, ...], names: tuple[str, ...], rest: bool) -> None:
    pattern = parse_path(text)
    assert (pattern.segments, pattern.names, pattern.rest) == (segments, names, rest)
    assert parse_path(str(pattern)) == pattern


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("orders", "begins with a slash"),
        ("/a/{id}.json", "whole segment"),
        ("/a/{}", "whole segment"),
        ("/a/{1}", "whole segment"),
        ("/a/**/b", "at the end only"),
        ("/a/b**", "at the end only"),
        ("/{id}/x/{id}", "twice"),
        ("/a/../b", "dot segments"),
        ("/a/%2e/b", "dot segments"),
        ("/a\\b", "can never be"),
        ("/a?x=1", "can never be"),
        ("/a#top", "can never be"),
        ("/a%zz", "can never be"),
        ("/a%00", "can never be"),
    ],
)
def test_paths_that_are_refused(text: str, says: str) -> None:
    with pytest.raises(PatternError, match=says.replace("*", r"\*")) as refused:
        parse_path(text)
    assert refused.value.field == "path"


def test_position_of_a_placeholder() -> None:
    pattern = parse_path("/a/{x}/b/{y}")
    assert (pattern.position("x"), pattern.position("y")) == (1, 3)
    with pytest.raises(KeyError):
        pattern.position("z")


@pytest.mark.parametrize(
    ("text", "host"),
    [("API.Example", "api.example"), ("*.Example", "*.example"), ("[::1]", "[::1]"), ("10.0.0.1", "10.0.0.1")],
)
def test_hosts(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text", ["", "api.example:443", "http://api.example", "a*.example", "*", "*.[::1]", "api example", "bücher"]
)
def test_hosts_that_are_refused(text: str) -> None:
    with pytest.raises(PatternError) as refused:
        parse_host(text)
    assert refused.value.field == "host"


@pytest.mark.parametrize(
    "bad",
    [
        {"method": "get"},
        {"method": ["GET", ""]},
        {"headers": {"a b": "1"}},
        {"headers": {"X": "/(/"}},
        {"query": {"x": "/[/"}},
    ],
)
def test_other_fields_that_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(PatternError) as refused:
        route_match("/", **bad)  # type: ignore[arg-type]  # what YAML may hold
    assert refused.value.field in bad


def test_a_match_holds_what_was_written() -> None:
    match = route_match(
        "/a",
        host=["A.example", "a.example", "*.b"],
        method=["GET", "PUT"],
        headers={"X-Tenant": "acme"},
        query={"Ver": "/^2/"},
    )
    assert match.hosts == ("a.example", "*.b")
    assert match.answered == {"GET", "HEAD", "PUT"}
    assert [condition.name for condition in (*match.headers, *match.query)] == ["x-tenant", "Ver"]
    assert match.conditions == 2


def test_a_match_is_made_from_the_configuration() -> None:
    config = RouteConfig.model_validate(
        {"name": "a", "match": {"path": "/a/{id}", "method": "GET", "host": "A.example"}, "priority": 3}
    )
    assert of_route(config) == route_match("/a/{id}", host="a.example", method="GET", priority=3)


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ("v1", "v1", True),
        ("v1", "V1", False),
        ("v1", None, False),
        ("/^v[12]$/", "v2", True),
        ("/^v[12]$/", "v3", False),
        ("/b/", "abc", True),
        ("/", "/", True),
        ("//", "anything", True),
    ],
)
def test_conditions(condition: str, value: str | None, holds: bool) -> None:
    assert parse_condition("headers", "x", condition).holds(value) is holds


@pytest.mark.parametrize(
    ("one", "other", "excludes"),
    [("1", "2", True), ("1", "1", False), ("1", "/^[23]$/", True), ("1", "/1/", False), ("/^1$/", "/^2$/", False)],
)
def test_conditions_that_exclude_each_other(one: str, other: str, excludes: bool) -> None:
    first, second = parse_condition("query", "x", one), parse_condition("query", "x", other)
    assert first.excludes(second) is excludes
    assert second.excludes(first) is excludes
    assert not first.excludes(Condition("y", "2"))
