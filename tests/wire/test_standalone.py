"""The gateway in one process with its files and its ops port: how it begins, reloads, refuses and ends."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from gateway.compile import Compiler
from gateway.compile.registry import installed
from gateway.ops.application import ops_application
from gateway.runtime.listeners import CannotListenError
from gateway.runtime.reload import Abandoned, Applied, Rejected
from gateway.runtime.standalone import NotServedError, Standalone

CONFIGURATION = """
version: 1
listen: {host: 127.0.0.1, port: PORT}
ops: {port: OPS}
log: {access: off}
routes:
  - {name: status, match: {path: /status}, public: true, respond: {body: {ok: BODY}}}
"""


def write(folder: Path, *, body: str = "first", port: int = 0, ops: int = 0) -> None:
    text = CONFIGURATION.replace("BODY", body).replace("PORT", str(port)).replace("OPS", str(ops))
    (folder / "gateway.yaml").write_text(text)


def standalone(folder: Path) -> Standalone:
    return Standalone(Compiler(folder).compile, installed(), server="uvicorn", ops_app=ops_application)


def play(scene: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    async def go() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            await scene(client)

    uvloop.run(go())


def test_it_serves_reloads_and_counts(tmp_path: Path) -> None:
    write(tmp_path)

    async def scene(client: httpx.AsyncClient) -> None:
        async with standalone(tmp_path) as gateway:
            url, ops = gateway.urls[0] + "/status", gateway.ops_url
            assert (await client.get(url)).json() == {"ok": "first"}
            write(tmp_path, body="second")
            answer = await client.post(f"{ops}/reload")
            assert (answer.status_code, answer.json()["changed"]) == (200, 1)
            assert (await client.get(url)).json() == {"ok": "second"}
            write(tmp_path, body="[")
            assert (await client.post(f"{ops}/reload")).status_code == 422
            assert (await client.get(url)).json() == {"ok": "second"}
            shown: dict[str, Any] = (await client.get(f"{ops}/config")).json()
            assert shown["last_reload"]["result"] == "rejected"
            assert shown["configuration"]["routes"][0]["respond"] == {"body": {"ok": "second"}}
            text = (await client.get(f"{ops}/metrics")).text
            assert 'sluicegate_requests_total{method="GET",route="status",status="200",tier=""} 3.0' in text
            assert "sluicegate_config_last_reload_ok 0.0" in text

    play(scene)


def test_it_does_not_begin_with_errors(tmp_path: Path) -> None:
    write(tmp_path, body="[")

    async def scene(client: httpx.AsyncClient) -> None:
        with pytest.raises(NotServedError) as refused:
            async with standalone(tmp_path):
                pass
        assert isinstance(refused.value.outcome, Rejected)

    play(scene)


def test_another_address_takes_a_restart(tmp_path: Path) -> None:
    write(tmp_path)

    async def scene(client: httpx.AsyncClient) -> None:
        async with standalone(tmp_path) as gateway:
            version = gateway.plan().version
            (tmp_path / "gateway.yaml").write_text(
                (tmp_path / "gateway.yaml").read_text().replace("port: 0}", "port: 0, keep_alive: 5s}", 1)
            )
            answer = await client.post(f"{gateway.ops_url}/reload")
            assert answer.status_code == 503
            assert answer.json()["code"] == "ops.reload-abandoned"
            assert isinstance(gateway.status().last_reload, Abandoned)
            assert gateway.plan().version == version
            write(tmp_path)
            assert isinstance(await gateway.reload(), Applied)

    play(scene)


def test_a_taken_ops_port_is_told_and_leaves_nothing_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets it meanwhile
        port = free.getsockname()[1]
        free.close()
        write(tmp_path, port=port, ops=taken.getsockname()[1])

        async def scene(client: httpx.AsyncClient) -> None:
            with pytest.raises(CannotListenError, match="in use"):
                async with standalone(tmp_path):
                    pass
            with pytest.raises(httpx.ConnectError):
                await client.get(f"http://127.0.0.1:{port}/status")

        play(scene)


def test_requests_without_a_route_have_one_label_everywhere(tmp_path: Path) -> None:
    write(tmp_path)
    with (tmp_path / "gateway.yaml").open("a") as file:
        file.write("global: {policies: {rate_limit: {per: ip, rate: 50/s}}}\n")

    async def scene(client: httpx.AsyncClient) -> None:
        async with standalone(tmp_path) as gateway:
            assert (await client.get(gateway.urls[0] + "/nowhere")).status_code == 404
            text = (await client.get(f"{gateway.ops_url}/metrics")).text
            assert 'sluicegate_requests_total{method="GET",route="-",status="404",tier=""} 1.0' in text
            assert (
                'sluicegate_policy_decisions_total{decision="allow",policy="rate_limit.global-ip",route="-"} 1.0'
                in text
            )
            assert 'route=""' not in text

    play(scene)
