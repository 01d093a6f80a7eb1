"""Orders about credentials: tokens are revoked on all workers, and each API key's last use is shown. Keeps nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.config import parse_duration
from gateway.api.orders import LastUses, Revoke
from gateway.ops.answers import Json, moment, problem, unknown_consumer
from gateway.runtime.ops_backend import OpsBackend

MAX_BODY = 16 * 1024
LONGEST_S = 30 * 86400.0  # no access token should live longer
_MEMBERS = {"issuer", "jti", "subject", "lifetime"}


class CredentialOrders:
    def __init__(self, backend: OpsBackend) -> None:
        self._backend = backend

    async def revoke(self, request: Request) -> Response:
        order = _order(await _body(request), time.time())
        if isinstance(order, str):
            return problem(422, "ops.bad-order", order)
        if order.issuer not in self._backend.plan().issuers:
            return problem(
                404,
                "ops.unknown-issuer",
                "The running configuration has no issuer of this name; see /config for those it has.",
            )
        recorded = await self._backend.remember(order)  # first: a worker that starts meanwhile must not miss it
        counts = [
            sum(answer for answer in answers if isinstance(answer, int))
            for answers in await self._backend.purge(order)
            if isinstance(answers, list)
        ]
        until = moment(order.until, "seconds")
        return Json({"workers": len(counts), "forgotten": sum(counts), "until": until, "recorded": recorded})

    async def keys(self, request: Request) -> Response:
        """All keys, or those of `?consumer=NAME`: when each was used last, since the workers started."""
        consumers = self._backend.plan().consumers
        name = request.query_params.get("consumer")
        if name is not None and name not in consumers:
            return unknown_consumer()
        used = _newest(await self._backend.purge(LastUses()))
        listed = [
            {
                "consumer": each,
                "id": key_id,
                "expires": None if expires is None else moment(expires, "seconds"),
                "last_used": moment(used[digest], "seconds") if digest in used else None,
            }
            for each in (consumers if name is None else (name,))
            for digest, key_id, expires in consumers[each].keys
        ]
        return Json({"keys": listed})


async def _body(request: Request) -> bytes | None:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _order(body: bytes | None, now: float) -> Revoke | str:
    """The order, or what is wrong with it."""
    try:
        said = None if body is None else orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict) or not all(isinstance(value, str) and value for value in said.values()):
        return 'Write JSON, for example {"issuer": "partners", "jti": "…", "lifetime": "1h"}; every member is text.'
    if not said.keys() <= _MEMBERS or "issuer" not in said or ("jti" in said) == ("subject" in said):
        return "Name an `issuer`, and either a `jti` or a `subject`; a `lifetime` may follow, and nothing else."
    try:
        lifetime_s = parse_duration(said.get("lifetime", "24h"))
    except ValueError:
        lifetime_s = 0.0
    if not 0.0 < lifetime_s <= LONGEST_S:
        return "Write `lifetime`, how long such tokens may live, as a number with s, m, h or d, at most 30d."
    return Revoke(said["issuer"], said.get("jti"), said.get("subject"), now, now + lifetime_s)


def _newest(answers: list[object]) -> Mapping[bytes, float]:
    """What several workers say, as one."""
    used: dict[bytes, float] = {}
    for table in _tables(answers):
        for digest, at in table.items():
            used[digest] = max(at, used.get(digest, 0.0))
    return used


def _tables(answers: list[object]) -> Iterator[Mapping[Any, float]]:
    for answer in answers:
        if isinstance(answer, list):
            yield from (one for one in answer if isinstance(one, Mapping))
