"""Refusals as RFC 9457 problem responses: a stable code, a human detail, nothing of the caller's input."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson

from gateway.api.messages import Headers, Response

if TYPE_CHECKING:
    from gateway.api.exchange import Exchange

PROBLEM_JSON = (b"content-type", b"application/problem+json")
_NO_STORE = (b"cache-control", b"no-store")
_PHRASES = {status.value: status.phrase for status in HTTPStatus}  # HTTPStatus(503).phrase takes 0.7 µs
_ID = b'"request_id":"'  # a quote within any text before it would be escaped


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
    body = _document(exchange.snapshot.problem_prefix, exchange.request_id, status, code, detail, members)
    # RFC 9111 §5.2.2.5: a refusal is about this caller at this moment, no cache may keep it
    return Response(status, Headers((PROBLEM_JSON, _NO_STORE, *headers)), body)


class PreparedProblem:
    """A refusal that is given often: all but the request's id is written once. 0.87 µs against 1.07 by problem()."""

    def __init__(self, status: int, code: str, detail: str, **members: object) -> None:
        self._status = status
        self._code = code
        self._detail = detail
        self._members = members
        self._prefix: str | None = None
        self._parts = (b"", b"")

    def answer(self, exchange: Exchange, *headers: tuple[bytes, bytes]) -> Response:
        """As problem() gives it."""
        exchange.note(self._code)
        prefix = exchange.snapshot.problem_prefix
        if prefix != self._prefix:
            whole = _document(prefix, "", self._status, self._code, self._detail, self._members)
            before, _, after = whole.partition(_ID)
            self._prefix, self._parts = prefix, (before + _ID, after)
        before, after = self._parts
        # a request id is a token: nothing in it needs escaping
        body = before + exchange.request_id.encode("ascii") + after
        return Response(self._status, Headers((PROBLEM_JSON, _NO_STORE, *headers)), body)


def _document(prefix: str, request_id: str, status: int, code: str, detail: str, members: dict[str, object]) -> bytes:
    document = {
        "type": prefix + code,
        "title": _PHRASES[status],
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
        **members,
    }
    return orjson.dumps(document)
