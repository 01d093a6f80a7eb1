"""HTTP/2 over TLS to a server of other authors (Hypercorn): requests, and WebSockets by RFC 8441."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.redis_servers import free_port
from tests.wire.certificates import authority_file, server_files
from tests.wire.conftest import Perform
from tests.wire.plays import Stage
from tests.wire.websockets import BINARY, CLOSE, TEXT, closing, connect, fields_of, frame, handshake

START_S = 60.0


@dataclass
class Hypercorn:
    port: int
    ca: str

    @property
    def upstream(self) -> dict[str, Any]:
        return {
            "targets": [f"https://127.0.0.1:{self.port}"],
            "protocol": "http2",
            "tls": {"ca": self.ca},
        }


@pytest.fixture(scope="module")
def hypercorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hypercorn]:
    folder = tmp_path_factory.mktemp("hypercorn")
    authority = trustme.CA()
    files = server_files(folder, authority, "127.0.0.1")
    port = free_port()
    command = [sys.executable, "-m", "hypercorn", "tests.wire.hypercorn_app:app", "--bind", f"127.0.0.1:{port}"]
    command += ["--certfile", str(folder / files["cert"]), "--keyfile", str(folder / files["key"])]
    command += ["--workers", "0"]  # in this very process: no other outlives it
    root = Path(__file__).parents[2]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=root, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        asyncio.run(_listening(port, process, folder / "log"))
        yield Hypercorn(port, str(folder / authority_file(folder, authority)))
    finally:
        process.kill()
        process.wait(10)


async def _listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    async with asyncio.timeout(START_S):
        while process.poll() is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0)
            else:
                writer.close()
                await writer.wait_closed()
                return
    raise RuntimeError(log.read_text())


def test_requests(play: Perform, hypercorn: Hypercorn) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (answer.status, answer.body) == (200, b"2  ")

    play(scene, upstream=hypercorn.upstream)


def test_a_websocket(play: Perform, hypercorn: Hypercorn) -> None:
    async def scene(stage: Stage) -> None:
        client = await connect(stage, handshake(b"Sec-WebSocket-Protocol: one, two"))
        assert fields_of(client.head)[b"sec-websocket-protocol"] == b"one"
        assert (await client.next()).data == b"wss over HTTP/2"
        for opcode, data in ((TEXT, "grüße".encode()), (BINARY, bytes(range(256))), (TEXT, b"x" * 200_000)):
            await client.send(frame(opcode, data))
            got = b""
            while len(got) < len(data):
                got += (await client.next()).data
            assert got == data
        await client.send(closing(1000))
        end = await client.next()
        assert (end.opcode, end.code) == (CLOSE, 1000)
        await stage.quiet()

    play(scene, upstream=hypercorn.upstream)


def test_a_websocket_that_is_refused(play: Perform, hypercorn: Hypercorn) -> None:
    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(handshake(path=b"/refused"))
        answer = await caller.answer(check=False)
        assert (answer.status, len(answer.get(b"date"))) == (403, 1)
        assert (await stage.ask(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")).status == 200

    play(scene, upstream=hypercorn.upstream)
