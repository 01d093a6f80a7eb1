"""Orders about credentials reach every worker of a real `serve`, and those that come later."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path

import httpx

from gateway.cli.keys import new_key
from gateway.demo.issuer import DemoClient, DemoIssuer
from gateway.testing.tokens import shared_keys
from tests.wire.serving import BOUND_S
from tests.wire.test_serve import COMMAND, line_with

CONFIGURATION = """
version: 1
listen: {{host: 127.0.0.1, port: 0}}
ops: {{port: 0}}
drain: {{delay: 0s}}
log: {{access: off}}
issuers:
  partners: {{issuer: "https://idp.example", audience: orders, jwks: jwks.json}}
consumers:
  acme:
    client_ids: [acme-prod]
    api_keys: [{key}]
routes:
  - {{name: token, match: {{path: /token}}, policies: {{oauth2: {{issuer: partners}}}}, respond: {{status: 200, body: token}}}}
  - {{name: key, match: {{path: /key}}, policies: {{api_key: {{}}}}, respond: {{status: 200, body: key}}}}
"""


def test_a_revoked_token_is_refused_by_every_worker_and_its_successors(tmp_path: Path) -> None:
    issuer = DemoIssuer("https://idp.example", "orders", {"acme-prod": DemoClient("s")}, keys=shared_keys())
    made = new_key()
    (tmp_path / "jwks.json").write_text(json.dumps(issuer.jwks()))
    (tmp_path / "gateway.yaml").write_text(CONFIGURATION.format(key=made.line.removeprefix("- ")))

    async def play() -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", COMMAND, "serve", "--config", str(tmp_path), "--workers", "2"),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(2 * BOUND_S):
                assert process.stderr is not None
                said = await line_with(process.stderr, "serving ")
                port, ops_port = (int(found) for found in re.findall(r"http://127\.0\.0\.1:(\d+)", said))
                anew = httpx.Limits(max_keepalive_connections=0)
                async with (
                    httpx.AsyncClient(base_url=f"http://127.0.0.1:{ops_port}") as ops,
                    httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=anew) as client,
                ):
                    stolen, other = issuer.token("acme-prod", jti="stolen"), issuer.token("acme-prod")

                    async def statuses(token: str) -> set[int]:
                        """Of many calls on connections of their own, so that every worker is met."""
                        headers = {"authorization": f"Bearer {token}"}
                        return {(await client.get("/token", headers=headers)).status_code for _ in range(24)}

                    assert await statuses(stolen) == {200}
                    order = {"issuer": "partners", "jti": "stolen", "lifetime": "1h"}
                    answer = (await ops.post("/tokens/revoke", json=order)).json()
                    assert answer["workers"] == 2
                    assert answer["forgotten"] >= 1
                    assert await statuses(stolen) == {401}
                    assert await statuses(other) == {200}

                    assert (await client.get("/key", headers={"x-api-key": made.key})).status_code == 200
                    (key,) = (await ops.get("/keys", params={"consumer": "acme"})).json()["keys"]
                    assert key["last_used"] is not None

                    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                    if not children.exists():
                        return  # this system does not tell a process's children
                    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
                    while (await ops.get("/config")).json()["workers"] != {"alive": 2, "wanted": 2, "replaced": 1}:
                        pass
                    assert await statuses(stolen) == {401}
        finally:
            process.kill()
            await process.communicate()

    asyncio.run(play())
