"""Gateways, a store and an upstream that counts what it executes: what the proofs of idempotency keys play with. Judges nothing.

The upstream has two faces: /hold executes whatever comes; /retry remembers keys, as an upstream that honours them does.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEASE_S, TOTAL_S = 4, 3
ROOT = Path(__file__).parent.parent
ROUTES = ("hold", "retry")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Upstream:
    """Executes, and answers with how often it did."""

    def __init__(self) -> None:
        self.port = 0
        self.executed: Counter[str] = Counter()  # by route and key: what it did
        self.slowest_s = 0.02
        self.entered = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Upstream:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None, "entered"
        self._server.close()
        for writer in self._callers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await reader.readexactly(int(_of(r"content-length: (\d+)", head)))
                route, key = _of(r"POST /(\w+)", head), _of(r"idempotency-key: (\S+)", head)
                if route == "hold" or not self.executed[f"{route} {key}"]:
                    self.executed[f"{route} {key}"] += 1
                self.entered.set()
                await asyncio.sleep(random.random() * self.slowest_s)
                body = f"{key} executed {self.executed[f'{route} {key}']}".encode()
                writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):  # cancelled at the end
            pass
        finally:
            self._callers.discard(writer)
            writer.close()


def _of(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.IGNORECASE)
    assert found is not None, text
    return found[1]


@dataclass
class Redis:
    """A redis-server of our own, in a folder of its own."""

    folder: Path
    options: tuple[str, ...] = ("--appendonly", "yes", "--appendfsync", "always")
    program: str = "redis-server"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True, parents=True)
        program = shutil.which(self.program)
        assert program is not None, "needs Debian's redis-server"
        place = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--logfile", "redis.log")
        command = [program, *place, "--save", "", "--maxmemory-policy", "noeviction", *self.options]
        self.process = subprocess.Popen(command)
        while "PONG" not in self.ask("PING"):
            time.sleep(0.02)

    def ask(self, *words: str) -> str:
        """The answer, "" when there is none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
                connection.sendall(f"*{len(parts)}\r\n{''.join(parts)}".encode())
                return connection.recv(65536).decode("latin-1")
        except OSError:
            return ""

    def signal(self, number: int) -> None:
        assert self.process is not None, "started"
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Gateway:
    """A gateway on a port and a configuration of its own; those of one folder share their state.

    Forked from a process that has everything imported, so that it is back at once; with `whole` the real `sluicegate serve`,
    supervisor and worker, which takes seconds to come back.
    """

    def __init__(self, config: Path, port: int, *, whole: bool = False, beside: Gateway | None = None) -> None:
        """`beside`: one that has been started, and ends later; it forks this one as well."""
        self.config = config
        self._beside = beside
        self.port = port
        self.whole = whole
        self.log = config.with_suffix(".log")
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self.whole:
            self._process = self._run(
                "-c", "from gateway.cli import main; main()", "serve", "--config", str(self.config)
            )
            self.pid = self._process.pid
            return
        forks = self if self._beside is None else self._beside
        if forks._process is None:
            forks._process = forks._run(str(Path(__file__).with_name("idempotency_process.py")))
        pipes = forks._process
        assert pipes.stdin is not None, "a pipe"
        assert pipes.stdout is not None, "a pipe"
        pipes.stdin.write(f"{self.config}\n".encode())
        pipes.stdin.flush()
        self.pid = int(pipes.stdout.readline() or 0)
        if not self.pid:
            raise RuntimeError(forks.log.read_text()[-2000:])

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        pipe = None if self.whole else subprocess.PIPE
        with self.log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, *command],
                stdin=pipe,
                stdout=out if self.whole else pipe,
                stderr=out,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    @property
    def alive(self) -> bool:
        return bool(self.pid) and Path(f"/proc/{self.pid}").exists()

    def signal(self, number: int) -> None:
        """To all its processes."""
        for pid in family(self.pid):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def kill(self) -> None:
        """As when the machine takes it: SIGKILL to all its processes."""
        self.signal(signal.SIGKILL)
        if self.whole and self._process is not None:
            self._process.wait()
        while self.alive:
            time.sleep(0.001)

    def end(self) -> None:
        self.kill()
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for each in found:
        try:
            children = Path(f"/proc/{each}/task/{each}/children").read_text()
        except OSError:
            continue
        found += [int(child) for child in children.split()]
    return found


def configured(
    folder: Path,
    number: int,
    upstream_port: int,
    store: str,
    *,
    whole: bool = False,
    beside: Gateway | None = None,
    lease_s: float = LEASE_S,
    total_s: float = TOTAL_S,
    **policy: Any,
) -> Gateway:
    port = free_port()
    base = {"scope": "route", "lease": f"{lease_s}s", "store": "records", **policy}
    routes = [
        {
            "name": name,
            "match": {"path": f"/{name}"},
            "public": True,
            "upstream": name,
            "policies": {"idempotency": {**base, "on_unknown": name}},
        }
        for name in ROUTES
    ]
    target = {"targets": [f"http://127.0.0.1:{upstream_port}"]}
    document = {
        "version": 1,
        "listen": {"host": "127.0.0.1", "port": port},
        "ops": {"port": free_port()},
        "state": str(folder / "state"),
        "stores": {"records": store},
        "log": {"access": "off", "level": "warning"},
        "drain": {"delay": "0s"},
        "upstreams": {"hold": target, "retry": {**target, "honours_idempotency_key": True}},
        "defaults": {"policies": {"timeout": {"total": f"{total_s}s"}, "request_size": {"max": "1MiB"}}},
        "routes": routes,
    }
    config = folder / f"config-{number}"
    config.mkdir(parents=True)
    (config / "gateway.yaml").write_text(json.dumps(document))
    return Gateway(config, port, whole=whole, beside=beside)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    replayed: bool

    @property
    def code(self) -> str:
        """What is said instead of an answer; "" for an answer."""
        return "" if self.status == 201 else str(json.loads(self.body)["code"])


async def post(port: int, route: str, key: str, *, within_s: float = 10) -> Answer | None:
    """One call on a connection of its own; None when it broke."""
    writer = None
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"POST /{route} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n"
            writer.write(f"{head}Idempotency-Key: {key}\r\n\r\n{{}}".encode())
            head_raw, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return Answer(int(head_raw.split()[1]), body, b"idempotency-replayed: true" in head_raw.lower())
    except (OSError, IndexError, TimeoutError):
        return None
    finally:
        if writer is not None:
            writer.transport.abort()


async def answering(gateways: Iterable[Gateway]) -> None:
    """Returns when all take calls."""
    for gateway in gateways:
        while await post(gateway.port, "hold", "", within_s=2) is None:
            if not gateway.alive:
                raise RuntimeError(gateway.log.read_text()[-2000:])
            await asyncio.sleep(0.02)


class Watched:
    """Keys that were asked for, and whether what was said of them agrees."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.first: dict[tuple[str, str], bytes] = {}
        self.differing = 0
        self.up = asyncio.Event()  # while nobody listens nobody asks
        self.up.set()

    def heard(self, route: str, key: str, answer: Answer) -> None:
        if answer.status == 201:
            self.differing += self.first.setdefault((route, key), answer.body) != answer.body

    async def call(self, port: int, route: str, key: str, tries: int = 3) -> None:
        """A caller that asks again until it is answered, a few times."""
        self.asked.append((route, key))
        for _ in range(tries):
            await self.up.wait()
            answer = await post(port, route, key)
            if answer is not None:
                self.heard(route, key, answer)
                if answer.status == 201:
                    return
            await asyncio.sleep(0.02)

    async def ends(self, port: int, route: str) -> Counter[str]:
        """What each key of a route ends as, when asked for once more."""
        found: Counter[str] = Counter()
        keys = iter([key for each, key in self.asked if each == route])

        async def ask() -> None:
            for key in keys:
                answer = await post(port, route, key)
                if answer is not None:
                    self.heard(route, key, answer)
                found["no answer" if answer is None else answer.code or "its answer"] += 1

        await asyncio.gather(*(ask() for _ in range(16)))
        return found
