"""What every worker of a real `serve` must know of credentials, and those that come later, and the next `serve`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from joserfc.jwk import ECKey

from gateway.cli.keys import new_key
from gateway.demo.issuer import DemoClient, DemoIssuer
from gateway.testing.tokens import shared_keys
from tests.oidc.providers import proof
from tests.redis_servers import RedisServer
from tests.wire.serving import BOUND_S
from tests.wire.test_serve import COMMAND, line_with

CONFIGURATION = """
version: 1
listen: {{host: 127.0.0.1, port: 0}}
ops: {{port: 0}}
state: {state}
drain: {{delay: 0s}}
log: {{access: off}}
public_url: https://api.example
issuers:
  partners: {{issuer: "https://idp.example", audience: orders, jwks: jwks.json}}
consumers:
  acme:
    client_ids: [acme-prod]
    api_keys: [{key}]
routes:
  - {{name: token, match: {{path: /token}}, policies: {{oauth2: {{issuer: partners}}}}, respond: {{status: 200, body: token}}}}
  - {{name: key, match: {{path: /key}}, policies: {{api_key: {{}}}}, respond: {{status: 200, body: key}}}}
  - name: proven
    match: {{path: /proven}}
    policies: {{oauth2: {{issuer: partners, sender_constrained: dpop}}}}
    respond: {{status: 200, body: proven}}
"""
CALLS = 16  # on connections of their own, so that every worker is met


@dataclass
class Serve:
    process: asyncio.subprocess.Process
    ops: httpx.AsyncClient
    client: httpx.AsyncClient

    async def alive(self) -> int:
        alive: int = (await self.ops.get("/readyz")).json()["workers"]["alive"]
        return alive

    async def statuses(self, path: str, **headers: str) -> Counter[int]:
        return Counter([(await self.client.get(path, headers=headers)).status_code for _ in range(CALLS)])


@asynccontextmanager
async def serve(folder: Path, workers: int = 2) -> AsyncIterator[Serve]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, "serve", "--config", str(folder), "--workers", str(workers)),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(4 * BOUND_S):
            assert process.stderr is not None
            said = await line_with(process.stderr, "serving ")
        port, ops_port = (int(found) for found in re.findall(r"http://127\.0\.0\.1:(\d+)", said))
        anew = httpx.Limits(max_keepalive_connections=0)
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{ops_port}", timeout=BOUND_S) as ops,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=anew, timeout=BOUND_S) as client,
        ):
            yield Serve(process, ops, client)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_what_is_revoked_or_used_is_so_for_all_workers_their_successors_and_the_next_serve(tmp_path: Path) -> None:
    issuer = DemoIssuer("https://idp.example", "orders", {"acme-prod": DemoClient("s")}, keys=shared_keys())
    made, own = new_key(), ECKey.generate_key("P-256")
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "jwks.json").write_text(json.dumps(issuer.jwks()))
    text = CONFIGURATION.format(key=made.line.removeprefix("- "), state=tmp_path / "state")
    (folder / "gateway.yaml").write_text(text)
    stolen = {"authorization": f"Bearer {issuer.token('acme-prod', jti='stolen')}"}
    other = {"authorization": f"Bearer {issuer.token('acme-prod')}"}
    bound = issuer.token("acme-prod", cnf={"jkt": own.thumbprint()})

    async def play() -> None:
        async with serve(folder) as first:
            assert await first.statuses("/token", **stolen) == {200: CALLS}
            order = {"issuer": "partners", "jti": "stolen", "lifetime": "1h"}
            answer = (await first.ops.post("/tokens/revoke", json=order)).json()
            assert (answer["workers"], answer["recorded"]) == (2, True)
            assert answer["forgotten"] >= 1
            assert await first.statuses("/token", **stolen) == {401: CALLS}
            assert await first.statuses("/token", **other) == {200: CALLS}

            proven = {
                "authorization": f"DPoP {bound}",
                "dpop": proof(own, "GET", "https://api.example/proven", token=bound),
            }
            nonce = (await first.client.get("/proven", headers=proven)).headers["dpop-nonce"]
            proven["dpop"] = proof(own, "GET", "https://api.example/proven", token=bound, nonce=nonce)
            assert await first.statuses("/proven", **proven) == {200: 1, 401: CALLS - 1}

            assert (await first.client.get("/key", headers={"x-api-key": made.key})).status_code == 200
            (key,) = (await first.ops.get("/keys", params={"consumer": "acme"})).json()["keys"]
            assert key["last_used"] is not None

            children = Path(f"/proc/{first.process.pid}/task/{first.process.pid}/children")
            if children.exists():  # not every system tells a process's children
                killed = children.read_text().split()[0]
                os.kill(int(killed), signal.SIGKILL)
                async with asyncio.timeout(4 * BOUND_S):
                    while killed in children.read_text().split() or (await first.alive()) < 2:
                        await asyncio.sleep(0)
                assert await first.statuses("/token", **stolen) == {401: CALLS}
            first.process.kill()
        async with serve(folder) as second:
            assert await second.statuses("/token", **stolen) == {401: CALLS}
            assert await second.statuses("/token", **other) == {200: CALLS}
            assert await second.statuses("/proven", **proven) == {401: CALLS}

    asyncio.run(play())


def test_what_is_revoked_on_one_machine_is_so_on_all_that_share_a_redis(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    issuer = DemoIssuer("https://idp.example", "orders", {"acme-prod": DemoClient("s")}, keys=shared_keys())
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        (folder / "jwks.json").write_text(json.dumps(issuer.jwks()))
        text = CONFIGURATION.format(key=new_key().line.removeprefix("- "), state=folder.with_suffix(".state"))
        (folder / "gateway.yaml").write_text(f"{text}store: {redis_server.url}?timeout=5s\n")
    stolen = {"authorization": f"Bearer {issuer.token('acme-prod', jti='stolen')}"}

    async def play() -> None:
        async with serve(folders[0], 1) as one, serve(folders[1], 1) as two:
            assert await two.statuses("/token", **stolen) == {200: CALLS}
            order = {"issuer": "partners", "jti": "stolen", "lifetime": "1h"}
            assert (await one.ops.post("/tokens/revoke", json=order)).status_code == 200
            async with asyncio.timeout(BOUND_S):
                while (await two.client.get("/token", headers=stolen)).status_code == 200:
                    pass
            assert await two.statuses("/token", **stolen) == {401: CALLS}

    asyncio.run(play())
