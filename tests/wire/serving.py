"""`serve` as a real process for tests: started, watched through its ops port, called by busy clients, ended."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BOUND_S = 20.0  # no test waits longer than this for anything
START_S = 60.0  # a start is processes that import and compile: 3 s on an idle machine, and others may be busy on it
COMMAND = "from gateway.cli import main; main()"
POST = b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


@dataclass
class Caller:
    """POSTs one after the other on a kept connection; makes a new one when it was told so. Counts what is lost."""

    port: int
    on_answer: Callable[[], None] = lambda: None
    answered: int = 0
    versions: set[str] = field(default_factory=set)
    pids: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    ending: bool = False
    told_to_close: int = 0

    async def run(self) -> None:
        """Until `ending`, or until the gateway no longer takes connections."""
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self.ending:
            if connection is None:
                try:
                    connection = await asyncio.open_connection("127.0.0.1", self.port)
                except ConnectionRefusedError:
                    return
            reader, writer = connection
            try:
                writer.write(POST)
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await reader.readexactly(5)
            except (asyncio.IncompleteReadError, ConnectionError) as exc:
                self.lost.append(repr(exc))
                writer.close()
                return
            self.answered += 1
            self.versions.update(re.findall(r"x-version: (\S+)", head))
            self.pids.update(re.findall(r"x-pid: (\S+)", head))
            self.on_answer()
            if "connection: close" in head:
                self.told_to_close += 1
                writer.close()
                connection = None
        if connection is not None:
            connection[1].close()


class Crowd:
    """Many busy callers. `async with` runs them; afterwards `lost` tells what they lost."""

    def __init__(self, port: int, size: int) -> None:
        self.callers = [Caller(port, self._count) for _ in range(size)]
        self._answers = 0
        self._more = asyncio.Event()

    async def __aenter__(self) -> Crowd:
        self._tasks = [asyncio.ensure_future(caller.run()) for caller in self.callers]
        return self

    async def __aexit__(self, *details: object) -> None:
        for caller in self.callers:
            caller.ending = True
        async with asyncio.timeout(BOUND_S):
            await asyncio.gather(*self._tasks)

    async def answers(self, more: int) -> None:
        """Wait for so many more answers."""
        wanted = self._answers + more
        async with asyncio.timeout(BOUND_S):
            while self._answers < wanted and not all(task.done() for task in self._tasks):
                self._more.clear()
                await self._more.wait()

    async def finished(self) -> None:
        """Wait until nobody gets a connection any more."""
        async with asyncio.timeout(BOUND_S):
            await asyncio.gather(*self._tasks)

    def lost(self) -> list[str]:
        return [what for caller in self.callers for what in caller.lost]

    def pids(self) -> set[str]:
        return set().union(*(caller.pids for caller in self.callers))

    def _count(self) -> None:
        self._answers += 1
        self._more.set()


@dataclass
class Serving:
    """A running `serve`. `file` is its configuration."""

    process: asyncio.subprocess.Process
    file: Path
    port: int
    ops_port: int
    lines: list[dict[str, Any]]
    log: asyncio.Future[None]  # done when the last process that writes to it has ended
    _line: asyncio.Event

    def write(self, **document: object) -> None:
        self.file.write_text(json.dumps(document))

    async def ops(self, path: str = "/") -> Any:
        head, _, body = (await ask(self.ops_port, path)).partition(b"\r\n\r\n")
        assert b" 200 " in head.splitlines()[0], head
        return json.loads(body)

    async def get(self, path: str) -> bytes:
        return await ask(self.port, path)

    async def logged(self, words: str, bound_s: float = BOUND_S) -> dict[str, Any]:
        """The first line of its log with these words, waited for."""
        async with asyncio.timeout(bound_s):
            while True:
                for line in self.lines:
                    if words in line["message"]:
                        return line
                self._line.clear()
                await self._line.wait()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        async with asyncio.timeout(BOUND_S):
            return await self.process.wait()


@asynccontextmanager
async def serving(
    folder: Path, *, workers: int = 1, server: str = "auto", watch: bool = True, **document: object
) -> AsyncIterator[Serving]:
    file = folder / "configuration.json"
    file.write_text(json.dumps({"version": "v1", **document}))
    async with watched(await start(file, workers, server, watch=watch), file) as running:
        yield running


@asynccontextmanager
async def watched(process: asyncio.subprocess.Process, file: Path) -> AsyncIterator[Serving]:
    """From when it serves; killed at the end, if it still runs."""
    lines: list[dict[str, Any]] = []
    arrived = asyncio.Event()

    async def read_log() -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            lines.append(json.loads(line) if line.startswith(b"{") else {"message": line.decode()})
            arrived.set()

    log = asyncio.ensure_future(read_log())
    running = Serving(process, file, 0, 0, lines, log, arrived)
    try:
        message = (await running.logged("serving ", START_S))["message"]
        ports = re.findall(r"http://127\.0\.0\.1:(\d+)", message)
        running.port, running.ops_port = int(ports[0]), int(ports[-1])
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await log


def serve(folder: Path, workers: int, server: str, *, state: Path, **environment: str) -> Any:
    """`sluicegate serve` with a configuration of its own."""
    return asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, "serve", "--config", str(folder), "--state", str(state)),
        *("--workers", str(workers), "--server", server),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


async def start(file: Path, workers: int, server: str, *, watch: bool = False) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "tests.wire.stub_serve",
            str(file),
            str(workers),
            server,
            "watch" if watch else "still",
        ),
        stderr=asyncio.subprocess.PIPE,
    )


async def ask(port: int, path: str) -> bytes:
    async with asyncio.timeout(BOUND_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer
