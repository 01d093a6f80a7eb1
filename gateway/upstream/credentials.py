"""How the gateway makes itself known to an upstream: fixed fields, a token of its own, or the caller's token exchanged.

Stands in front of the upstream's client, and nowhere when the upstream has no `auth`. Knows no routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Protocol, TypeAlias

from gateway.api.errors import Cause, RequestRefused, UpstreamError
from gateway.api.messages import Body, Headers, Response, UpstreamRequest
from gateway.api.settings.upstream_auth import ClientCredentials, TokenExchange, UpstreamAuth
from gateway.upstream.tokens import AccessToken, NoTokenError, Tokens

_BEARER = b"bearer "
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type's name (RFC 8693 §3)

TokenClient: TypeAlias = ClientCredentials | TokenExchange


class Recipient(Protocol):
    """An upstream, as far as calling it needs it."""

    name: str

    async def send(self, request: UpstreamRequest, deadline: float, *, replayable: bool = False) -> Response: ...

    async def open_websocket(
        self, request: UpstreamRequest, subprotocols: bytes | None, deadline: float
    ) -> Response: ...


class FixedFields:
    """`auth.headers`. The caller's own fields of these names never reach the upstream."""

    def __init__(self, upstream: Recipient, fields: Mapping[str, str]) -> None:
        self.name = upstream.name
        self._upstream = upstream
        # a secret's file often ends with a line feed
        self._fields = [(name.lower().encode("ascii"), value.strip().encode()) for name, value in fields.items()]

    async def send(self, request: UpstreamRequest, deadline: float, *, replayable: bool = False) -> Response:
        self._write(request.headers)
        return await self._upstream.send(request, deadline, replayable=replayable)

    async def open_websocket(self, request: UpstreamRequest, subprotocols: bytes | None, deadline: float) -> Response:
        self._write(request.headers)
        return await self._upstream.open_websocket(request, subprotocols, deadline)

    def _write(self, headers: Headers) -> None:
        for name, value in self._fields:
            headers.set(name, value)


class Demand(Protocol):
    """Which token a call needs."""

    def of(self, headers: Headers) -> tuple[bytes, Mapping[str, str]]:
        """What the token is kept by, and the form that asks for it. Raises RequestRefused."""
        ...


class OwnToken:
    """`auth.oauth2`: one token for all calls (RFC 6749 §4.4)."""

    def __init__(self, config: ClientCredentials) -> None:
        self._form = {"grant_type": "client_credentials"}
        if config.scopes:
            self._form["scope"] = " ".join(config.scopes)

    def of(self, headers: Headers) -> tuple[bytes, Mapping[str, str]]:
        return b"", self._form


class ExchangedToken:
    """`auth.exchange`: one token for each of the callers' (RFC 8693 §2.1)."""

    def __init__(self, config: TokenExchange) -> None:
        self._audience = config.audience

    def of(self, headers: Headers) -> tuple[bytes, Mapping[str, str]]:
        value = headers.get(b"authorization") or b""
        if value[: len(_BEARER)].lower() != _BEARER:
            raise RequestRefused(
                403,
                "upstream.no-token",
                "This call needs an access token that can be passed on; send one in Authorization.",
            )
        token = value[len(_BEARER) :].strip(b" ")
        return sha256(token).digest(), {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": token.decode("latin-1"),
            "subject_token_type": _ACCESS_TOKEN,
            "audience": self._audience,
        }


class WithToken:
    """Calls an upstream with a token; once more with another when the upstream refuses it and the body can be repeated."""

    def __init__(self, upstream: Recipient, demand: Demand, tokens: Tokens) -> None:
        self.name = upstream.name
        self._upstream = upstream
        self._demand = demand
        self._tokens = tokens

    async def send(self, request: UpstreamRequest, deadline: float, *, replayable: bool = False) -> Response:
        key, form = self._demand.of(request.headers)
        token = self._tokens.get_nowait(key, form) or await self._token(key, form, deadline)
        request.headers.set(b"authorization", token.field)
        response = await self._upstream.send(request, deadline, replayable=replayable)
        # a refused call had no effect, so that repeating it is safe whatever its method (RFC 9110 §15.5.2)
        # forgotten also where this call cannot be repeated: the next one brings another token
        if response.status != 401 or not self._tokens.forget(key, token) or isinstance(request.body, Body):
            return response
        if isinstance(response.body, Body):
            response.body.close()
        request.headers.set(b"authorization", (await self._token(key, form, deadline)).field)
        return await self._upstream.send(request, deadline, replayable=replayable)

    async def open_websocket(self, request: UpstreamRequest, subprotocols: bytes | None, deadline: float) -> Response:
        key, form = self._demand.of(request.headers)
        token = self._tokens.get_nowait(key, form) or await self._token(key, form, deadline)
        request.headers.set(b"authorization", token.field)
        response = await self._upstream.open_websocket(request, subprotocols, deadline)
        if response.status == 401:  # a handshake is not repeated
            self._tokens.forget(key, token)
        return response

    async def _token(self, key: bytes, form: Mapping[str, str], deadline: float) -> AccessToken:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._tokens.get(key, form)
        except TimeoutError as exc:
            detail = "no token for it in time"
            raise UpstreamError(Cause.TIMEOUT, "connect", sent=False, upstream=self.name, detail=detail) from exc
        except NoTokenError as exc:
            if exc.refused and key:
                detail = "The access token cannot be exchanged for one of the upstream's; get a new one, or ask the operators."
                raise RequestRefused(403, "upstream.exchange-refused", detail) from exc
            raise UpstreamError(
                Cause.UNREACHABLE, "connect", sent=False, upstream=self.name, detail=f"no token for it: {exc}"
            ) from exc


def credentialed(upstream: Recipient, auth: UpstreamAuth, tokens: Callable[[TokenClient], Tokens]) -> Recipient:
    """`upstream`, called with what `auth` says. `tokens` gives what outlives configurations."""
    if auth.headers is not None:
        return FixedFields(upstream, auth.headers)
    if auth.oauth2 is not None:
        return WithToken(upstream, OwnToken(auth.oauth2), tokens(auth.oauth2))
    assert auth.exchange is not None, "the model: exactly one of three"
    return WithToken(upstream, ExchangedToken(auth.exchange), tokens(auth.exchange))
