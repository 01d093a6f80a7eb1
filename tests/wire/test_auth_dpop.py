"""DPoP over the wire, as a caller does it: a first proof without nonce, then one with the nonce that the answer told."""

from __future__ import annotations

import asyncio
import secrets
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.compile import compile_configuration
from gateway.compile.registry import installed
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.inprocess import Gateway
from tests.wire.test_authentication import Server, demo_issuer, serving

CONFIG = """
version: 1
listen: {{host: 127.0.0.1, port: 0}}
log: {{access: off}}
state: {state}
issuers:
  partners: {{issuer: "{issuer}", audience: orders, unknown_consumer: allow}}
routes:
  - name: orders
    match: {{path: /orders}}
    policies: {{oauth2: {{issuer: partners, sender_constrained: dpop}}}}
    respond: {{status: 200, body: ok}}
"""


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_a_caller_learns_the_nonce_and_proves_each_call(server: Server, tmp_path: Path) -> None:
    async def run() -> None:
        issuer, own = demo_issuer(), ECKey.generate_key("P-256")
        async with serving(issuer):
            folder = tmp_path / "config"
            folder.mkdir()
            (folder / "gateway.yaml").write_text(CONFIG.format(issuer=issuer.url, state=tmp_path / "state"))
            compiled = compile_configuration(folder)
            assert compiled.plan is not None, compiled.findings
            token = issuer.token("acme-prod", cnf={"jkt": own.thumbprint()})
            ath = urlsafe_b64encode(sha256(token.encode()).digest()).rstrip(b"=").decode()
            async with (
                Gateway(compiled.plan, WorkerPlane(installed()), server=server) as gateway,
                httpx.AsyncClient(base_url=gateway.urls[0]) as client,
            ):

                def proof(nonce: str | None) -> str:
                    claims = {
                        "jti": secrets.token_urlsafe(12),
                        "htm": "GET",
                        "htu": f"{gateway.urls[0]}/orders",
                        "iat": int(time.time()),
                        "ath": ath,
                        **({} if nonce is None else {"nonce": nonce}),
                    }
                    head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": own.as_dict(private=False)}
                    return jwt.encode(head, claims, own, ["ES256"])

                async def call(sent: str) -> httpx.Response:
                    fields = {"authorization": f"DPoP {token}", "dpop": sent}
                    return await client.get("/orders?page=1", headers=fields)

                first = await call(proof(None))
                assert (first.status_code, first.json()["code"]) == (401, "oauth2.use-dpop-nonce")
                nonce = first.headers["dpop-nonce"]
                good = proof(nonce)
                assert (await call(good)).text == "ok"
                assert (await call(good)).json()["code"] == "oauth2.unproven"
                assert (await call(proof(nonce))).status_code == 200
                plain = await client.get("/orders", headers={"authorization": f"Bearer {token}"})
                assert plain.status_code == 401
                assert any(value.startswith("DPoP ") for value in plain.headers.get_list("www-authenticate"))

    asyncio.run(run())
