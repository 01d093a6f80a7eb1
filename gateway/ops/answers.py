"""How the ops plane answers: JSON that people read too, refusals as RFC 9457 problems. Decides none of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Literal

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_KNOWN = {
    404: ("ops.not-found", "Nothing answers here; see docs/operations-port.md for what does."),
    405: ("ops.method-not-allowed", "This path answers other methods; see Allow."),
}


class Json(Response):
    """A document of this moment: indented, because most of them are looked at in a terminal, and kept by no cache."""

    media_type = "application/json"

    def __init__(
        self, document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(document, status, {"cache-control": "no-store", **(headers or {})})

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


class Problem(Json):
    media_type = "application/problem+json"


def moment(unix_s: float, to: Literal["seconds", "milliseconds"] = "milliseconds") -> str:
    """RFC 3339, in UTC."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec=to).replace("+00:00", "Z")


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> Problem:
    """`members` are extension members (RFC 9457 §3.2)."""
    document = {
        "type": f"urn:sluicegate:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **members,
    }
    return Problem(document, status, headers)


def unknown_consumer() -> Problem:
    detail = "The running configuration has no consumer of this name; see /config for those it has."
    return problem(404, "ops.unknown-consumer", detail)


async def of_http(request: Request, exc: Exception) -> Response:
    """What Starlette refuses by itself: unknown paths and methods."""
    assert isinstance(exc, HTTPException), "registered for it only"
    code, detail = _KNOWN.get(exc.status_code, ("ops.refused", f"{exc.detail}; check the request."))
    return problem(exc.status_code, code, detail, exc.headers)


async def of_bug(request: Request, exc: Exception) -> Response:
    """Starlette raises it again after this answer, so that the server logs it."""
    return problem(500, "ops.internal", "The ops plane failed; see the log for where.")
