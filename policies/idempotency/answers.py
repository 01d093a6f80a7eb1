"""What is kept of an answer and how it is given again; and what callers are told instead. Decides nothing."""

from __future__ import annotations

from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Headers, Response
from gateway.api.problem import RETRY_SOON, problem
from gateway.http.dates import format_date
from policies.idempotency.kept import Answer, Fields

# Of the moment (RFC 9110 §6.6.1, RFC 9111 §5.1), or written anew for each message
_NOT_KEPT = frozenset((b"date", b"age", b"content-length", b"connection", b"server", b"x-request-id"))
REPLAYED = (b"idempotency-replayed", b"true")
ABOUT = (
    (
        b"link",
        b'<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>; rel="describedby"',
    ),
)


def kept_fields(headers: Headers) -> Fields:
    return tuple([field for field in headers if field[0] not in _NOT_KEPT])


def replay(answer: Answer, unix_s: float) -> Response:
    """The first answer again: status, fields and body as they were, with a fresh Date."""
    headers = Headers(answer.headers)
    headers.append((b"date", format_date(unix_s)))
    headers.append(REPLAYED)
    return Response(answer.status, headers, answer.body)


def missing(exchange: Exchange, header: str) -> Response:
    detail = f"This call needs the field {header}; send a new random value, and the same again with every retry."
    return problem(exchange, 400, "idempotency.key-missing", detail, ABOUT)


def malformed(exchange: Exchange, header: str, why: str) -> Response:
    return problem(
        exchange,
        400,
        "idempotency.key-malformed",
        f"The field {header} holds no key: {why}; send one of up to 255 visible characters.",
        ABOUT,
    )


def other_request(exchange: Exchange) -> Response:
    detail = "This key was used for another request; send a new request with a new key, and a retry unchanged."
    return problem(exchange, 422, "idempotency.other-request", detail)


def in_flight(exchange: Exchange) -> Response:
    detail = "The first call with this key is still under way; ask again for its answer."
    return problem(exchange, 409, "idempotency.in-flight", detail, RETRY_SOON)


def outcome_unknown(exchange: Exchange) -> Response:
    detail = (
        "Nobody knows whether the first call with this key was executed; it is not sent again. "
        "Ask the operators to settle it, and keep the key."
    )
    return problem(exchange, 409, "idempotency.outcome-unknown", detail)


def too_large(exchange: Exchange) -> Response:
    detail = "The call with this key was executed; its answer was too large to keep; ask the operators for it, and do not send it under a new key."
    return problem(exchange, 409, "idempotency.too-large", detail)


def unreadable(exchange: Exchange) -> Response:
    detail = "The call with this key was executed; its answer can no longer be read; ask the operators for it, and do not send it under a new key."
    return problem(exchange, 409, "idempotency.unreadable", detail)


def unavailable(exchange: Exchange) -> Response:
    detail = "The store of idempotency keys is out of reach, so nothing was sent; try again soon."
    return problem(exchange, 503, "idempotency.store-unavailable", detail, RETRY_SOON)


def too_late(exchange: Exchange) -> Response:
    detail = "The time for this call was over before it could be sent; nothing was sent, try again."
    return problem(exchange, 503, "idempotency.too-late", detail, RETRY_SOON)


class Continued(Body):
    """A body whose beginning was read already."""

    __slots__ = ("_pieces", "_rest", "length")

    def __init__(self, pieces: list[bytes], rest: Body) -> None:
        self.length = rest.length
        self._pieces = pieces[::-1]
        self._rest = rest

    async def read(self) -> bytes:
        return self._pieces.pop() if self._pieces else await self._rest.read()

    def close(self) -> None:
        self._pieces.clear()
        self._rest.close()
