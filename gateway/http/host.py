"""The Host field (RFC 9110 §7.2) and authorities of targets: `host[:digits]`. Knows no names that are served."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

from gateway.api.errors import RequestRefused

MAX_NAME = 253  # RFC 1035 §2.3.4: 255 octets on the wire
# RFC 3986 §3.2.2 allows percent-encoding and sub-delims in names; no name in use has them, and upstreams disagree on them
_NAME = re.compile(rb"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*+\.?").fullmatch
_DIGITS = re.compile(rb"[0-9]{1,5}").fullmatch


class BadHost(RequestRefused):
    """A Host that is missing, doubled or not `host[:digits]`: 400 (RFC 9112 §3.2). Who reads the fields counts them."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, "request.host", f"{detail}; send one, as host[:port]")


class Authority(NamedTuple):
    host: str  # lower case, without a trailing dot; IPv6 in brackets, in its shortest form
    port: int | None


@lru_cache(maxsize=1024)  # bounded: who sends made-up names only evicts; 0.1 µs for a name seen before
def parse_authority(raw: bytes) -> Authority:
    """`host[:port]` taken apart, with the host in normal form. Raises BadHost."""
    if raw[:1] == b"[":
        literal, bracket, rest = raw[1:].partition(b"]")
        host = _ipv6(literal)
        if not bracket or (rest and rest[:1] != b":"):
            raise BadHost("the Host field is not host[:port]")
        colon, digits = rest[:1], rest[1:]
    else:
        name, colon, digits = raw.partition(b":")
        if len(name) > MAX_NAME or not _NAME(name):
            raise BadHost("the Host field is not host[:port]")
        host = name.decode("ascii").lower().removesuffix(".")
    if not colon:
        return Authority(host, None)
    if not _DIGITS(digits) or int(digits) > 65535:
        raise BadHost("the port in the Host field is not a number up to 65535")
    return Authority(host, int(digits))


def _ipv6(literal: bytes) -> str:
    try:
        # RFC 6874's zones mean something on the caller's machine only
        address = IPv6Address(literal.decode("ascii").replace("%", " "))
    except (AddressValueError, UnicodeDecodeError) as exc:
        raise BadHost("the Host field holds a malformed IPv6 address") from exc
    mapped = address.ipv4_mapped  # RFC 5952 §5; Python wrote these another way before 3.13
    return f"[{address.compressed}]" if mapped is None else f"[::ffff:{mapped}]"
