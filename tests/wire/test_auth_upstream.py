"""The gateway makes itself known to an upstream over the wire, and a consumer's key is exchanged for another without loss."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.cli.keys import NewKey, new_key
from gateway.compile import compile_configuration
from gateway.compile.plan import Plan
from gateway.compile.registry import installed
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.inprocess import Gateway
from gateway.testing.turns import until
from tests.wire.test_authentication import Server, demo_issuer, serving

CONFIG = """
version: 1
listen: {{host: 127.0.0.1, port: 0}}
log: {{access: off}}
upstreams:
  orders:
    targets: ["{target}"]
    auth: {{oauth2: {{token_url: "{issuer}/token", client_id: acme-prod, client_secret: "${{env:ORDERS_SECRET}}"}}}}
consumers:
  acme: {{api_keys: [{keys}]}}
routes:
  - {{name: orders, match: {{path: /orders}}, upstream: orders, policies: {{api_key: {{}}}}}}
"""


@asynccontextmanager
async def upstream(seen: list[str]) -> AsyncIterator[str]:
    """Notes the Authorization of each call; its URL."""

    async def take(request: Request) -> PlainTextResponse:
        seen.append(request.headers.get("authorization", ""))
        return PlainTextResponse("ok")

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        app = Starlette(routes=[Route("/orders", take, methods=["GET", "POST"])])
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        running = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            await until(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


def plan(folder: Path, target: str, issuer: str, *keys: NewKey) -> Plan:
    listed = ", ".join(key.line.removeprefix("- ") for key in keys)
    (folder / "gateway.yaml").write_text(CONFIG.format(target=target, issuer=issuer, keys=listed))
    compiled = compile_configuration(folder)
    assert compiled.plan is not None, compiled.findings
    return compiled.plan


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_an_upstream_sees_our_token_and_a_key_is_rotated(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERS_SECRET", "s")

    async def run() -> None:
        issuer, old, new = demo_issuer(), new_key(), new_key()
        seen: list[str] = []
        async with (
            serving(issuer),
            upstream(seen) as target,
            Gateway(plan(tmp_path, target, issuer.url, old), WorkerPlane(installed()), server=server) as gateway,
            httpx.AsyncClient(base_url=gateway.urls[0]) as client,
        ):
            statuses: list[int] = []
            key, ending = old.key, False

            async def caller() -> None:
                while not ending:
                    fields = {"x-api-key": key, "authorization": "Bearer of-the-caller"}
                    statuses.append((await client.post("/orders", headers=fields)).status_code)

            async def calls(count: int) -> None:
                wanted = len(statuses) + count
                await until(lambda: len(statuses) >= wanted, within_s=20)

            callers = [asyncio.ensure_future(caller()) for _ in range(4)]
            await calls(20)
            await gateway.apply(plan(tmp_path, target, issuer.url, old, new))
            await calls(20)
            key = new.key
            await calls(20)  # more than callers: none has the old key in its hands any more
            await gateway.apply(plan(tmp_path, target, issuer.url, new))
            await calls(20)
            ending = True
            await asyncio.gather(*callers)
            assert set(statuses) == {200}
            assert (await client.get("/orders", headers={"x-api-key": old.key})).status_code == 401
            assert len(set(seen)) == 1, "one token, through all reloads"
            assert seen[0].startswith("Bearer ey")

    asyncio.run(run())
