"""RFC 9110 §7.6.1: what stays on its connection."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.api.messages import Headers
from gateway.http.hop_by_hop import strip_request, strip_response

BOTH = pytest.mark.parametrize("strip", [strip_request, strip_response])
Strip = Callable[[Headers], Headers]


@BOTH
@pytest.mark.parametrize(
    "name",
    [
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-authentication-info",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ],
)
def test_fields_of_one_hop_go(strip: Strip, name: bytes) -> None:
    assert strip(Headers([(b"a", b"1"), (name, b"x"), (b"b", b"2")])) == [(b"a", b"1"), (b"b", b"2")]


@BOTH
def test_the_rest_stays_in_order(strip: Strip) -> None:
    fields = Headers(
        [
            (b"host", b"h"),
            (b"b", b"1"),
            (b"a", b"2"),
            (b"b", b"3"),
            (b"content-length", b"0"),
            (b"expect", b"100-continue"),
        ]
    )
    kept = strip(fields)
    assert kept == fields
    assert kept is not fields
    assert isinstance(kept, Headers)


@BOTH
@pytest.mark.parametrize("value", [b"X-Foo", b"close, x-foo", b"x-foo,keep-alive", b" ,\tX-FOO ,", b"upgrade , x-foo"])
@pytest.mark.parametrize("first", [True, False])
def test_what_connection_names_goes_wherever_it_stands(strip: Strip, value: bytes, first: bool) -> None:
    fields = [(b"x-foo", b"1"), (b"x-bar", b"2"), (b"x-foo", b"3")]
    fields.insert(0 if first else 3, (b"connection", value))
    assert strip(Headers(fields)) == [(b"x-bar", b"2")]


@BOTH
def test_several_connection_fields(strip: Strip) -> None:
    fields = Headers(
        [(b"connection", b"a"), (b"connection", b"close"), (b"connection", b"b"), (b"a", b""), (b"b", b""), (b"c", b"")]
    )
    assert strip(fields) == [(b"c", b"")]


@BOTH
def test_connection_cannot_take_framing_or_destination_away(strip: Strip) -> None:
    fields = Headers(
        [(b"host", b"h"), (b"content-length", b"3"), (b"connection", b"Host, Content-Length, Transfer-Encoding")]
    )
    assert strip(fields) == [(b"host", b"h"), (b"content-length", b"3")]


def test_the_poisoned_proxy_variable_goes() -> None:
    assert strip_request(Headers([(b"proxy", b"http://evil")])) == []
    assert strip_response(Headers([(b"proxy", b"x")])) == [(b"proxy", b"x")]
