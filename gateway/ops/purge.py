"""`DELETE /cache`: stored answers are forgotten by every worker. Knows nothing of how they are stored."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.errors import RequestRefused
from gateway.api.orders import Purge
from gateway.http.target import normal_path
from gateway.ops.answers import Json, problem
from gateway.runtime.ops_backend import OpsBackend

_WAYS = ("url", "prefix", "tag")


class CachePurge:
    def __init__(self, backend: OpsBackend) -> None:
        self._backend = backend

    async def delete(self, request: Request) -> Response:
        given = {name: value for name, value in request.query_params.multi_items() if name in _WAYS and value}
        if len(request.query_params.multi_items()) != 1 or len(given) != 1:
            detail = "Name what to forget by exactly one of url=, prefix= and tag=."
            return problem(400, "ops.purge", detail)
        if "url" in given:
            try:
                given["url"] = _normal(given["url"])
            except (ValueError, RequestRefused):
                detail = (
                    "Write url= as a whole URL as callers do, percent-encoded, as in https://api.example/orders?page=1."
                )
                return problem(400, "ops.purge", detail)
        if "prefix" in given:
            scheme, found, rest = given["prefix"].partition("://")
            if not found or scheme.lower() not in ("http", "https"):
                detail = (
                    "Write prefix= as the beginning of a whole URL as callers do, as in https://api.example/orders/."
                )
                return problem(400, "ops.purge", detail)
            host, slash, path = rest.partition("/")
            given["prefix"] = f"{scheme.lower()}://{host.lower()}{slash}{path}"
        answers = await self._backend.purge(Purge(**given))
        purged = sum(one for worker in answers if isinstance(worker, list) for one in worker if isinstance(one, int))
        return Json({"purged": purged, "workers": len(answers)})


def _normal(url: str) -> str:
    """The URL as stored answers are known by. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("no URL of HTTP")
    path = normal_path((parts.path or "/").encode("ascii"))
    place = f"{parts.scheme}://{parts.netloc.lower()}{path}"
    return f"{place}?{parts.query}" if parts.query else place
