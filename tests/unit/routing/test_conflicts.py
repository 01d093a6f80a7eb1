"""Routes that only a priority can tell apart."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.routing import conflicts, route_match


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ({"path": "/a"}, {"path": "/a"}, True),
        ({"path": "/a"}, {"path": "/b"}, False),
        ({"path": "/a"}, {"path": "/a/"}, False),
        ({"path": "/{x}/b"}, {"path": "/{y}/b"}, True),
        ({"path": "/{x}"}, {"path": "/a"}, False),
        ({"path": "/a/**"}, {"path": "/a"}, False),
        ({"path": "/%7ea"}, {"path": "/~a"}, True),
        ({"path": "/a", "priority": 1}, {"path": "/a"}, False),
        ({"path": "/a", "host": "h"}, {"path": "/a"}, False),
        ({"path": "/a", "host": "h"}, {"path": "/a", "host": ["g", "H"]}, True),
        ({"path": "/a", "method": "GET"}, {"path": "/a", "method": "PUT"}, False),
        ({"path": "/a", "method": "GET"}, {"path": "/a", "method": ["PUT", "GET"]}, True),
        ({"path": "/a", "method": "GET"}, {"path": "/a"}, True),
        ({"path": "/a", "method": "GET"}, {"path": "/a", "method": "HEAD"}, True),
        ({"path": "/a", "headers": {"X": "1"}}, {"path": "/a"}, False),  # more conditions before fewer
        ({"path": "/a", "headers": {"X": "1"}}, {"path": "/a", "headers": {"x": "2"}}, False),
        ({"path": "/a", "headers": {"X": "1"}}, {"path": "/a", "headers": {"Y": "2"}}, True),
        ({"path": "/a", "headers": {"X": "1"}}, {"path": "/a", "query": {"x": "2"}}, True),
        ({"path": "/a", "query": {"v": "1"}}, {"path": "/a", "query": {"v": "/^2/"}}, False),
        ({"path": "/a", "query": {"v": "/1/"}}, {"path": "/a", "query": {"v": "/2/"}}, True),
    ],
)
def test_pairs(one: dict[str, Any], other: dict[str, Any], clash: bool) -> None:
    routes = [(route_match(**one), "one"), (route_match(**other), "other")]
    assert list(conflicts(routes)) == ([("one", "other")] if clash else [])


def test_each_pair_is_named_once_in_the_order_of_the_routes() -> None:
    routes = [(route_match("/a", host=["g", "h"]), name) for name in ("one", "two", "three")]
    assert list(conflicts(routes)) == [("one", "two"), ("one", "three"), ("two", "three")]
