"""The gateway against OpenID providers that others wrote: what they publish, issue and answer is understood as it is."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trustme
from joserfc.jwk import ECKey

from gateway.compile import compile_configuration
from gateway.compile.registry import installed
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.inprocess import Gateway
from tests.oidc.providers import Provider, introspection, missing, proof, running, secret_of
from tests.wire.certificates import partner
from tests.wire.plays import Server
from tests.wire.test_auth_upstream import upstream

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")

CONFIG = """
version: 1
listen: {{host: 127.0.0.1, port: 0}}
log: {{access: off}}
state: {state}
proxy: {{trusted: [127.0.0.0/8], client_cert_header: client-cert}}
issuers:
  provider: {{issuer: "{issuer}", audience: orders}}
  opaque:
    issuer: "{issuer}"
    audience: orders
    unknown_consumer: allow
    introspection: {{endpoint: "{issuer}{introspection}", client_id: gateway, client_secret: "${{env:SECRET}}", cache: {cache}}}
consumers:
  acme: {{tokens: [{{issuer: provider, client_id: acme}}, {{issuer: opaque, client_id: acme}}]}}
  bound: {{tokens: [{{issuer: provider, client_id: dpop}}, {{issuer: provider, client_id: mtls}}]}}
upstreams:
  orders:
    targets: ["{target}"]
    auth: {{oauth2: {{token_url: "{issuer}/token", client_id: gateway, client_secret: "${{env:SECRET}}", scopes: ["orders:read"]}}}}
routes:
  - name: jwt
    match: {{path: /jwt}}
    policies: {{oauth2: {{issuer: provider, scopes: ["orders:read"]}}}}
    respond: {{status: 200, body: ok}}
  - name: opaque
    match: {{path: /opaque}}
    policies: {{oauth2: {{issuer: opaque, scopes: ["orders:read"]}}}}
    respond: {{status: 200, body: ok}}
  - name: dpop
    match: {{path: /dpop}}
    policies: {{oauth2: {{issuer: provider, sender_constrained: dpop}}}}
    respond: {{status: 200, body: ok}}
  - name: mtls
    match: {{path: /mtls}}
    policies: {{oauth2: {{issuer: provider, sender_constrained: mtls}}}}
    respond: {{status: 200, body: ok}}
  - name: realm
    match: {{path: /realm}}
    policies: {{oauth2: {{issuer: opaque, roles: [admin], claims: {{org.id: [7, 8]}}}}}}
    respond: {{status: 200, body: ok}}
  - {{name: orders, match: {{path: /orders}}, upstream: orders, public: true}}
"""


class Desk:
    """A caller before the gateway."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.url = str(client.base_url).rstrip("/")

    async def get(self, path: str, token: str, scheme: str = "Bearer", **fields: str) -> httpx.Response:
        headers = {"authorization": f"{scheme} {token}", **{name.replace("_", "-"): fields[name] for name in fields}}
        return await self._client.get(path, headers=headers)

    async def status(self, path: str, token: str) -> int:
        return (await self.get(path, token)).status_code


@asynccontextmanager
async def gateway(
    provider: Provider,
    folder: Path,
    *,
    server: Server = "granian",
    target: str = "http://127.0.0.1:9",
    introspection: str = "/token/introspection",
    cache: str = "30s",
) -> AsyncIterator[Desk]:
    text = CONFIG.format(
        issuer=provider.url, target=target, introspection=introspection, cache=cache, state=folder / "state"
    )
    (folder / "config").mkdir()
    (folder / "config" / "gateway.yaml").write_text(text)
    compiled = compile_configuration(folder / "config")
    assert compiled.plan is not None, compiled.findings
    async with (
        Gateway(compiled.plan, WorkerPlane(installed()), server=server) as live,
        httpx.AsyncClient(base_url=live.urls[0]) as client,
    ):
        yield Desk(client)


@pytest.fixture(autouse=True)
def _our_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", secret_of("gateway"))


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_jwts_are_found_by_discovery_and_outlive_a_rotation(server: Server, tmp_path: Path) -> None:
    async def run() -> None:
        async with running("provider.mjs") as provider, gateway(provider, tmp_path, server=server) as desk:
            old = [await provider.token("acme", resource=kind, scope="orders:read") for kind in ("urn:rs", "urn:es")]
            assert [await desk.status("/jwt", token) for token in old] == [200, 200]
            await provider.tell("rotate")
            new = [await provider.token("acme", resource=kind, scope="orders:read") for kind in ("urn:rs", "urn:es")]
            assert old[0].split(".")[0] != new[0].split(".")[0], "it signs with another key"
            assert [await desk.status("/jwt", token) for token in (*new, *old)] == [200] * 4

            lacking = await desk.get("/jwt", await provider.token("acme", resource="urn:rs", scope="orders:write"))
            assert (lacking.status_code, lacking.json()["code"]) == (403, "oauth2.insufficient-scope")
            stranger = await desk.get("/jwt", await provider.token("rocket", resource="urn:rs", scope="orders:read"))
            assert (stranger.status_code, stranger.json()["code"]) == (403, "consumer.unknown")
            forged = new[0].rpartition(".")[0] + "." + old[0].rpartition(".")[2]
            assert await desk.status("/jwt", forged) == 401

    asyncio.run(run())


def test_opaque_tokens_are_introspected_until_they_are_revoked(tmp_path: Path) -> None:
    async def run() -> None:
        async with running("provider.mjs") as provider, gateway(provider, tmp_path, cache="1ms") as desk:
            token = await provider.token("acme", resource="urn:opaque", scope="orders:read")
            assert "." not in token
            assert await desk.status("/opaque", token) == 200
            assert await desk.status("/opaque", token[:-1] + "x") == 401
            lacking = await desk.get("/opaque", await provider.token("acme", resource="urn:opaque"))
            assert (lacking.status_code, lacking.json()["code"]) == (403, "oauth2.insufficient-scope")
            await provider.revoke("acme", token)
            assert await desk.status("/opaque", token) == 401
            assert await desk.status("/opaque", await provider.token("acme", resource="urn:rs")) == 403, "a JWT"

    asyncio.run(run())


def test_a_token_bound_by_dpop_needs_its_proof(tmp_path: Path) -> None:
    async def run() -> None:
        own, thief = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
        async with running("provider.mjs") as provider, gateway(provider, tmp_path) as desk:
            bound = proof(own, "POST", f"{provider.url}/token")
            token = await provider.token("dpop", {"dpop": bound}, resource="urn:rs", scope="orders:read")
            url = f"{desk.url}/dpop"
            first = await desk.get("/dpop", token, "DPoP", dpop=proof(own, "GET", url, token=token))
            assert (first.status_code, first.json()["code"]) == (401, "oauth2.use-dpop-nonce")
            nonce = first.headers["dpop-nonce"]
            good = proof(own, "GET", url, token=token, nonce=nonce)
            assert (await desk.get("/dpop", token, "DPoP", dpop=good)).status_code == 200
            assert (await desk.get("/dpop", token, "DPoP", dpop=good)).status_code == 401, "once"
            stolen = proof(thief, "GET", url, token=token, nonce=nonce)
            assert (await desk.get("/dpop", token, "DPoP", dpop=stolen)).status_code == 401
            assert await desk.status("/dpop", token) == 401, "it does not pass as a plain one"

    asyncio.run(run())


def test_a_token_bound_to_a_certificate_needs_it(tmp_path: Path) -> None:
    async def run() -> None:
        authority = trustme.CA()
        own, other = partner(authority, "acme"), partner(authority, "acme")
        async with running("provider.mjs") as provider, gateway(provider, tmp_path) as desk:
            shown = {"x-certificate": quote(own.pem.decode())}
            token = await provider.token("mtls", shown, resource="urn:es", scope="orders:read")

            async def status(der: bytes) -> int:
                field = f":{base64.b64encode(der).decode()}:"
                return (await desk.get("/mtls", token, client_cert=field)).status_code

            assert await status(own.der) == 200
            assert await status(other.der) == 401
            assert await desk.status("/mtls", token) == 401
            plain = await provider.token("acme", resource="urn:es")
            assert await desk.status("/mtls", plain) == 401, "a token that is bound to nothing"

    asyncio.run(run())


def test_the_gateway_gets_a_token_of_its_own_for_an_upstream(tmp_path: Path) -> None:
    async def run() -> None:
        seen: list[str] = []
        async with (
            running("provider.mjs") as provider,
            upstream(seen) as target,
            gateway(provider, tmp_path, target=target) as desk,
        ):
            assert await desk.status("/orders", "of-the-caller") == 200
            assert await desk.status("/opaque", seen[0].removeprefix("Bearer ")) == 200, "the provider stands by it"

    asyncio.run(run())


def test_every_algorithm_of_another_library_is_verified(tmp_path: Path) -> None:
    async def run() -> None:
        async with running("mock.mjs") as provider, gateway(provider, tmp_path) as desk:
            for alg in ("RS256", "PS256", "ES256", "EdDSA"):
                await provider.tell(json.dumps({"alg": alg}))
                token = await _mocked(provider, scope="orders:read")
                assert json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["alg"] == alg
                assert await desk.status("/jwt", token) == 200, alg

    asyncio.run(run())


def test_claims_are_held_to_what_the_configuration_says(tmp_path: Path) -> None:
    async def run() -> None:
        async with running("mock.mjs") as provider, gateway(provider, tmp_path) as desk:

            async def status(path: str, **claims: Any) -> int:
                return await desk.status(path, await _mocked(provider, **claims))

            assert await status("/jwt", scope="orders:read") == 200
            assert await status("/jwt", scope=None, scp=["orders:read", "x"]) == 200
            assert await status("/jwt", scope="orders:read", aud=["x", "orders"]) == 200
            assert await status("/realm", realm_access={"roles": ["admin"]}, org={"id": 8}) == 200
            assert await status("/realm", realm_access={"roles": ["admin"]}, org={"id": "8"}) == 403
            assert await status("/realm", roles=["clerk"], org={"id": 8}) == 403
            refused: tuple[dict[str, Any], ...] = (
                {"aud": "other"},
                {"aud": None},
                {"exp": None},
                {"exp": 1},
                {"nbf": 99999999999},
                {"iat": "now"},
                {"iss": "http://localhost"},
                {"client_id": None},
            )
            for claims in refused:
                assert await status("/jwt", scope="orders:read", **claims) == 401, claims

    asyncio.run(run())


def test_what_introspection_may_answer(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            running("mock.mjs") as provider,
            gateway(provider, tmp_path, introspection="/introspect", cache="1ms") as desk,
        ):

            async def answer(status: int, **body: Any) -> httpx.Response:
                await provider.tell(introspection(status, **body))
                return await desk.get("/opaque", "opaque-token")

            good = {"active": True, "client_id": "acme", "scope": "orders:read"}
            assert (await answer(200, **good)).status_code == 200
            assert (await answer(200, **good, aud="other")).status_code == 401
            assert (await answer(200, **good, exp=1)).status_code == 401
            assert (await answer(200, active=False)).status_code == 401
            for status, body in ((401, {}), (500, good), (200, {"client_id": "acme"})):
                down = await answer(status, **body)
                assert (down.status_code, down.json()["code"]) == (503, "oauth2.issuer-unavailable"), (status, body)
                assert int(down.headers["retry-after"]) >= 1

    asyncio.run(run())


async def _mocked(provider: Provider, **claims: Any) -> str:
    """A token of mock.mjs, which asks nobody who they are."""
    return await provider.token("acme", claims=json.dumps({"aud": "orders", "client_id": "acme", **claims}))
