"""Plays of the wire: a caller that sends raw bytes, a gateway in this process, an upstream that follows a script.

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        assert (await caller.answer()).status == 200
        assert stage.upstream.requests == [...]

    perform(server, scene, answering(ok()))

Knows nothing of what is right, but for the rules that every answer has to keep (`Answer.check`).
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import uvloop

from gateway.compile import compile_configuration
from gateway.compile.plan import Plan
from gateway.compile.registry import Registry, installed
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.inprocess import Gateway
from gateway.testing.upstream import Script, ScriptedUpstream, answering, ok

Server = Literal["granian", "uvicorn"]
PATIENCE_S = 10.0  # bounds every wait, so that a broken test ends with an error

TO_ALL = {"name": "all", "match": {"path": "/**"}, "public": True, "upstream": "orders"}


class Broken(Exception):
    """The connection ended before an answer was whole."""


@dataclass
class Answer:
    """One answer as it came over the wire."""

    status: int
    reason: bytes
    fields: list[tuple[bytes, bytes]]  # names in lower case
    body: bytes
    chunked: bool
    interim: list[int] = field(default_factory=list)

    def get(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    @property
    def ends_connection(self) -> bool:
        return self.get(b"connection") == [b"close"]

    @property
    def problem(self) -> dict[str, Any]:
        assert self.get(b"content-type") == [b"application/problem+json"], self
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        return document

    @property
    def end_to_end(self) -> list[tuple[bytes, bytes]]:
        """The fields without those that the gateway or its server puts on every answer."""
        ours = (b"date", b"server", b"x-request-id", b"connection")
        return [(name, value) for name, value in self.fields if name not in ours]

    def check(self) -> None:
        """What holds for every answer of the gateway."""
        assert len(self.get(b"date")) == 1, self
        assert self.get(b"server") == [b"sluicegate"], self
        assert len(self.get(b"x-request-id")) == 1, self
        framing = self.get(b"content-length") + self.get(b"transfer-encoding")
        assert len(framing) <= 1, self
        for hop in (b"keep-alive", b"proxy-connection", b"upgrade", b"te", b"trailer"):
            assert not self.get(hop), self


class Caller:
    """A caller's connection, in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Each piece in a write of its own. A gateway that has closed is no error: what it answered tells."""
        for piece in pieces:
            try:
                self.writer.write(piece)
                async with asyncio.timeout(PATIENCE_S):
                    await self.writer.drain()
            except (ConnectionError, RuntimeError):  # RuntimeError: uvloop's word for a closed transport
                return

    async def answer(self, method: str = "GET", *, check: bool = True) -> Answer:
        """The next answer, interim ones before it included. Raises Broken."""
        interim: list[int] = []
        async with asyncio.timeout(PATIENCE_S):
            while True:
                status, reason, fields = await self._head()
                if status >= 200:
                    break
                interim.append(status)
            named = dict(fields)
            chunked = named.get(b"transfer-encoding") == b"chunked"
            try:
                if method == "HEAD" or status in (204, 304):
                    body = b""
                elif chunked:
                    body = await self._chunks()
                elif b"content-length" in named:
                    body = await self.reader.readexactly(int(named[b"content-length"]))
                else:
                    body = await self.reader.read()
            except (asyncio.IncompleteReadError, ConnectionError) as cut:
                raise Broken(status) from cut
        answer = Answer(status, reason, fields, body, chunked, interim)
        if check:
            answer.check()
        return answer

    async def head(self) -> int:
        """The status of the next answer, whose body stays unread."""
        async with asyncio.timeout(PATIENCE_S):
            return (await self._head())[0]

    async def rest(self) -> bytes:
        """All that still comes, until the gateway closes or resets the connection."""
        pieces = []
        async with asyncio.timeout(PATIENCE_S):
            try:
                while piece := await self.reader.read(65536):
                    pieces.append(piece)
            except ConnectionError:
                pass
        return b"".join(pieces)

    def close(self) -> None:
        self.writer.close()

    def half_close(self) -> None:
        self.writer.write_eof()

    def reset(self) -> None:
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def _head(self) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as cut:
            raise Broken(getattr(cut, "partial", b"")) from cut
        first, *lines = raw[:-4].split(b"\r\n")
        found = re.fullmatch(rb"HTTP/1\.[01] ([0-9]{3}) ([\x20-\x7e]*)", first)
        assert found is not None, raw
        fields = []
        for line in lines:
            name, colon, value = line.partition(b": ")
            assert colon, raw
            assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value), raw
            fields.append((name.lower(), value))
        return int(found[1]), found[2], fields

    async def _chunks(self) -> bytes:
        body = b""
        while True:
            size = int((await self.reader.readuntil(b"\r\n")).removesuffix(b"\r\n"), 16)
            piece = await self.reader.readexactly(size + 2)
            assert piece.endswith(b"\r\n")
            if not size:
                return body
            body += piece[:-2]


@dataclass
class Stage:
    """What a scene plays with."""

    gateway: Gateway
    plane: WorkerPlane
    upstream: ScriptedUpstream
    folder: Path
    _callers: list[Caller] = field(default_factory=list)

    @property
    def host(self) -> bytes:
        """The Host that the upstream sees."""
        return b"127.0.0.1:%d" % self.upstream.port

    async def caller(self, listener: int = 0, *, receive_buffer: int | None = None) -> Caller:
        """Another connection to the gateway."""
        opened = socket.socket()
        if receive_buffer is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(opened, ("127.0.0.1", self.gateway.listeners[listener].port))
        reader, writer = await asyncio.open_connection(sock=opened, limit=2**16 if receive_buffer is None else 1024)
        caller = Caller(reader, writer)
        self._callers.append(caller)
        return caller

    async def ask(self, raw: bytes, method: str = "GET") -> Answer:
        """The answer to `raw` on a connection of its own."""
        caller = await self.caller()
        await caller.send(raw)
        answer = await caller.answer(method)
        caller.close()
        return answer

    async def quiet(self) -> None:
        """Wait until no exchange is under way."""
        await holds(lambda: self.plane.in_flight() == 0)

    def figures(self) -> dict[str, int]:
        """Statistics of the upstream's connections."""
        statistics: dict[str, int] = self.plane.statistics()["orders"][self.upstream.url]
        return statistics

    async def logged(self) -> dict[str, Any]:
        """The only line of the access log. A thread writes it, in its time."""
        log, file = self.plane._access_log, self.folder / "access.log"
        assert log is not None
        await self.quiet()
        log.flush()
        await holds(lambda: file.stat().st_size)
        line: dict[str, Any]
        (line,) = [json.loads(line) for line in file.read_text().splitlines()]
        return line

    def leave(self) -> None:
        for caller in self._callers:
            caller.close()


async def holds(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds, looking every millisecond: what changes it may be another thread."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE_S
    while not condition():
        assert loop.time() < until, "the condition never came to hold"
        turn = loop.create_future()
        loop.call_later(0.001, turn.set_result, None)
        await turn


@lru_cache(maxsize=1)
def _specs() -> Registry:
    return installed()


def plan_of(folder: Path, document: Mapping[str, Any]) -> Plan:
    (folder / "gateway.yaml").write_text(json.dumps(document))
    compiled = compile_configuration(folder)
    assert compiled.plan is not None, compiled.findings
    return compiled.plan


def perform(
    server: Server,
    scene: Callable[[Stage], Awaitable[None]],
    *scripts: Script,
    listen: Mapping[str, Any] | None = None,
    upstream: Mapping[str, Any] | None = None,
    routes: list[dict[str, Any]] | None = None,
    tls: ssl.SSLContext | None = None,
    scheme: str | None = None,
    **document: Any,
) -> None:
    """Play `scene` on `server`. `upstream`, `listen` and `document` are added to a configuration of one route to all.

    `scheme` is for an upstream that speaks something else than HTTP.
    """

    async def run(folder: Path) -> None:
        async with ScriptedUpstream(*(scripts or (answering(ok()),)), tls=tls) as scripted:
            target = f"{scheme}://127.0.0.1:{scripted.port}" if scheme else scripted.url
            plan = plan_of(
                folder,
                {
                    "version": 1,
                    "listen": {"host": "127.0.0.1", "port": 0, **(listen or {})},
                    "log": {"access": "access.log"},
                    "upstreams": {"orders": {"targets": [target], **(upstream or {})}},
                    "routes": routes or [TO_ALL],
                    **document,
                },
            )
            plane = WorkerPlane(_specs())
            async with Gateway(plan, plane, server=server) as gateway:
                stage = Stage(gateway, plane, scripted, folder)
                try:
                    async with asyncio.timeout(3 * PATIENCE_S):
                        await scene(stage)
                finally:
                    stage.leave()

    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(Path(folder)))
