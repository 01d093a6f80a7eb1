"""A flood of bad tokens or keys costs the address that it comes from: 429 before anybody looks at a credential."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from pathlib import Path

import httpx
import pytest

from gateway.cli.keys import new_key
from gateway.compile import compile_configuration
from gateway.compile.registry import installed
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.inprocess import Gateway
from gateway.testing.upstream import Peer, ScriptedUpstream
from tests.wire.plays import Server
from tests.wire.test_authentication import demo_issuer

BURST, FLOOD = 5, 200
CONFIG = """
version: 1
listen: {{host: 127.0.0.1, port: 0}}
log: {{access: off}}
issuers:
  partners:
    issuer: "https://idp.example"
    audience: orders
    jwks: jwks.json
    unknown_consumer: allow
    introspection: {{endpoint: "{issuer}/introspect", client_id: gateway, client_secret: "${{env:SECRET}}"}}
consumers:
  acme: {{api_keys: [{key}]}}
defaults:
  policies: {{rate_limit: {{per: ip, rate: "{burst}/h", burst: {burst}}}}}
routes:
  - {{name: jwt, match: {{path: /jwt}}, policies: {{oauth2: {{issuer: partners}}}}, respond: {{status: 200, body: ok}}}}
  - {{name: opaque, match: {{path: /opaque}}, policies: {{oauth2: {{issuer: partners}}}}, respond: {{status: 200, body: ok}}}}
  - {{name: key, match: {{path: /key}}, policies: {{api_key: {{}}}}, respond: {{status: 200, body: ok}}}}
"""


async def _inactive(peer: Peer) -> None:
    """Every token is inactive, says this issuer."""
    while True:
        await peer.request()
        await peer.send(
            b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"active":false}'
        )


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_a_flood_of_bad_credentials_costs_its_address(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s")
    issuer, made = demo_issuer(), new_key()
    issuer.url = "https://idp.example"
    good, key = issuer.token("acme-prod"), {"x-api-key": made.key}

    async def run() -> None:
        async with ScriptedUpstream(_inactive) as idp:
            text = CONFIG.format(issuer=idp.url, key=made.line.removeprefix("- "), burst=BURST)
            (tmp_path / "gateway.yaml").write_text(text)
            (tmp_path / "jwks.json").write_bytes(httpx.Response(200, json=issuer.jwks()).content)
            compiled = compile_configuration(tmp_path)
            assert compiled.plan is not None, compiled.findings
            plane = WorkerPlane(installed())
            async with Gateway(compiled.plan, plane, server=server) as gateway:

                def caller(address: str) -> httpx.AsyncClient:
                    transport = httpx.AsyncHTTPTransport(local_address=address)
                    return httpx.AsyncClient(base_url=gateway.urls[0], transport=transport, timeout=30.0)

                def refused(route: str, policy: str) -> int:
                    return plane._resources.metrics.decision(route, policy, "refuse").value

                async with caller("127.0.0.1") as flooding, caller("127.0.0.2") as other:

                    async def flood(path: str, name: str, values: list[str]) -> None:
                        answers = [await flooding.get(path, headers={name: value}) for value in values]
                        assert Counter(one.status_code for one in answers) == {401: BURST, 429: FLOOD - BURST}
                        assert all(int(one.headers["retry-after"]) >= 1 for one in answers[BURST:])

                    forged = [f"Bearer {good[:-12]}{secrets.token_hex(6)}" for _ in range(FLOOD)]
                    await flood("/jwt", "authorization", forged)
                    assert refused("jwt", "oauth2") == BURST, "no other token was looked at"
                    await flood("/opaque", "authorization", [f"Bearer {secrets.token_hex(16)}" for _ in range(FLOOD)])
                    assert len(idp.requests) == BURST, "the issuer was asked about no other"
                    await flood("/key", "x-api-key", [f"{made.key[:-8]}{secrets.token_hex(4)}" for _ in range(FLOOD)])
                    assert refused("key", "api_key") == BURST

                    assert (await flooding.get("/key", headers=key)).status_code == 429, "it is the address that pays"
                    assert (await other.get("/key", headers=key)).status_code == 200
                    assert (await other.get("/jwt", headers={"authorization": f"Bearer {good}"})).status_code == 200

    asyncio.run(run())
