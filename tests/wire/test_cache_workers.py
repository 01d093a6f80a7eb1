"""What one worker forgets all of them forget: `serve` with two workers before an upstream that counts."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

import uvloop

from gateway.testing.upstream import Peer, ScriptedUpstream, ok
from tests.wire.serving import BOUND_S, ask
from tests.wire.test_serve import COMMAND, line_with

CONFIGURATION = """
version: 1
listen: {host: 127.0.0.1, port: 0}
ops: {port: 0}
drain: {delay: 0s}
log: {access: off}
upstreams:
  orders: {targets: ["URL"]}
routes:
  - name: orders
    match: {path: /orders}
    public: true
    upstream: orders
    policies: {cache: {}}
"""


def test_an_unsafe_request_is_heard_by_the_other_worker(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def upstream(peer: Peer) -> None:
        while True:
            asked.append((await peer.request()).partition(b" ")[0])
            await peer.send(ok(b"%d" % len(asked), ("Cache-Control", "max-age=600")))

    async def play() -> None:
        async with ScriptedUpstream(*[upstream] * 50) as orders:
            (tmp_path / "gateway.yaml").write_text(CONFIGURATION.replace("URL", orders.url))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", COMMAND, "serve", "--config", str(tmp_path), "--workers", "2"),
                *("--state", str(tmp_path / "state")),
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                async with asyncio.timeout(2 * BOUND_S):
                    assert process.stderr is not None
                    said = await line_with(process.stderr, "serving ")
                    port = int(re.findall(r"http://127\.0\.0\.1:(\d+)", said)[0])

                    async def crowd() -> None:
                        await asyncio.gather(*(ask(port, "/orders") for _ in range(16)))

                    while asked.count(b"GET") < 2:  # both workers hold the answer
                        await crowd()
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.write(b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
                    assert b" 200 " in await reader.readline()
                    writer.close()
                    while asked.count(b"GET") < 4:  # and neither does now
                        await crowd()
                    assert asked.count(b"POST") == 1
                    process.send_signal(signal.SIGTERM)
                    assert json.loads(await process.stderr.readline())["message"]
                    await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.communicate()

    uvloop.run(play())
