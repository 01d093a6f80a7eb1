"""The page that takes an API from nothing to live: its files, its gateway, its calls, in its order."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.unit.docs.steps import BOUND_S, ROOT, Terminal, blocks

IDENTITY = {
    f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "o"), ("EMAIL", "o@e.g"))
}

PLACEHOLDER = '- {id: k0000000, sha256: "' + "0" * 64 + '"}'  # where a reader puts the line of the new key


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *details: object) -> None:
        """It has nothing to say."""


@contextmanager
def items(folder: Path) -> Iterator[str]:
    """The new API, as `python -m http.server` serves it; its address."""
    (folder / "items").mkdir(parents=True)
    (folder / "items/7").write_text('{"id": 7}')
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@asynccontextmanager
async def served(command: str, folder: Path, environment: dict[str, str]) -> AsyncIterator[tuple[str, str]]:
    """`sluicegate serve` as the page starts it; the addresses of the gateway and of its ops port."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command),
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = ""
    try:
        async with asyncio.timeout(BOUND_S):
            while "serving " not in said:
                line = await process.stderr.readline()
                assert line, said
                said = json.loads(line)["message"]
        gateway, ops = re.findall(r"http://(127\.0\.0\.1:\d+)", said)
        yield gateway, ops
    finally:
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(BOUND_S):
            await process.communicate()


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("git")), reason="the page's commands need curl and git")
def test_an_api_goes_from_nothing_to_live_and_back(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        **IDENTITY,
    }

    async def play() -> str:
        written = ""
        async with AsyncExitStack() as stack:
            upstream = stack.enter_context(items(tmp_path / "www"))
            # free ports in place of those of the page
            put = {"port: 8080": "port: 0", "port: 9090": "port: 0", "127.0.0.1:9001": upstream}
            terminal = await stack.enter_async_context(Terminal(folder, environment))
            for block in blocks("docs/operations.md"):
                if block.language == "yaml":
                    block.write(folder, put)
                elif block.name == "serve":
                    gateway, ops = await stack.enter_async_context(served(block.text, folder, environment))
                    put |= {"127.0.0.1:8080": gateway, "127.0.0.1:9090": ops}
                else:
                    written += "".join(await terminal.run(block, put))
                if PLACEHOLDER not in put:
                    ((key, line),) = re.findall(r"(sgk_\S+).*?(- \{id: .*?\})", written, re.DOTALL)
                    put |= {PLACEHOLDER: line}
                    await terminal.type(f"KEY={key}")
        return written

    written = asyncio.run(play())
    version = re.findall(r'"version": "(\w+)",\s+"changed"', written)
    assert len(version) == 4
    shadow, unchanged, enforced, rolled_back = version
    assert shadow == unchanged == rolled_back != enforced
