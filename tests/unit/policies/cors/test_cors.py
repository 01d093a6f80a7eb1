"""cors: preflights, answers, and what a page of another origin may not learn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.api.messages import Headers, Response
from gateway.testing.exchange import OK, FakeScope, make_exchange, run_layer
from policies.cors import POLICY
from policies.cors.config import CorsConfig
from policies.cors.core import Origins, requested_names

APP = "https://app.example"
UNREACHED = AssertionError("the upstream must not see a preflight")


def layer(scope=None, **config):
    return POLICY.build(CorsConfig(**{"origins": [APP], **config}), scope or FakeScope())


def preflight(origin=APP, method="POST", asked=None):
    headers = [("Origin", origin), ("Access-Control-Request-Method", method)]
    if asked is not None:
        headers.append(("Access-Control-Request-Headers", asked))
    return make_exchange("OPTIONS", headers=headers)


def test_a_preflight_is_answered_with_what_was_asked_for():
    answer = run_layer(layer(credentials=True, max_age="1h"), preflight(asked="authorization,X-Trace"), UNREACHED)
    assert answer.status == 204
    assert list(answer.headers) == [
        (b"access-control-allow-origin", b"https://app.example"),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", b"authorization, x-trace"),
        (b"access-control-max-age", b"3600"),
        (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
    ]


@pytest.mark.parametrize(
    ("config", "asked", "code"),
    [
        ({"origins": ["https://other.example"]}, None, "cors.origin-not-allowed"),
        ({"methods": ["GET"]}, None, "cors.method-not-allowed"),
        ({"headers": ["X-One"]}, "x-one, x-two", "cors.header-not-allowed"),
        ({"headers": []}, "x-one", "cors.header-not-allowed"),
        ({}, "not a list of names", "cors.header-not-allowed"),
        ({}, "x" * 5000, "cors.header-not-allowed"),
        ({}, "x-a\r\nset-cookie: a=b", "cors.header-not-allowed"),
    ],
)
def test_a_preflight_that_asks_for_too_much_is_refused(config, asked, code):
    scope = FakeScope()
    exchange = preflight(asked=asked)
    answer = run_layer(layer(scope, **config), exchange, UNREACHED)
    assert answer.status == 403
    assert exchange.codes == [code]
    assert answer.headers.get(b"access-control-allow-origin") is None
    assert b"Origin" in answer.headers.get(b"vary")
    assert scope.counts() == {"refuse": 1}


@pytest.mark.parametrize("asked", [None, "", "x-one", "X-One"])
def test_named_headers_may_be_asked_for_in_any_case(asked):
    assert run_layer(layer(headers=["X-One"]), preflight(asked=asked), UNREACHED).status == 204


def test_an_options_request_that_is_no_preflight_goes_on():
    for headers in ([], [("Origin", APP)], [("Access-Control-Request-Method", "GET")]):
        assert run_layer(layer(), make_exchange("OPTIONS", headers=headers)).status == 200


def test_an_answer_says_that_the_page_may_read_it():
    exchange = make_exchange(headers=[("Origin", APP)])
    upstream = Response(
        200, Headers([(b"access-control-allow-origin", b"*"), (b"vary", b"Accept"), (b"x-total", b"3")]), b""
    )
    answer = run_layer(layer(expose=["X-Total", "X-Request-Id"], credentials=True), exchange, upstream)
    assert list(answer.headers) == [(b"vary", b"Accept"), (b"x-total", b"3")]
    assert exchange.response_headers == [
        (b"access-control-allow-origin", b"https://app.example"),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"X-Total, X-Request-Id"),
        (b"vary", b"Origin"),
    ]


def test_a_fault_is_readable_too():
    exchange = make_exchange(headers=[("Origin", APP)])
    with pytest.raises(OSError, match="upstream"):
        run_layer(layer(), exchange, OSError("upstream"))
    assert (b"access-control-allow-origin", b"https://app.example") in exchange.response_headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.evil.example", APP + "/"])
def test_a_page_of_another_origin_learns_nothing(origin):
    scope = FakeScope()
    exchange = make_exchange(headers=[("Origin", origin)])
    upstream = Response(200, Headers([(b"access-control-allow-origin", b"*")]), b"")
    assert list(run_layer(layer(scope), exchange, upstream).headers) == []
    assert exchange.response_headers == [(b"vary", b"Origin")]
    assert scope.counts() == {"refuse": 1}


def test_without_an_origin_only_vary_is_said():
    scope, exchange = FakeScope(), make_exchange()
    assert run_layer(layer(scope), exchange).status == 200
    assert exchange.response_headers == [(b"vary", b"Origin")]
    assert scope.counts() == {}


def test_every_origin_is_answered_alike():
    exchange = make_exchange(headers=[("Origin", "https://any.example")])
    run_layer(layer(origins=["*"]), exchange)
    assert exchange.response_headers == [(b"access-control-allow-origin", b"*")]


def test_in_shadow_everything_passes_unchanged():
    scope = FakeScope(shadow=True)
    built = layer(scope, origins=["https://other.example"])
    upstream = Response(200, Headers([(b"access-control-allow-origin", b"*")]), b"")
    for exchange in (preflight(), make_exchange(headers=[("Origin", APP)])):
        assert list(run_layer(built, exchange, upstream).headers) == list(upstream.headers)
        assert exchange.response_headers == []
    assert scope.counts() == {"refuse": 2}
    assert run_layer(layer(FakeScope(shadow=True)), preflight(), OK).status == 200


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        (b"https://a.example.com", True),
        (b"https://b.a.example.com", True),
        (b"https://example.com", False),
        (b"http://a.example.com", False),
        (b"https://evilexample.com", False),
        (b"https://evil.com/.example.com", False),
        (b"https://evil.com:1@x.example.com", False),
        (b"https://.example.com", False),
        (b"https://a..example.com", False),
        (b"https://a.example.com:8443", False),
        (b"https://A.example.com", False),
    ],
)
def test_a_wildcard_stands_for_labels_only(origin, admitted):
    assert Origins(["https://*.example.com"]).admits(origin) is admitted


@given(st.binary(max_size=40))
def test_no_octets_make_another_host_of_a_wildcard(middle):
    origin = b"https://" + middle + b".example.com"
    if Origins(["https://*.example.com"]).admits(origin):
        assert set(middle) <= set(b"abcdefghijklmnopqrstuvwxyz0123456789_-.")


@given(st.binary(max_size=60))
def test_whatever_is_echoed_is_a_list_of_names(value):
    names = requested_names(value)
    if names is not None:
        assert not set(b"".join(names)) & set(b' \t\r\n\0,:;"')


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({}, "origins"),
        ({"origins": []}, "at least 1"),
        ({"origins": ["*"], "credentials": True}, "every site act"),
        ({"origins": ["*", APP]}, "already stands"),
        ({"origins": ["app.example"]}, "not an origin"),
        ({"origins": ["https://app.example/path"]}, "not an origin"),
        ({"origins": ["https://*"]}, "not an origin"),
        ({"origins": [APP], "headers": ["X Y"]}, "header's name"),
    ],
)
def test_mistakes_are_told(config, word):
    with pytest.raises(ValidationError, match=word):
        CorsConfig(**config)


def test_origins_are_compared_as_browsers_write_them():
    assert CorsConfig(origins=["https://App.Example:443", "http://x.example:8080"]).origins == (
        "https://app.example",
        "http://x.example:8080",
    )
