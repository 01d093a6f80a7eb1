"""A desk for tests of token policies: an issuer whose answers are scripted, and authenticators that trust it.

The issuer is real (gateway/demo/issuer.py), only its network is played: `down` makes it unreachable, `fetched` lists
what was asked of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from joserfc.jwk import ECKey, RSAKey

from gateway.api.consumers import Consumers
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Response
from gateway.api.policy import Authenticator
from gateway.api.settings.issuer import IssuerConfig
from gateway.demo.issuer import DemoClient, DemoIssuer, new_keys
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import FakeScope, FakeSnapshot, NoConsumers, make_exchange


@cache
def shared_keys() -> Mapping[str, RSAKey | ECKey]:
    """Keys that tests share, because making an RSA key takes longer than most tests."""
    return new_keys()


@dataclass
class Document:
    status: int
    body: bytes
    headers: Mapping[str, str]


class TokenDesk:
    """One issuer, `partners` at https://idp.example, with a client `acme-prod`, and a clock that stands still."""

    def __init__(self, **config: Any) -> None:
        self.clock = FakeClock()
        self.issuer = DemoIssuer(
            "https://idp.example",
            "orders",
            {"acme-prod": DemoClient("acme-secret", ("orders:read", "orders:write"))},
            now=self.clock.time,
            keys=shared_keys(),
        )
        self.down = False
        self.fetched: list[str] = []
        self.documents: dict[str, Any] = {}  # by path: instead of what the issuer says
        self.gate: asyncio.Event | None = None  # when set, answers wait for it
        self.consumers: Consumers = NoConsumers()
        self.version = "1"
        self.config = IssuerConfig(
            **{"issuer": self.issuer.url, "audience": "orders", "unknown_consumer": "allow", **config}
        )
        self.scope = FakeScope(policy="oauth2", clock=self.clock, fetch=self.fetch, issuers={"partners": self.config})

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        timeout_s: float = 5.0,
    ) -> Document:
        """The issuer's answer; as gateway.api.ports.Fetch."""
        self.fetched.append(url)
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise OSError("connection refused")
        path = urlsplit(url).path
        says = {
            "/.well-known/openid-configuration": self.issuer.metadata(),
            "/jwks.json": self.issuer.jwks(),
            **self.documents,
        }
        if says.get(path) is None:
            return Document(404, b"", {})
        body = says[path]
        return Document(200, body if isinstance(body, bytes) else json.dumps(body).encode(), {})

    def exchange(self, token: str | None, headers: Iterable[tuple[str, str]] = (), **changed: Any) -> Exchange:
        """A request that carries `token`, under the running configuration."""
        carried = [("Authorization", f"Bearer {token}")] if token is not None else []
        exchange = make_exchange(headers=[*carried, *headers], started=self.clock.monotonic(), **changed)
        exchange.snapshot = FakeSnapshot(version=self.version, consumers=self.consumers)
        return exchange


async def identify(authenticator: Authenticator, exchange: Exchange) -> Principal | Response:
    """What the chain does: decide from memory, else wait."""
    verdict = authenticator.identify_nowait(exchange)
    return await authenticator.identify(exchange) if verdict is None else verdict


def identify_now(authenticator: Authenticator, exchange: Exchange) -> Principal | Response:
    """The same from a test that is not a coroutine."""
    return asyncio.run(identify(authenticator, exchange))
