"""Refusals as RFC 9457 problem responses: a stable code, a human detail, nothing of the caller's input."""

from __future__ import annotations

from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING

import orjson

from gateway.api.messages import Headers, Response

if TYPE_CHECKING:
    from gateway.api.exchange import Exchange

PROBLEM_JSON = (b"content-type", b"application/problem+json")
_NO_STORE = (b"cache-control", b"no-store")
_PHRASES = {status.value: status.phrase for status in HTTPStatus}  # HTTPStatus(503).phrase takes 0.7 µs


def retry_after(seconds: float) -> tuple[bytes, bytes]:
    """The field Retry-After (RFC 9110 §10.2.3): whole seconds, one at least."""
    return b"retry-after", b"%d" % max(1, ceil(seconds))


RETRY_SOON = (retry_after(1),)


def problem(
    exchange: Exchange,
    status: int,
    code: str,
    detail: str,
    headers: list[tuple[bytes, bytes]] | tuple[tuple[bytes, bytes], ...] = (),
    **members: object,
) -> Response:
    """A refusal. `code` is `POLICY.reason`, lower case with hyphens; it also goes to the access log.

    `members` are extension members (RFC 9457 §3.2), e.g. `pointer` or `fault`.
    """
    exchange.note(code)
    document = {
        "type": exchange.snapshot.problem_prefix + code,
        "title": _PHRASES[status],
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": exchange.request_id,
        **members,
    }
    # RFC 9111 §5.2.2.5: a refusal is about this caller at this moment, no cache may keep it
    return Response(status, Headers((PROBLEM_JSON, _NO_STORE, *headers)), orjson.dumps(document))
