"""One worker as the supervisor sees it: a child process and the orders it understands. Decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.runtime.control import (
    Abandon,
    Accept,
    Announce,
    Begin,
    Channel,
    Commit,
    Count,
    Depend,
    InheritedListener,
    LetGo,
    Link,
    Order,
    Part,
    Prepare,
    Purge,
    WorkerFailedError,
)
from gateway.runtime.drain import SETTLE_S
from gateway.runtime.listeners import Listener

START_S = 30.0  # for the interpreter, its imports and a first configuration of 10,000 routes
PREPARE_S = 10.0  # for a change
ANSWER_S = 10.0  # for everything else
SUPERVISED = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What all workers of a gateway have in common."""

    plane: str  # `module:callable`, see gateway.runtime.worker.PlaneFactory
    workers: int = 1
    server: Literal["auto", "granian", "uvicorn"] = "auto"
    environment: Mapping[str, str] | None = None  # beside the supervisor's own


class WorkerProcess:
    """Made by start(). Whoever starts it ends it: with let_go() or kill()."""

    def __init__(self, process: subprocess.Popen[bytes], link: Link) -> None:
        self._process = process
        self._link = link
        self._started = time.monotonic()
        self.version = ""  # of the configuration it serves
        self._prepared = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    def lived_s(self) -> float:
        return time.monotonic() - self._started

    @classmethod
    async def start(cls, options: WorkerOptions, listeners: Sequence[Listener]) -> WorkerProcess:
        """A process that knows its listeners, and serves nothing yet. Raises WorkerFailedError."""
        ours, theirs = socket.socketpair()
        descriptors = [listener.sock.fileno() for listener in listeners]
        command = [sys.executable, "-P", "-m", "gateway.runtime.worker"]
        command += ["--control", str(theirs.fileno()), "--plane", options.plane]
        # blocked until the worker ignores them: a child that has just been started would die of the terminal's Ctrl-C
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISED)
        try:
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - vfork and exec, a millisecond; our own module
                command,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), *descriptors],
                env={**os.environ, **(options.environment or {})},
            )
        except OSError as exc:
            ours.close()
            raise WorkerFailedError(f"cannot be started: {exc}") from exc
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        ours.setblocking(False)
        worker = cls(process, Link(await Channel.over(ours)))
        inherited = tuple(InheritedListener(one.sock.fileno(), one.url, one.unix) for one in listeners)
        await worker._ask_or_kill(Begin(inherited, options.server, options.workers), START_S)
        return worker

    async def prepare(self, parts: Sequence[bytes], version: str, timeout_s: float = PREPARE_S) -> None:
        """Build a configuration beside the live one. Raises WorkerFailedError; commit() or abandon() comes next."""
        await self._link.tell(Part(part) for part in parts)
        await self._link.ask(Prepare(), timeout_s)
        self._prepared = version

    async def commit(self) -> None:
        await self._link.ask(Commit(), ANSWER_S)
        self.version = self._prepared

    async def abandon(self) -> None:
        await self._tell(Abandon())

    async def accept(self) -> None:
        await self._link.ask(Accept(), ANSWER_S)

    async def counters(self) -> object:
        return await self._link.ask(Count(), ANSWER_S)

    async def dependencies(self) -> Mapping[str, bool]:
        said: Mapping[str, bool] = await self._link.ask(Depend(), ANSWER_S)
        return said

    async def purge(self, request: object) -> object:
        return await self._link.ask(Purge(request), ANSWER_S)

    async def hear(self, order: object) -> None:
        """Have it carry out what another worker spreads."""
        await self._tell(Purge(order))

    def on_spread(self, spread: Callable[[object], None]) -> None:
        """What to do with orders that it wants the other workers to carry out."""
        self._link.on_spread = spread

    async def announce(self) -> None:
        await self._tell(Announce())

    async def let_go(self, linger_s: float, timeout_s: float) -> bool:
        """End it in peace, or after `timeout_s` otherwise. Returns whether every call ended in time."""
        try:
            return bool(await self._link.ask(LetGo(linger_s, timeout_s), linger_s + timeout_s + SETTLE_S + ANSWER_S))
        except WorkerFailedError:
            return False
        finally:
            await self._link.close()
            await self._reap(ANSWER_S)

    async def gone(self) -> None:
        """Returns when the process ended, for whatever reason."""
        await self._link.gone.wait()

    def kill_now(self) -> None:
        """Cut everything; returns at once."""
        self._process.kill()

    async def kill(self) -> int:
        """Cut everything. Returns the exit status, negative for a signal."""
        self._process.kill()
        await self._link.close()
        return await self._reap(ANSWER_S)

    async def exit_status(self) -> int:
        """Of a worker that is gone; kills it when it closed its socket but stays."""
        await self._link.close()
        return await self._reap(1.0)

    async def _reap(self, timeout_s: float) -> int:
        try:
            return await asyncio.to_thread(self._process.wait, timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return await asyncio.to_thread(self._process.wait)

    async def _tell(self, order: Order) -> None:
        with contextlib.suppress(WorkerFailedError):  # its end is noticed elsewhere
            await self._link.tell([order])

    async def _ask_or_kill(self, order: Order, timeout_s: float) -> None:
        try:
            await self._link.ask(order, timeout_s)
        except BaseException:
            await self.kill()
            raise
