"""Conditional and range requests, answered from a stored answer (RFC 9110 §13 and §14, RFC 9111 §4.3). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.api.messages import Headers, Response
from gateway.http.dates import parse_date
from gateway.http.fields import split_list
from policies.cache.core import Stored
from policies.cache.terms import date_of

CONDITIONS = frozenset((b"if-none-match", b"if-modified-since", b"if-range", b"range"))
ORIGIN_ONLY = frozenset((b"if-match", b"if-unmodified-since", b"sec-websocket-key"))
"""What only the origin answers: preconditions on its own state (RFC 9111 §4.3.2), and handshakes (RFC 6455 §4.1), which look like a GET."""
_NOT_IN_304 = frozenset((b"content-type", b"content-encoding", b"content-language", b"content-range"))
_RANGE = re.compile(rb"(\d*)-(\d*)").fullmatch
_LONGEST = 18  # digits of a position; more are beyond any body


def answer(stored: Stored, request: Headers, method: str, wall: float) -> Response:
    """200 (or what is stored), 206, 304 or 416, as the request's conditions have it. Without Age."""
    if stored.kind.status != 200:
        return Response(stored.kind.status, stored.headers, stored.body)
    if _unchanged(stored, request, wall):
        return Response(304, Headers(one for one in stored.headers if one[0] not in _NOT_IN_304))
    wanted = request.get_all(b"range")
    if method == "GET" and len(wanted) == 1 and _in_time(stored, request, wall):
        part = _part(wanted[0], len(stored.body))
        if part is not None:
            return _partial(stored, *part)
    return Response(200, stored.headers, stored.body)


def conditional(request: Headers, stored: Iterable[Stored]) -> Headers:
    """The request's fields with the validators of what is stored in place of its own conditions (RFC 9111 §4.3.1)."""
    fields = Headers(one for one in request if one[0] not in CONDITIONS)
    stored = list(stored)
    etags = list(dict.fromkeys(one.etag for one in stored if one.etag is not None))
    if etags:
        fields.append((b"if-none-match", b", ".join(etags)))
    for one in stored[:1]:
        if (modified := one.last_modified) is not None:
            fields.append((b"if-modified-since", modified))
    return fields


def same_etag(one: bytes, other: bytes) -> bool:
    """The weak comparison (RFC 9110 §8.8.3.2)."""
    return one.removeprefix(b"W/") == other.removeprefix(b"W/")


def _unchanged(stored: Stored, request: Headers, wall: float) -> bool:
    named = request.get_all(b"if-none-match")
    if named:  # RFC 9110 §13.1.3: If-Modified-Since is ignored beside it
        listed = split_list(b",".join(named))
        return listed == [b"*"] or (stored.etag is not None and any(same_etag(tag, stored.etag) for tag in listed))
    since = request.get_all(b"if-modified-since")
    at = parse_date(since[0], wall) if len(since) == 1 else None  # §13.1.3: an invalid one is ignored
    # RFC 9111 §4.3.2: without Last-Modified the Date stands in
    if at is None:
        return False
    modified = stored.modified(wall)
    return (date_of(stored.headers, wall) if modified is None else modified) <= at


def _in_time(stored: Stored, request: Headers, wall: float) -> bool:
    """RFC 9110 §13.1.5: If-Range, by strong comparison."""
    said = request.get(b"if-range")
    if said is None:
        return True
    if said[:1] == b'"':
        return said == stored.etag
    # §8.8.2.2: a date is a strong validator when it was 60 s old as the answer was made
    modified = stored.modified(wall)
    return (
        modified is not None and parse_date(said, wall) == modified and date_of(stored.headers, wall) - modified >= 60
    )


def _part(raw: bytes, size: int) -> tuple[int, int] | None:
    """First position and end of one range of bytes, (size, size) when it cannot be satisfied; None: ignore the field.

    Of several ranges none is served: the whole answer is as right (RFC 9110 §14.2).
    """
    unit, _, given = raw.partition(b"=")
    found = _RANGE(given.strip(b" \t")) if unit.lower() == b"bytes" else None
    if found is None or not (found[1] or found[2]) or max(len(found[1]), len(found[2])) > _LONGEST:
        return None
    if not found[1]:
        first = max(0, size - int(found[2]))
        return (first, size) if int(found[2]) else (size, size)
    first = int(found[1])
    if found[2] and int(found[2]) < first:
        return None
    if first >= size:
        return size, size
    return first, min(int(found[2]) + 1, size) if found[2] else size


def _partial(stored: Stored, first: int, end: int) -> Response:
    size = len(stored.body)
    if first >= size:  # RFC 9110 §15.5.17
        return Response(416, Headers([(b"content-range", b"bytes */%d" % size)]))
    headers = stored.headers
    headers.remove_all(b"content-range")  # RFC 9110 §14.4: in a 200 it has no meaning
    headers.append((b"content-range", b"bytes %d-%d/%d" % (first, end - 1, size)))
    return Response(206, headers, stored.body[first:end])
