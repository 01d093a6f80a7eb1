"""HTTP/2 fields: those of requests checked and put in order, those of answers read strictly. Pure: knows no frames.

RFC 9113 §8.1.1: what is malformed ends its stream, so a bad answer harms nobody else's. h2 would end the connection.
"""

from __future__ import annotations

import re

from gateway.api.messages import Headers
from gateway.http.hop_by_hop import RESPONSE_HOP, may_trail
from gateway.upstream.wire import CONTROLS, MAX_FIELDS, Violation

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")  # RFC 9113 §8.2.1: names have no upper case
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# RFC 9113 §8.2.2: they are about an HTTP/1.1 connection, and make a message malformed
_CONNECTION_SPECIFIC = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))
_MAX_NAMES = 2048
_names: set[bytes] = set()  # names seen that are tokens


def check_request(method: str, target: bytes, host: bytes, headers: Headers) -> None:
    """Raises ValueError for what cannot be sent: no policy and no adapter can put one field into another."""
    if not _METHOD.fullmatch(method):
        raise ValueError("the method is no token")
    if len(target.translate(None, CONTROLS + b" ")) != len(target) or len(host.translate(None, CONTROLS)) != len(host):
        raise ValueError("a control character or a space in the target, or in Host")
    for name, value in headers:
        if not _is_name(name) or name in _CONNECTION_SPECIFIC or len(value.translate(None, CONTROLS)) != len(value):
            raise ValueError("a field that HTTP/2 cannot carry")


def request_fields(
    method: str, scheme: bytes, target: bytes, host: bytes, headers: Headers, length: int | None
) -> list[tuple[bytes, bytes]]:
    """The fields of a checked request; the first of `headers`, Host, becomes :authority (RFC 9113 §8.3.1)."""
    fields = [(b":method", method.encode("ascii")), (b":scheme", scheme), (b":authority", host), (b":path", target)]
    fields += headers[1:]
    if length is not None:
        fields.append((b"content-length", b"%d" % length))
    return fields


def read_fields(fields: list[tuple[bytes, bytes]], *, to_head: bool) -> tuple[int, Headers, int | None]:
    """Status, end-to-end fields, and the body's octets where they are announced. Raises Violation."""
    if not fields or fields[0][0] != b":status":
        raise Violation("an answer that does not begin with :status")  # RFC 9113 §8.3.2
    if len(fields) > MAX_FIELDS + 1:
        raise Violation(f"more than {MAX_FIELDS} header fields")
    code = fields[0][1]
    if len(code) != 3 or not code.isdigit() or not 100 <= int(code) <= 599:
        raise Violation("a bad :status")
    status = int(code)
    headers = Headers()
    length: int | None = None
    for name, value in fields[1:]:
        if not _is_name(name):  # a further pseudo-header has a colon, which is in no token
            raise Violation("a header name that is no lower-case token")
        if len(value.translate(None, CONTROLS)) != len(value) or value != value.strip(b" \t"):
            raise Violation("a control character, or blanks around a value")
        if name in RESPONSE_HOP:
            if name in _CONNECTION_SPECIFIC:
                raise Violation("a field that belongs to HTTP/1.1 connections")
            continue
        if name == b"content-length":
            if length is not None or not value.isdigit() or len(value) > 18:
                raise Violation("a Content-Length that is no number, or two")
            length = int(value)
            if status == 204 or status < 200:  # RFC 9110 §8.6
                continue
        headers.append((name, value))
    if to_head or status in (204, 304):
        length = 0
    return status, headers, length


def read_trailers(fields: list[tuple[bytes, bytes]]) -> Headers | None:
    """Those of the trailer fields that may be passed on. Raises Violation."""
    kept = Headers()
    for name, value in fields:  # a pseudo-header has a colon, which is in no token (RFC 9113 §8.1)
        if not _is_name(name) or name in _CONNECTION_SPECIFIC or len(value.translate(None, CONTROLS)) != len(value):
            raise Violation("a bad trailer")
        if may_trail(name):
            kept.append((name, value))
    return kept or None


def _is_name(name: bytes) -> bool:
    if name in _names:
        return True
    if _TOKEN.fullmatch(name) is None:
        return False
    if len(_names) < _MAX_NAMES and len(name) <= 64:
        _names.add(name)
    return True
