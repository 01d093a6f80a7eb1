"""Who is calling through which proxies, and what upstreams are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.messages import Headers
from gateway.http.client_cert import ClientCertHeader
from gateway.http.forwarded import Caller, ForwardedHeader, ProxyRules

TRUSTED = ["10.0.0.0/8", "2001:db8::/32"]
X = ProxyRules(TRUSTED, "x-forwarded-for")
F = ProxyRules(TRUSTED, "forwarded")


def told(headers: Headers, *names: bytes) -> list[bytes | None]:
    return [headers.get(name) for name in names or (b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto")]


@pytest.mark.parametrize("rules", [ProxyRules(), X, F, ProxyRules(TRUSTED)])
def test_nothing_that_an_untrusted_caller_says_is_believed_or_passed_on(rules: ProxyRules) -> None:
    claims = [
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-real-ip",
        b"x_forwarded_for",  # the same field to whoever knows CGI variables
        b"x-forwarded_proto",
        b"x_real_ip",
        b"client_cert",
        b"forwarded",
        b"client-cert",
        b"x-forwarded-client-cert",
    ]
    headers = Headers(
        [(b"accept", b"*/*"), *((name, b"10.1.1.1") for name in claims), (b"x-forwarded-for", b"1.1.1.1")]
    )
    assert rules.apply(headers, "192.0.2.7", "http", b"api.example") == Caller(
        "192.0.2.7", "http", b"api.example", False
    )
    assert headers == [
        (b"accept", b"*/*"),
        (b"x-forwarded-for", b"192.0.2.7"),
        (b"x-forwarded-host", b"api.example"),
        (b"x-forwarded-proto", b"http"),
    ]


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("9.9.9.9, 192.0.2.1", "192.0.2.1"),  # what stands left of the first untrusted address is hearsay
        ("192.0.2.1, 10.1.1.1", "192.0.2.1"),
        ("192.0.2.1,10.1.1.1 ,2001:db8::7", "192.0.2.1"),
        ("10.2.2.2, 10.1.1.1", "10.2.2.2"),  # all trusted: the farthest
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:DB9::1]:4711", "2001:db9::1"),
        ("2001:db9:0::1", "2001:db9::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, unknown", "10.0.0.1"),
        ("192.0.2.1, <script>, 10.1.1.1", "10.1.1.1"),
        ("192.0.2.1, 010.0.0.1", "10.0.0.1"),  # leading zeroes are octal to some, so to us they are nothing
        ("", "10.0.0.1"),
        (",,", "10.0.0.1"),
    ],
)
def test_the_client_is_the_rightmost_untrusted_address(said: str, client: str) -> None:
    headers = Headers([(b"x-forwarded-for", said.encode())])
    assert X.apply(headers, "10.0.0.1", "http", b"h").client == client


def test_several_fields_are_one_list_and_the_chain_goes_on() -> None:
    headers = Headers(
        [
            (b"x-forwarded-for", b"192.0.2.1"),
            (b"a", b""),
            (b"x-forwarded-for", b"10.1.1.1"),
            (b"forwarded", b"for=9.9.9.9"),
        ]
    )
    assert X.apply(headers, "10.0.0.1", "http", b"h").client == "192.0.2.1"
    assert headers.get_all(b"x-forwarded-for") == [b"192.0.2.1, 10.1.1.1, 10.0.0.1"]
    assert headers.get(b"forwarded") is None  # this proxy is not said to write it: it is the caller's


@pytest.mark.parametrize(
    ("fields", "scheme", "authority"),
    [
        ({"x-forwarded-proto": "https", "x-forwarded-host": "api.example"}, "https", b"api.example"),
        ({"x-forwarded-proto": "HTTPS"}, "https", b"h"),
        (
            {"x-forwarded-for": "192.0.2.1, 10.1.1.1", "x-forwarded-proto": "https, http"},
            "https",
            b"h",
        ),  # one of each proxy
        ({"x-forwarded-for": "9.9.9.9, 192.0.2.1, 10.1.1.1", "x-forwarded-proto": "http, https"}, "https", b"h"),
        ({"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "gopher", "x-forwarded-host": "a b"}, "http", b"h"),
        ({"x-forwarded-for": "unknown", "x-forwarded-proto": "https"}, "https", b"h"),
    ],
)
def test_scheme_and_host_of_trusted_proxies(fields: dict[str, str], scheme: str, authority: bytes) -> None:
    headers = Headers([(name.encode(), value.encode()) for name, value in fields.items()])
    caller = X.apply(headers, "10.0.0.1", "http", b"h")
    assert (caller.scheme, caller.authority) == (scheme, authority)
    assert told(headers, b"x-forwarded-proto", b"x-forwarded-host") == [scheme.encode(), authority]
    assert len(headers.get_all(b"x-forwarded-proto")) == 1


@pytest.mark.parametrize(
    ("said", "caller"),
    [
        ("for=192.0.2.60;proto=https;by=203.0.113.43", Caller("192.0.2.60", "https", b"h", True)),  # RFC 7239 §4
        ('For="[2001:db9:cafe::17]:4711"', Caller("2001:db9:cafe::17", "http", b"h", True)),
        (
            'for=9.9.9.9;host=evil, for=192.0.2.43;host="api.example:8443"',
            Caller("192.0.2.43", "http", b"api.example:8443", True),
        ),
        ("for=192.0.2.43, for=10.1.1.1;proto=https", Caller("192.0.2.43", "https", b"h", True)),
        ("for=192.0.2.43, for=_hidden;proto=https", Caller("10.0.0.1", "https", b"h", True)),
        ('for="_gazonk"', Caller("10.0.0.1", "http", b"h", True)),
        ("for=192.0.2.43, for=10.1.1.1 ; ; =x", Caller("10.0.0.1", "http", b"h", True)),
        ("for=192.0.2.43, nonsense", Caller("10.0.0.1", "http", b"h", True)),
    ],
)
def test_forwarded(said: str, caller: Caller) -> None:
    headers = Headers(
        [(b"forwarded", said.encode()), (b"x-forwarded-for", b"9.9.9.9"), (b"x-forwarded-proto", b"https")]
    )
    assert F.apply(headers, "10.0.0.1", "http", b"h") == caller
    chain = b"10.0.0.1" if caller.client == "10.0.0.1" else caller.client.encode() + b", 10.0.0.1"
    assert told(headers) == [chain, caller.authority, caller.scheme.encode()]
    assert headers.get_all(b"forwarded") == [said.encode() + b', for="10.0.0.1";proto=http']


def test_forwarded_is_written_where_the_proxy_wrote_none() -> None:
    headers = Headers()
    assert F.apply(headers, "2001:db8::1", "https", b"h").client == "2001:db8::1"
    assert headers.get(b"forwarded") == b'for="[2001:db8::1]";proto=https'


def test_a_trusted_proxy_that_writes_no_field_is_the_caller() -> None:
    headers = Headers([(b"x-forwarded-for", b"1.1.1.1")])
    assert ProxyRules(TRUSTED).apply(headers, "10.0.0.1", "http", b"h") == Caller("10.0.0.1", "http", b"h", True)
    assert headers.get(b"x-forwarded-for") == b"10.0.0.1"


def test_a_dual_stack_socket() -> None:
    assert X.apply(Headers([(b"x-forwarded-for", b"1.1.1.1")]), "::ffff:10.0.0.1", "http", b"h").client == "1.1.1.1"
    headers = Headers()
    assert ProxyRules().apply(headers, "::ffff:192.0.2.1", "http", b"h").client == "192.0.2.1"
    assert headers.get(b"x-forwarded-for") == b"192.0.2.1"


@pytest.mark.parametrize(("rules", "client"), [(ProxyRules(), ""), (X, "1.1.1.1")])
def test_a_unix_socket(rules: ProxyRules, client: str) -> None:
    headers = Headers([(b"x-forwarded-for", b"1.1.1.1")])
    assert rules.apply(headers, "", "http", b"h").client == client
    assert headers.get(b"x-forwarded-for") == (client.encode() or None)


def test_a_peer_without_an_address_is_nobody_that_is_trusted() -> None:
    assert X.apply(Headers([(b"x-forwarded-for", b"1.1.1.1")]), "testclient", "http", b"h").client == "testclient"


@pytest.mark.parametrize("written", [b'for="192.0.2.7:4711";proto=https', b"for=192.0.2.7;proto=https"])
@given(st.one_of(st.sampled_from([b'"', b'for=1.1.1.1;a="', b'a="\\', b'a="b, for=1.1.1.1']), st.binary(max_size=30)))
def test_what_a_caller_wrote_hides_nothing_that_proxies_appended(written: bytes, own: bytes) -> None:
    headers = Headers([(b"forwarded", own + b", " + written)])
    assert F.apply(headers, "10.0.0.1", "http", b"a")[:2] == ("192.0.2.7", "https")
    headers = Headers([(b"x-forwarded-for", own + b", 192.0.2.7"), (b"x-forwarded-proto", own + b", https")])
    assert X.apply(headers, "10.0.0.1", "http", b"a")[:2] == ("192.0.2.7", "https")


def test_misspelt_fields_come_through_trusted_proxies_from_callers() -> None:
    headers = Headers(
        [(b"x_forwarded_for", b"1.1.1.1"), (b"client_cert", b":AAAA:"), (b"x-forwarded-for", b"192.0.2.7")]
    )
    assert X.apply(headers, "10.0.0.1", "http", b"a").client == "192.0.2.7"
    assert [name for name, _ in headers] == [b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"]


def test_networks_that_are_none() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        ProxyRules(["proxy.example"])


@given(st.binary(max_size=60), st.sampled_from(["forwarded", "x-forwarded-for"]))
def test_no_octets_of_a_proxy_break_anything(said: bytes, header: ForwardedHeader) -> None:
    headers = Headers([(header.encode(), said)])
    caller = ProxyRules(TRUSTED, header).apply(headers, "10.0.0.1", "http", b"h")
    assert caller.client.isascii()
    assert caller.scheme in ("http", "https")


@pytest.mark.parametrize("header", ["none", "forwarded", "x-forwarded-for"])
@pytest.mark.parametrize(
    ("client_cert", "kept"),
    [("none", []), ("client-cert", [b"client-cert", b"client-cert-chain"]), ("xfcc", [b"x-forwarded-client-cert"])],
)
def test_certificate_fields_come_from_proxies_that_write_them(
    header: ForwardedHeader, client_cert: ClientCertHeader, kept: list[bytes]
) -> None:
    rules = ProxyRules(["10.0.0.0/8"], header, client_cert)
    for peer, expected in (("10.0.0.1", kept), ("192.0.2.1", [])):
        names = (b"client-cert", b"client-cert-chain", b"x-forwarded-client-cert")
        headers = Headers([(name, b":AA==:") for name in names])
        caller = rules.apply(headers, peer, "http", b"h")
        if caller.trusted and rules.certificate_of is not None:
            rules.certificate_of(headers)
        assert [name for name, _ in headers if name in names] == expected
