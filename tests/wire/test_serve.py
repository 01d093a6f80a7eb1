"""`sluicegate serve` as a user runs it: files in a folder, two workers, the ops port, an edit, an end."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

import uvloop

from tests.wire.serving import BOUND_S, ask

CONFIGURATION = """
version: 1
listen: {host: 127.0.0.1, port: 0}
ops: {port: 0}
drain: {delay: 0s}
log: {access: off}
routes:
  - name: status
    match: {path: /status}
    public: true
    respond: {status: 200, body: {ok: BODY}}
"""
COMMAND = "from gateway.cli import main; main()"


async def line_with(stream: asyncio.StreamReader, words: str) -> str:
    async for line in stream:
        if words in (message := json.loads(line)["message"]):
            return str(message)
    raise AssertionError(f"it never said: {words}")


def test_serve(tmp_path: Path) -> None:
    async def play() -> None:
        file = tmp_path / "gateway.yaml"
        file.write_text(CONFIGURATION.replace("BODY", "first"))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", COMMAND, "serve", "--config", str(tmp_path), "--workers", "2", "--watch"),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(2 * BOUND_S):
                assert process.stderr is not None
                said = await line_with(process.stderr, "serving ")
                port, ops = (int(found) for found in re.findall(r"http://127\.0\.0\.1:(\d+)", said))
                assert "1 route, 2 workers" in said
                assert (await ask(port, "/status")).endswith(b'{"ok":"first"}')
                assert json.loads((await ask(ops, "/readyz")).partition(b"\r\n\r\n")[2])["ready"] is True

                file.write_text(CONFIGURATION.replace("BODY", "second"))
                await line_with(process.stderr, "is served")
                assert (await ask(port, "/status")).endswith(b'{"ok":"second"}')

                file.write_text("version: 1\nbogus: true\n")
                await line_with(process.stderr, "gateway.yaml:2:1: error: bogus")
                assert (await ask(port, "/status")).endswith(b'{"ok":"second"}')
                assert b"sluicegate_config_last_reload_ok 0" in await ask(ops, "/metrics")

                process.send_signal(signal.SIGTERM)
                await line_with(process.stderr, "ended")
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    uvloop.run(play())


def test_a_reload_opens_the_access_log_anew_whatever_became_of_the_configuration(tmp_path: Path) -> None:
    async def play() -> None:
        file, log = tmp_path / "gateway.yaml", tmp_path / "access.log"
        file.write_text(CONFIGURATION.replace("BODY", "same").replace("access: off", f"access: {log}"))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", COMMAND, "serve", "--config", str(tmp_path), "--workers", "2"),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(2 * BOUND_S):
                assert process.stderr is not None
                await line_with(process.stderr, "serving ")
                for change in ("", "\nbogus: true\n"):
                    file.write_text(file.read_text() + change)
                    log.rename(tmp_path / "access.log.1")
                    process.send_signal(signal.SIGHUP)
                    while not log.exists():
                        await asyncio.sleep(0.02)
        finally:
            process.kill()
            await process.communicate()

    uvloop.run(play())
