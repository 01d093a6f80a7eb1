"""What `serve` says on start, and when it refuses to."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import uvloop

from gateway.runtime.listeners import listen_tcp
from tests.wire.serving import BOUND_S, serving
from tests.wire.stub_serve import serve


def refusal(folder: Path, caplog: pytest.LogCaptureFixture, **document: object) -> tuple[int, str]:
    """Exit status and log of a `serve` that ends by itself."""
    file = folder / "configuration.json"
    file.write_text(json.dumps(document))

    async def run() -> int:
        async with asyncio.timeout(BOUND_S):
            return await serve(file, 1, "auto", "still")

    return uvloop.run(run()), caplog.text


def test_it_says_what_it_serves(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, workers=2, routes=["a", "b"]) as gateway:
            message = (await gateway.logged("serving "))["message"]
            assert f"http://127.0.0.1:{gateway.port}" in message
            assert "configuration v1, 2 routes, 2 workers, 0 warnings" in message
            status = await gateway.ops()
            assert (status["ready"], status["alive"], status["version"]) == (True, 2, "v1")

    uvloop.run(play())


def test_errors_exit_with_2(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    status, log = refusal(tmp_path, caplog, errors=["no such upstream"])
    assert status == 2
    assert "configuration.json:1:1: error: no such upstream" in log


def test_an_address_in_use_exits_with_2(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = listen_tcp("127.0.0.1", 0)
    port = other.port
    status, log = refusal(tmp_path, caplog, version="v1", listen={"port": port})
    other.close()
    assert status == 2
    assert f"cannot listen on 127.0.0.1:{port}: the address is in use" in log


def test_an_ops_port_in_use_exits_with_2(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = listen_tcp("127.0.0.1", 0)
    port = other.port
    status, log = refusal(tmp_path, caplog, version="v1", ops={"port": port})
    other.close()
    assert status == 2
    assert f"ops port: cannot listen on 127.0.0.1:{port}: the address is in use" in log


def test_what_no_worker_can_build_exits_with_2(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    status, log = refusal(tmp_path, caplog, version="v1", routes=["unbuildable"])
    assert status == 2
    assert "route unbuildable cannot be built" in log


def test_a_server_that_cannot_do_what_is_asked_exits_with_2(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    status, log = refusal(tmp_path, caplog, version="v1", listen={"server": "granian", "max_headers": 500})
    assert status == 2
    assert "more than 100 header fields cannot be served by granian" in log
