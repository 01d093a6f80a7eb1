"""Certificates of callers, as a TLS-terminating proxy hands them on: Client-Cert (RFC 9440), X-Forwarded-Client-Cert (Envoy).

Knows syntax only: whether the proxy is believed is decided before (forwarded.py), whom a certificate names afterwards.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Literal
from urllib.parse import unquote_to_bytes

from gateway.api.messages import Headers
from gateway.http.fields import split_appended, split_parameters
from gateway.http.structured import StructuredError, parse_item

ClientCertHeader = Literal["none", "client-cert", "xfcc"]

CLIENT_CERT = b"client-cert"
CHAIN = b"client-cert-chain"
XFCC = b"x-forwarded-client-cert"
CERTIFICATE_FIELDS = frozenset((CLIENT_CERT, CHAIN, XFCC))

UNREADABLE = b""
"""In place of a certificate: the proxy wrote something that is none."""

_CACHED = 512  # certificates of some 2 KB; reading one takes 30 µs (XFCC 200), the field read before 2 to 4
_PEM = re.compile(rb"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*").fullmatch


def certificate_reader(header: ClientCertHeader) -> Callable[[Headers], bytes | None] | None:
    """What takes the caller's certificate (DER) out of a trusted proxy's fields; None where no field is believed.

    It returns None when the proxy says nothing, and UNREADABLE when what it says is no certificate. The field that the
    proxy is not said to write is removed: it is the caller's own.
    """
    return {"none": None, "client-cert": _of_client_cert, "xfcc": _of_xfcc}[header]


def write_client_cert(der: bytes) -> bytes:
    """The value of Client-Cert (RFC 9440 §2.2): a byte sequence (RFC 9651 §4.1.8)."""
    return b":%b:" % binascii.b2a_base64(der, newline=False)


def _of_client_cert(headers: Headers) -> bytes | None:
    headers.remove_all(XFCC)
    said = headers.get_all(CLIENT_CERT)
    if not said:
        headers.remove_all(CHAIN)  # RFC 9440 §2.3: never without Client-Cert
        return None
    return _item(said[0]) if len(said) == 1 else UNREADABLE


def _of_xfcc(headers: Headers) -> bytes | None:
    headers.remove_all(CLIENT_CERT)
    headers.remove_all(CHAIN)
    said = headers.get_all(XFCC)
    return _element(b", ".join(said)) if said else None


@lru_cache(maxsize=_CACHED)
def _item(raw: bytes) -> bytes:
    try:
        value = parse_item(raw).value
    except StructuredError:
        return UNREADABLE
    return value if isinstance(value, bytes) else UNREADABLE


@lru_cache(maxsize=_CACHED)
def _element(raw: bytes) -> bytes:
    """The certificate of the last element: a proxy appends its own caller's, and what stands left of it is hearsay."""
    elements = split_appended(raw)
    pairs = split_parameters(b";" + elements[-1]) if elements else None
    pem = _PEM(unquote_to_bytes(pairs[1].get(b"cert", b""))) if pairs is not None else None
    if pem is None:
        return UNREADABLE
    try:
        return binascii.a2b_base64(b"".join(pem[1].split()), strict_mode=True)
    except binascii.Error:
        return UNREADABLE
