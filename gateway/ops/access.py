"""Who may use the ops port: whoever has the token, or without one, whoever sits on this machine. Knows no endpoint's meaning."""

from __future__ import annotations

import logging
from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.settings.document import Ops
from gateway.ops.answers import Problem, problem

log = logging.getLogger("sluicegate.ops")

HEALTH = frozenset(("/healthz", "/readyz"))  # probes of orchestrators carry no secrets
METRICS = "/metrics"


class Access:
    """ASGI middleware. `settings` are those of the start: the token must fit the address that was bound with it."""

    def __init__(self, app: ASGIApp, settings: Ops) -> None:
        self._app = app
        self._digest = None if settings.token is None else _digest(settings.token)
        self._open = HEALTH | {METRICS} if settings.metrics == "open" else HEALTH

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._open:
            refusal = self._refusal(Headers(scope=scope))
            if refusal is not None:
                client = scope.get("client")
                log.warning(
                    "ops port: %s %s from %s refused", scope["method"], scope["path"], client[0] if client else "-"
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> Problem | None:
        if self._digest is None:
            return _from_this_machine(headers)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return _unauthorized("ops.token-missing", "Send the ops token: Authorization: Bearer TOKEN.", "")
        # digests have one length, so the comparison tells nothing of the token's
        if not compare_digest(_digest(token.strip()), self._digest):
            return _unauthorized(
                "ops.token-wrong", "This is not the ops token; send that of `ops.token`.", ', error="invalid_token"'
            )
        return None


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def _unauthorized(code: str, detail: str, error: str) -> Problem:
    # RFC 6750 §3
    return problem(401, code, detail, {"www-authenticate": f'Bearer realm="sluicegate ops"{error}'})


def _from_this_machine(headers: Headers) -> Problem | None:
    """A loopback port without a token is still reached by the browsers of this machine, and through them by web pages.

    A page elsewhere shows in Origin, or in Host when it made its own name point here (DNS rebinding).
    """
    origin = headers.get("origin")
    if not _is_loopback(f"//{headers.get('host', '')}") or (origin is not None and not _is_loopback(origin)):
        detail = "Without ops.token only calls to a loopback address, and from no other site, are answered; call 127.0.0.1, or set ops.token."
        return problem(403, "ops.foreign", detail)
    return None


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
