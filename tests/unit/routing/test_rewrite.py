"""The path that the upstream sees."""

from __future__ import annotations

import pytest

from gateway.api.settings.route import Rewrite
from gateway.routing import PatternError
from gateway.routing.pattern import parse_path
from gateway.routing.rewrite import of_rewrite


@pytest.mark.parametrize(
    ("match", "rewrite", "path", "target"),
    [
        ("/customers/{name}", {"path": "/internal/{name}"}, "/customers/acme", b"/internal/acme"),
        ("/customers/{name}", {"path": "/internal/{name}"}, "/customers/a%2Fb%C3%A9", b"/internal/a%2Fb%C3%A9"),
        ("/{a}/{b}", {"path": "/{b}/x/{a}/{b}"}, "/1/2", b"/2/x/1/2"),
        ("/a/{x}", {"path": "/fixed"}, "/a/b", b"/fixed"),
        ("/a/{x}/**", {"path": "/{x}/**"}, "/a/b/c/d", b"/b/c/d"),
        ("/a/{x}/**", {"path": "/{x}/**"}, "/a/b", b"/b"),
        ("/a/{x}/**", {"path": "/{x}/**"}, "/a/b/", b"/b/"),
        ("/old/**", {"path": "/**"}, "/old/x", b"/x"),
        ("/old/**", {"path": "/**"}, "/old", b"/"),
        ("/v1/**", {"strip_prefix": "/v1"}, "/v1/orders/7", b"/orders/7"),
        ("/v1/**", {"strip_prefix": "/v1/"}, "/v1", b"/"),
        ("/v1/**", {"strip_prefix": "/v1"}, "/v1/", b"/"),
        ("/v1/{x}", {"strip_prefix": "/"}, "/v1/a", b"/v1/a"),
        ("/a%7eb/c", {"strip_prefix": "/a~b"}, "/a~b/c", b"/c"),
    ],
)
def test_rewriting(match: str, rewrite: dict[str, str], path: str, target: bytes) -> None:
    compiled = of_rewrite(Rewrite.model_validate(rewrite), parse_path(match))
    assert compiled is not None
    assert compiled(path) == target


def test_without_rewriting_there_is_nothing_to_call() -> None:
    assert of_rewrite(None, parse_path("/a")) is None


@pytest.mark.parametrize(
    ("match", "rewrite"),
    [
        ("/a/{x}", {"path": "/b/{y}"}),
        ("/a/{x}", {"path": "/b/**"}),
        ("/v1x/**", {"strip_prefix": "/v1"}),
        ("/{x}/**", {"strip_prefix": "/v1"}),
        ("/v1", {"strip_prefix": "/v1/a"}),
        ("/v1/**", {"strip_prefix": "/{x}"}),
        ("/v1/**", {"strip_prefix": "/v1/**"}),
    ],
)
def test_rewriting_that_cannot_be(match: str, rewrite: dict[str, str]) -> None:
    with pytest.raises(PatternError):
        of_rewrite(Rewrite.model_validate(rewrite), parse_path(match))
