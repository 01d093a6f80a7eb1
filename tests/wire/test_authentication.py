"""Tokens and keys over the wire: the configuration as ops write it, an issuer on a port of its own, both servers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import httpx
import pytest
import uvicorn

from gateway.cli.keys import new_key
from gateway.compile import compile_configuration
from gateway.compile.plan import Plan
from gateway.compile.registry import installed
from gateway.demo.issuer import DemoClient, DemoIssuer
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.inprocess import Gateway
from gateway.testing.tokens import shared_keys
from gateway.testing.turns import until

CONFIG = """
version: 1
listen: {{host: 127.0.0.1, port: 8080}}
log: {{access: off}}
issuers:
  partners: {{issuer: "{issuer}", audience: orders}}
consumers:
  acme:
    client_ids: [acme-prod]
    api_keys: [{key}]
routes:
  - name: token
    match: {{path: /token}}
    policies: {{oauth2: {{issuer: partners, scopes: ["orders:write"]}}}}
    respond: {{status: 200, body: token}}
  - name: key
    match: {{path: /key}}
    policies: {{api_key: {{}}}}
    respond: {{status: 200, body: key}}
  - name: either
    match: {{path: /either}}
    policies: {{auth: {{any: [oauth2, api_key]}}, oauth2: {{issuer: partners}}, api_key: {{}}}}
    respond: {{status: 200, body: either}}
  - name: both
    match: {{path: /both}}
    policies: {{auth: {{all: [api_key, oauth2]}}, oauth2: {{issuer: partners, scopes: ["orders:read"]}}, api_key: {{}}}}
    respond: {{status: 200, body: both}}
"""
Server = Literal["granian", "uvicorn"]


@asynccontextmanager
async def serving(issuer: DemoIssuer) -> AsyncIterator[None]:
    """The issuer on a free port; sets its `url`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        issuer.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(issuer.app, log_config=None, lifespan="off"))
        running = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            await until(lambda: server.started)
            yield
        finally:
            server.should_exit = True
            await running


def demo_issuer() -> DemoIssuer:
    clients = {"acme-prod": DemoClient("s", ("orders:write", "orders:read")), "rocket": DemoClient("s")}
    return DemoIssuer("", "orders", clients, keys=shared_keys())


def plan(folder: Path, issuer: str, key_line: str) -> Plan:
    (folder / "gateway.yaml").write_text(CONFIG.format(issuer=issuer, key=key_line.removeprefix("- ")))
    compiled = compile_configuration(folder)
    assert compiled.plan is not None, compiled.findings
    return compiled.plan


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_callers_are_who_their_credentials_say(server: Server, tmp_path: Path) -> None:
    async def run() -> None:
        issuer, made = demo_issuer(), new_key()
        async with serving(issuer):
            wanted = plan(tmp_path, issuer.url, made.line)
            async with (
                Gateway(wanted, WorkerPlane(installed()), server=server) as gateway,
                httpx.AsyncClient(base_url=gateway.urls[0]) as client,
            ):

                async def get(path: str, token: str | None = None, key: str | None = None) -> tuple[int, str]:
                    headers = {"authorization": f"Bearer {token}"} if token else {}
                    if key:
                        headers["x-api-key"] = key
                    answer = await client.get(path, headers=headers)
                    challenge = "; ".join(answer.headers.get_list("www-authenticate"))
                    return answer.status_code, challenge if answer.status_code != 200 else answer.text

                realm = 'Bearer realm="sluicegate"'
                good = issuer.token("acme-prod")
                assert await get("/token", good) == (200, "token")
                assert await get("/token", issuer.token("acme-prod", alg="ES256")) == (200, "token")
                assert await get("/token") == (401, realm)
                assert await get("/token", good[:-4] + "AAAA") == (401, f'{realm}, error="invalid_token"')
                insufficient = f'{realm}, error="insufficient_scope", scope="orders:write"'
                assert await get("/token", issuer.token("acme-prod", ["orders:read"])) == (403, insufficient)
                assert await get("/token", issuer.token("rocket")) == (403, realm)

                assert await get("/key", key=made.key) == (200, "key")
                assert await get("/key", key=made.key + "x") == (401, 'ApiKey realm="sluicegate"')
                assert await get("/key", good) == (401, 'ApiKey realm="sluicegate"')

                assert await get("/either", good) == (200, "either")
                assert await get("/either", key=made.key) == (200, "either")
                assert await get("/either", good, made.key + "x") == (401, 'ApiKey realm="sluicegate"')
                assert (await get("/either"))[0] == 401

                assert await get("/both", good, made.key) == (200, "both")
                assert (await get("/both", issuer.token("acme-prod", ["orders:write"]), made.key))[0] == 403
                assert (await get("/both", good))[0] == 401
                assert (await get("/both", key=made.key))[0] == 401

    asyncio.run(run())


def test_an_issuer_rotates_its_keys_and_no_call_is_lost(tmp_path: Path) -> None:
    async def run() -> None:
        issuer = demo_issuer()
        async with serving(issuer):
            wanted = plan(tmp_path, issuer.url, new_key().line)
            async with (
                Gateway(wanted, WorkerPlane(installed())) as gateway,
                httpx.AsyncClient(base_url=gateway.urls[0]) as client,
            ):
                statuses: list[int] = []
                ending = False

                async def call() -> None:
                    while not ending:
                        answer = await client.get(
                            "/token", headers={"authorization": f"Bearer {issuer.token('acme-prod')}"}
                        )
                        statuses.append(answer.status_code)

                async def calls(count: int) -> None:
                    target = len(statuses) + count
                    await until(lambda: len(statuses) >= target, within_s=20)

                callers = [asyncio.ensure_future(call()) for _ in range(8)]
                await calls(40)
                issuer.rotate()
                await calls(80)
                ending = True
                await asyncio.gather(*callers)
                assert set(statuses) == {200}

    asyncio.run(run())


def test_the_gateway_starts_without_its_issuer(tmp_path: Path) -> None:
    async def run() -> None:
        issuer = demo_issuer()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))  # bound and not listening: refuses
            wanted = plan(tmp_path, f"http://127.0.0.1:{free.getsockname()[1]}", new_key().line)
            async with (
                Gateway(wanted, WorkerPlane(installed())) as gateway,
                httpx.AsyncClient(base_url=gateway.urls[0]) as client,
            ):
                issuer.url = wanted.issuers["partners"].issuer
                answer = await client.get("/token", headers={"authorization": f"Bearer {issuer.token('acme-prod')}"})
                assert answer.status_code == 503
                assert answer.json()["code"] == "oauth2.issuer-unavailable"
                assert int(answer.headers["retry-after"]) >= 1

    asyncio.run(run())
