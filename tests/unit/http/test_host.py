"""Host fields: `host[:digits]` and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.host import Authority, BadHost, parse_authority


@pytest.mark.parametrize(
    ("raw", "authority"),
    [
        (b"api.example", Authority("api.example", None)),
        (b"API.Example:8080", Authority("api.example", 8080)),
        (b"localhost:0", Authority("localhost", 0)),
        (b"api.example.", Authority("api.example", None)),
        (b"my_service-1:080", Authority("my_service-1", 80)),
        (b"10.0.0.1:65535", Authority("10.0.0.1", 65535)),
        (b"[::1]", Authority("[::1]", None)),
        (b"[2001:DB8:0:0:0:0:0:1]:443", Authority("[2001:db8::1]", 443)),
        (b"[::ffff:10.0.0.1]:80", Authority("[::ffff:10.0.0.1]", 80)),
        (b"[::FFFF:a00:1]:80", Authority("[::ffff:10.0.0.1]", 80)),
        (b"a" * 253, Authority("a" * 253, None)),
    ],
)
def test_hosts(raw: bytes, authority: Authority) -> None:
    assert parse_authority(raw) == authority


@pytest.mark.parametrize(
    "raw",
    [
        b"", b":80", b".", b"a..b", b".a", b"a:", b"a:b", b"a:80:80", b"a:-1", b"a:+1", b"a: 80", b"a:65536", b"a:000080", b"a b", b"a\tb", b"a,b",
        b"a/b", b"a?b", b"a#b", b"u@a", b"a%2eb", b"a\x00", b"\xc3\xa9.example", b"a\\b", b"[::1", b"::1", b"[::1]80", b"[::1]:", b"[::1]:x", b"[]",
        b"[10.0.0.1]", b"[fe80::1%25eth0]", b"[fe80::1%eth0]", b"[v1.x]", b"[\xff]", b"a" * 254, b"http://a", "a:\u0661".encode(),
    ],
)  # fmt: skip
def test_everything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(BadHost) as refused:
        parse_authority(raw)
    assert (refused.value.status, refused.value.code) == (400, "request.host")


@given(st.binary(max_size=30))
def test_any_octets_are_taken_or_refused(raw: bytes) -> None:
    try:
        host, port = parse_authority(raw)
    except BadHost:
        return
    again = host.encode() + (b"" if port is None else b":%d" % port)
    assert parse_authority(again) == (host, port)
