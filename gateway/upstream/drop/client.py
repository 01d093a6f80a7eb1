"""The client of a folder: a call's body becomes a file, a file that matches becomes its answer. Names come with the request."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import orjson

from gateway.api.errors import Cause, RequestRefused, Stage, UpstreamError
from gateway.api.messages import Abort, Body, Headers, OnSlow, Response, UpstreamRequest
from gateway.api.pause import pause
from gateway.api.settings.upstream import UpstreamConfig
from gateway.upstream.drop.folder import Part, Taken, remove_old_parts, take
from gateway.upstream.sweep import Sweep

T = TypeVar("T")

log = logging.getLogger("sluicegate.upstream")

PIECE: Final = 64 * 1024
THREADS: Final = 4  # that work on one folder
SWEEP_S: Final = 3600.0  # between two looks for what killed processes have left
OCTETS: Final = (b"content-type", b"application/octet-stream")
JSON: Final = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class _Watched:
    """Who waits, for pause()."""

    caller: OnSlow | None

    def on_slow(self, abort: Abort) -> None:
        if self.caller is not None:
            self.caller(abort)


class DropUpstream:
    """Writes to one folder and picks up from it. File work is done in threads; a deadline bounds the wait for it."""

    def __init__(self, name: str, config: UpstreamConfig, sweep: Sweep, *, workers: int = 1) -> None:
        self.name = name
        self._time = sweep.loop.time
        self._loop = sweep.loop
        # Its own: a network's file system that hangs must not take the threads that other work leaves the loop for
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"drop {name}")
        self._requests = self._errors = 0
        self._sweep_at = 0.0
        self.apply(self.prepare(config, workers=workers))

    def prepare(self, config: UpstreamConfig, *, workers: int | None = None) -> UpstreamConfig:
        """Nothing needs to be worked out; for apply()."""
        return config

    def apply(self, prepared: UpstreamConfig) -> None:
        assert prepared.drop is not None, "the configuration asks for it with file:// targets"
        self._url = prepared.targets[0].url
        self._folder = Path(unquote(urlsplit(self._url).path))
        self._poll_s = prepared.drop.poll

    def close(self) -> None:
        """Nothing is held between calls but threads."""
        self._threads.shutdown(wait=False)

    def statistics(self) -> dict[str, dict[str, int]]:
        idle = dict.fromkeys(("open", "idle", "opening", "waiting", "waits", "ejections"), 0)
        return {self._url: {**idle, "requests": self._requests, "errors": self._errors}}

    def states(self) -> dict[str, dict[str, Any]]:
        return {self._url: {"state": "in", "why": "", "called": True}}

    async def send(self, request: UpstreamRequest, deadline: float, *, replayable: bool = False) -> Response:
        """Write the body to a file, if there is one, and wait for its answer, if one is expected.

        Answers 202 with the file's name when none is, 200 with an answer's octets, 404 when nothing was written and
        nothing is there to be picked up. Raises UpstreamError, whose `sent=False` guarantees that no file has its name;
        RequestRefused for a name that is taken; and what the body raises, after which nothing is left of the file.
        """
        names = request.file
        assert names is not None, "routes to file:// targets name their files"
        self._requests += 1
        if request.tried is not None:
            request.tried.append(self._url)
        body = request.body
        if not body:
            if names.answers is None:
                raise RequestRefused(
                    400, "drop.nothing-to-write", "The request holds nothing to be written; send a body."
                )
            taken = await self._take(names.answers, deadline, sent=False)
            return Response(404, Headers()) if taken is None else self._answer(taken, judged=names.judged)
        await self._write(names.written, body, deadline)
        if names.answers is None:
            return Response(202, Headers((JSON,)), orjson.dumps({"file": names.written}))
        watched = _Watched(request.on_slow)
        while True:
            taken = await self._take(names.answers, deadline, sent=True)
            if taken is not None:
                return self._answer(taken, judged=names.judged)
            left = deadline - self._time()
            if left <= 0:
                raise self._error(Cause.TIMEOUT, "head", "no answer's file in time", sent=True)
            await pause(watched, min(self._poll_s, left))

    async def open_websocket(self, request: UpstreamRequest, subprotocols: bytes | None, deadline: float) -> Response:
        raise RequestRefused(
            501,
            "websocket.file",
            "What answers here is a folder, and takes no WebSockets; send requests without Upgrade.",
        )

    def _answer(self, taken: Taken, *, judged: bool) -> Response:
        return Response(200, Headers((OCTETS,)), TakenBody(taken, self._threads, self.name, judged=judged))

    async def _write(self, name: str, body: bytes | Body, deadline: float) -> None:
        now = self._time()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_S
            self._threads.submit(remove_old_parts, self._folder)
        part = Part(self._folder, name)
        try:
            await self._file_work(part.open, deadline, "write", sent=False)
            if isinstance(body, bytes):
                await self._file_work(partial(part.write, body), deadline, "write", sent=False)
            else:
                while piece := await body.read():
                    await self._file_work(partial(part.write, piece), deadline, "write", sent=False)
            try:
                await self._file_work(part.publish, deadline, "write", sent=True)
            except FileExistsError as problem:
                raise RequestRefused(
                    409, "drop.exists", "A file of this name is there already; use another name."
                ) from problem
        except BaseException:
            self._threads.submit(part.discard)  # a folder that hangs holds nobody up
            raise

    async def _take(self, pattern: str, deadline: float, *, sent: bool) -> Taken | None:
        return await self._file_work(partial(take, self._folder, pattern), deadline, "head", sent=sent, late=_put_back)

    async def _file_work(
        self,
        work: Callable[[], T],
        deadline: float,
        stage: Stage,
        *,
        sent: bool,
        late: Callable[[asyncio.Future[T]], None] | None = None,
    ) -> T:
        """`work` in a thread, at most until the deadline: what hangs there then (a network's file system) ends by itself.

        `late` gets what nobody waits for any more.
        """
        working = self._loop.run_in_executor(self._threads, work)
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(working)
        except asyncio.CancelledError:
            if late is not None:
                working.add_done_callback(late)
            raise
        except TimeoutError as problem:
            if late is not None:
                working.add_done_callback(late)
            raise self._error(Cause.TIMEOUT, stage, "nothing came of the folder in time", sent=sent) from problem
        except FileExistsError:
            raise
        except OSError as problem:
            detail = os.strerror(problem.errno) if problem.errno else type(problem).__name__
            raise self._error(Cause.UNREACHABLE, stage, detail, sent=stage == "head" and sent) from problem

    def _error(self, cause: Cause, stage: Stage, detail: str, *, sent: bool) -> UpstreamError:
        self._errors += 1
        return UpstreamError(cause, stage, sent=sent, upstream=self.name, detail=detail)


def _put_back(taking: asyncio.Future[Taken | None]) -> None:
    if not taking.cancelled() and taking.exception() is None and (taken := taking.result()) is not None:
        taken.put_back()


class TakenBody(Body):
    """An answer's file while it is delivered: gone with its last octet, put back when that was never asked for.

    One that is `judged` stays until close() or set_aside() after its last octet.
    """

    __slots__ = ("_delivered", "_judged", "_taken", "_threads", "_upstream", "length")

    def __init__(self, taken: Taken, threads: Executor, upstream: str, *, judged: bool = False) -> None:
        self.length = taken.size
        self._taken: Taken | None = taken
        self._threads = threads
        self._upstream = upstream
        self._judged = judged
        self._delivered = False

    async def read(self) -> bytes:
        taken = self._taken
        if taken is None or self._delivered:
            return b""
        run = asyncio.get_running_loop().run_in_executor
        piece = await run(self._threads, taken.read, PIECE)
        if not piece:
            self._delivered = True
            if not self._judged:
                self._taken = None
                await run(self._threads, taken.done)
        return piece

    def close(self) -> None:
        taken, self._taken = self._taken, None
        if taken is not None:
            if self._delivered:
                self._threads.submit(taken.done)
            else:
                taken.put_back()

    def set_aside(self) -> None:
        taken, self._taken = self._taken, None
        if taken is not None:
            log.warning("upstream %s: a file that is no answer is kept as %s", self._upstream, taken.reject())
