"""What trusted proxies write of certificates is read as RFC 9440 and Envoy say, or not at all."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.messages import Headers
from gateway.http.client_cert import UNREADABLE, certificate_reader, write_client_cert

DER = bytes(range(48, 248)) + b"\x00"
PEM = b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----\n" % base64.encodebytes(DER)
QUOTED = quote(PEM, safe="").encode()
rfc9440 = certificate_reader("client-cert")
envoy = certificate_reader("xfcc")
assert rfc9440 is not None
assert envoy is not None


def test_no_field_is_read_where_none_is_written() -> None:
    assert certificate_reader("none") is None


def test_client_cert_is_read_as_it_is_written() -> None:
    headers = Headers([(b"client-cert", write_client_cert(DER))])
    assert rfc9440(headers) == DER
    assert headers.get(b"client-cert") == b":%b:" % base64.b64encode(DER)


@pytest.mark.parametrize(
    "raw", [b"", b"::", b"AAAA", b":AAAA", b":A*AA:", b'"AAAA"', b":AAAA:, :AAAA:", b"?1", b":AAAA: x"]
)
def test_client_cert_is_one_sequence_of_octets(raw: bytes) -> None:
    assert rfc9440(Headers([(b"client-cert", raw)])) == UNREADABLE


def test_two_fields_are_none() -> None:
    field = (b"client-cert", write_client_cert(DER))
    assert rfc9440(Headers([field, field])) == UNREADABLE


@pytest.mark.parametrize(
    ("raw", "der"),
    [
        (b'Cert="%b"' % QUOTED, DER),
        (b"cert=%b" % QUOTED, DER),
        (b'By=spiffe://a/b;Hash=0a;Subject="CN=\\"a,b\\";O=c";URI=spiffe://c;DNS=d;DNS=e;Cert="%b"' % QUOTED, DER),
        (b'Hash=1;Cert="forged",Hash=0a;Cert="%b"' % QUOTED, DER),
        (b'Hash="open,Hash=0a;Cert="%b"' % QUOTED, DER),
        (b'Hash=0a;Cert="%b",Hash=1' % QUOTED, UNREADABLE),  # the last one is the caller of the proxy next to us
        (b"Hash=0a", UNREADABLE),
        (b'Cert=""', UNREADABLE),
        (b'Cert="%b%b"' % (QUOTED, QUOTED), UNREADABLE),
        (b'Cert="%b"' % QUOTED.replace(b"BEGIN", b"begin"), UNREADABLE),
        (b'Cert="-----BEGIN CERTIFICATE-----A-----END CERTIFICATE-----"', UNREADABLE),
        (b"", UNREADABLE),
        (b'Cert="', UNREADABLE),
    ],
)
def test_xfcc(raw: bytes, der: bytes) -> None:
    assert envoy(Headers([(b"x-forwarded-client-cert", raw)])) == der


def test_fields_of_one_name_are_one_list() -> None:
    name = b"x-forwarded-client-cert"
    assert envoy(Headers([(name, b'Cert="forged"'), (name, b'Cert="%b"' % QUOTED)])) == DER


def test_what_the_proxy_is_not_said_to_write_goes() -> None:
    both = [(b"client-cert", b":AAAA:"), (b"client-cert-chain", b":AAAA:"), (b"x-forwarded-client-cert", b"Hash=1")]
    headers = Headers(both)
    assert rfc9440(headers) == b"\0\0\0"
    assert headers == both[:2]
    headers = Headers(both)
    assert envoy(headers) == UNREADABLE
    assert headers == both[2:]
    headers = Headers(both[1:])
    assert rfc9440(headers) is None
    assert headers == []


@given(st.binary(max_size=100), st.sampled_from([b"client-cert", b"x-forwarded-client-cert"]))
def test_no_octets_break_anything(raw: bytes, name: bytes) -> None:
    for reader in (rfc9440, envoy):
        assert isinstance(reader(Headers([(name, raw)])), bytes | None)
