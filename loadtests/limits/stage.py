"""What the measurements of limits share: Redis and a gateway on free ports, and callers at a pace. Measures nothing by itself."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

sys.path.insert(0, str(Path(__file__).parents[1]))

from machine import record
from processes import cpu_and_rss

__all__ = ["Gateway", "Redis", "Told", "call_at_pace", "cpu_and_rss", "key_of", "record"]


CONFIG = """\
version: 1
listen: {{host: 127.0.0.1, port: {port}}}
ops: {{port: {ops_port}}}
log: {{access: off}}
{store}
tiers:
  partner: {{rate: {rate}/s, burst: {burst}}}
routes:
  - name: limited
    match: {{path: /limited}}
    respond: {{status: 200, body: ok}}
    policies: {{api_key: {{}}, rate_limit: {{}}}}
consumers:
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Redis:
    """A server of our own that keeps nothing on disk: restarted, it has forgotten everything."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        program = shutil.which("redis-server", path="/usr/bin:/usr/local/bin")
        if program is None:
            raise SystemExit("needs Debian's redis-server")
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise SystemExit("redis-server does not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def key_of(number: int) -> str:
    return f"caller-{number}"


class Gateway:
    """`sluicegate serve` with so many workers and consumers, as a context manager."""

    def __init__(self, store: str | None, *, workers: int, consumers: int, rate: int, burst: int) -> None:
        self.port, ops_port = free_port(), free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="sluicegate-limits-"))
        text = CONFIG.format(
            port=self.port, ops_port=ops_port, rate=rate, burst=burst, store="" if store is None else f"store: {store}"
        )
        for number in range(consumers):
            digest = hashlib.sha256(key_of(number).encode()).hexdigest()
            text += f"  caller-{number}: {{tier: partner, api_keys: [{{id: k, sha256: {digest}}}]}}\n"
        (self._folder / "config").mkdir()
        (self._folder / "config" / "gateway.yaml").write_text(text)
        self._workers = workers

    async def __aenter__(self) -> Gateway:
        with (self._folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-c", "from gateway.cli import main; main()", "serve",
                    "--config", str(self._folder / "config"), "--state", str(self._folder / "state"),
                    "--workers", str(self._workers),
                ],
                stderr=log, stdout=log,
            )  # fmt: skip
        for _ in range(600):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                # the listener is there before the workers are
                writer.write(b"GET /nowhere HTTP/1.1\r\nHost: limits\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
                writer.close()
            except OSError:
                answer = b""
            if answer.startswith(b"HTTP/1.1 404"):
                return self
            await asyncio.sleep(0.1)
        raise SystemExit((self._folder / "log").read_text()[-2000:])

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGINT)
        await asyncio.to_thread(self.process.wait)
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self) -> str:
        return (self._folder / "log").read_text()


@dataclass
class Told:
    """What one consumer was answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    first: float = 0.0
    last: float = 0.0
    waits_s: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.last - self.first


async def call_at_pace(port: int, number: int, per_s: float, seconds: float, connections: int) -> Told:
    """One consumer's calls over several connections, whose workers the kernel chooses."""
    told = Told()
    request = b"GET /limited HTTP/1.1\r\nHost: limits\r\nX-API-Key: %s\r\n\r\n" % key_of(number).encode()
    began = time.monotonic() + 0.2
    told.first, ends = began, began + seconds

    async def one(place: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        due = began + (place + number / 50) / per_s
        while due < ends:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            sent = time.monotonic()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
            told.last = max(told.last, time.monotonic())
            told.waits_s.append(told.last - sent)
            told.statuses[int(head[9:12])] += 1
            due += connections / per_s
        writer.close()

    await asyncio.gather(*(one(place) for place in range(connections)))
    return told
