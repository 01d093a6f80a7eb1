"""What an upstream sees of the gateway's own credentials, and how rarely a token endpoint is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.api.config import Secret
from gateway.api.errors import Cause, RequestRefused, UpstreamError
from gateway.api.messages import Headers, Response, UpstreamRequest
from gateway.api.settings.upstream_auth import UpstreamAuth
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import BytesBody
from gateway.testing.tokens import Document
from gateway.testing.turns import until
from gateway.upstream.credentials import Recipient, TokenClient, credentialed
from gateway.upstream.tokens import Tokens

SECRET = Secret("s", "${env:S}")
ENDPOINT: dict[str, Any] = {"token_url": "https://idp.example/token", "client_id": "gw", "client_secret": SECRET}


@dataclass
class Desk:
    """A token endpoint that numbers its tokens, and an upstream that refuses those in `refused`."""

    clock: FakeClock = field(default_factory=FakeClock)
    forms: list[Mapping[str, str]] = field(default_factory=list)
    seen: list[Headers] = field(default_factory=list)
    refused: set[bytes] = field(default_factory=set)
    says: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    down: bool = False
    gate: asyncio.Event | None = None
    name: str = "orders"

    async def fetch(self, url: str, *, data: Mapping[str, str] | None = None, **_: Any) -> Document:
        assert url == "https://idp.example/token"
        assert data is not None
        self.forms.append(data)
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise OSError("connection refused")
        said = {"access_token": f"t{len(self.forms)}", "token_type": "bearer", "expires_in": 100, **self.says}
        return Document(self.status, json.dumps(said).encode(), {})

    async def send(self, request: UpstreamRequest, deadline: float, *, replayable: bool = False) -> Response:
        self.seen.append(Headers(request.headers))
        refused = request.headers.get(b"authorization") in self.refused
        return Response(401 if refused else 200, Headers(), BytesBody(b"no") if refused else b"ok")

    async def open_websocket(self, request: UpstreamRequest, subprotocols: bytes | None, deadline: float) -> Response:
        return await self.send(request, deadline)

    def caller(self, **auth: Any) -> Recipient:
        def tokens(client: TokenClient) -> Tokens:
            return Tokens(client.token_url, client.client_id, client.client_secret, self.fetch, self.clock)

        return credentialed(self, UpstreamAuth(**auth), tokens)

    def carried(self) -> list[bytes | None]:
        return [headers.get(b"authorization") for headers in self.seen]


async def call(caller: Recipient, body: Any = None, **fields: str) -> int:
    headers = Headers((name.encode(), value.encode()) for name, value in {"host": "a", **fields}.items())
    request = UpstreamRequest("POST", b"/", headers, body)
    return (await caller.send(request, asyncio.get_running_loop().time() + 5)).status


def test_fixed_fields_replace_the_callers() -> None:
    async def run() -> None:
        desk = Desk()
        caller = desk.caller(headers={"X-Api-Key": Secret("k\n", "${file:k}")})
        assert await call(caller, **{"x-api-key": "mine"}) == 200
        assert desk.seen[0].get_all(b"x-api-key") == [b"k"]

    asyncio.run(run())


def test_a_token_is_asked_for_once_and_renewed_before_it_ends() -> None:
    async def run() -> None:
        desk = Desk()
        caller = desk.caller(oauth2={**ENDPOINT, "scopes": ("a", "b")})
        assert set(await asyncio.gather(*(call(caller, authorization="Bearer mine") for _ in range(20)))) == {200}
        assert set(desk.carried()) == {b"Bearer t1"}
        assert desk.forms == [{"grant_type": "client_credentials", "scope": "a b"}]
        desk.clock.advance(80.0)  # within its last fifth
        assert await call(caller) == 200
        await until(lambda: len(desk.forms) == 2)
        assert desk.carried()[-1] == b"Bearer t1", "nobody waits for the renewal"
        await call(caller)
        assert desk.carried()[-1] == b"Bearer t2"

    asyncio.run(run())


def test_a_lifetime_in_quotes_is_one() -> None:
    async def run() -> None:
        desk = Desk(says={"expires_in": "100"})
        caller = desk.caller(oauth2=ENDPOINT)
        assert await call(caller) == 200
        desk.clock.advance(99.0)
        assert await call(caller) == 200
        assert desk.carried() == [b"Bearer t1", b"Bearer t2"]

    asyncio.run(run())


@pytest.mark.parametrize(
    "url", ["idp.example/token", "https://", "https://idp.example:99999/token", "https://[::1/token"]
)
def test_a_token_url_that_is_none_is_found_before_it_is_asked(url: str) -> None:
    with pytest.raises(ValueError, match="not a URL"):
        UpstreamAuth.model_validate({"oauth2": {**ENDPOINT, "token_url": url}})


def test_a_refused_token_is_replaced_once() -> None:
    async def run() -> None:
        desk = Desk()
        caller = desk.caller(oauth2=ENDPOINT)
        await call(caller)
        desk.refused = {b"Bearer t1"}
        desk.clock.advance(2.0)
        assert await call(caller, b"body") == 200
        assert desk.carried() == [b"Bearer t1", b"Bearer t1", b"Bearer t2"]
        desk.refused = {b"Bearer t2", b"Bearer t3"}
        desk.clock.advance(2.0)
        assert await call(caller) == 401, "one retry, no more"
        assert await call(caller) == 401
        assert len(desk.forms) == 3, "a token that is new already is not replaced"
        desk.clock.advance(2.0)
        assert await call(caller, BytesBody(b"a", b"b")) == 401, "a body that streamed cannot be sent again"

    asyncio.run(run())


def test_a_refused_token_is_not_carried_again_by_calls_that_cannot_be_repeated() -> None:
    async def run() -> None:
        desk = Desk()
        caller = desk.caller(oauth2=ENDPOINT)
        await call(caller)
        desk.refused = {b"Bearer t1", b"Bearer t2"}
        desk.clock.advance(2.0)
        assert await call(caller, BytesBody(b"a", b"b")) == 401
        desk.clock.advance(2.0)
        for status in (401, 401, 200):  # a token that is new already is not replaced
            request = UpstreamRequest("GET", b"/", Headers(), None)
            opened = await caller.open_websocket(request, None, asyncio.get_running_loop().time() + 5)
            assert opened.status == status
            desk.clock.advance(2.0)
        assert desk.carried() == [b"Bearer t1", b"Bearer t1", b"Bearer t2", b"Bearer t2", b"Bearer t3"]

    asyncio.run(run())


@pytest.mark.parametrize(
    "trouble", [{"down": True}, {"status": 500}, {"says": {"access_token": "a b"}}, {"says": {"token_type": "DPoP"}}]
)
def test_without_a_token_nothing_is_sent(trouble: dict[str, Any]) -> None:
    async def run() -> None:
        desk = Desk(**trouble)
        with pytest.raises(UpstreamError) as caught:
            await call(desk.caller(oauth2=ENDPOINT))
        assert (caught.value.cause, caught.value.sent) == (Cause.UNREACHABLE, False)
        assert desk.seen == []

    asyncio.run(run())


def test_a_deadline_bounds_the_wait_for_a_token() -> None:
    async def run() -> None:
        desk = Desk(gate=asyncio.Event())
        caller = desk.caller(oauth2=ENDPOINT)
        request = UpstreamRequest("GET", b"/", Headers(), None)
        with pytest.raises(UpstreamError) as caught:
            await caller.send(request, asyncio.get_running_loop().time())
        assert caught.value.cause is Cause.TIMEOUT
        assert desk.gate is not None
        desk.gate.set()
        assert await call(caller) == 200

    asyncio.run(run())


def test_each_callers_token_is_exchanged_once() -> None:
    async def run() -> None:
        desk = Desk()
        caller = desk.caller(exchange={**ENDPOINT, "audience": "crm"})
        for token in ("one", "one", "two"):
            assert await call(caller, authorization=f"Bearer {token}") == 200
        assert desk.carried() == [b"Bearer t1", b"Bearer t1", b"Bearer t2"]
        assert [form["subject_token"] for form in desk.forms] == ["one", "two"]
        assert desk.forms[0]["audience"] == "crm"
        with pytest.raises(RequestRefused, match=r"upstream\.no-token"):
            await call(caller)
        desk.status = 400
        with pytest.raises(RequestRefused, match=r"upstream\.exchange-refused"):
            await call(caller, authorization="Bearer three")

    asyncio.run(run())
