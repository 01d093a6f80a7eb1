"""A worker process: serves on inherited listeners what the supervisor sends. `python -m gateway.runtime.worker` starts it.

It leaves when told to, and when the control socket closes; signals of the terminal and of service managers
are the supervisor's business.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any, NoReturn, assert_never

import uvloop

from gateway.api.settings.document import Settings
from gateway.runtime.control import (
    Abandon,
    Accept,
    Announce,
    Answer,
    Ask,
    Begin,
    Channel,
    Commit,
    Count,
    Depend,
    LetGo,
    Order,
    Part,
    Prepare,
    Purge,
    Spread,
)
from gateway.runtime.delta import DeltaParts
from gateway.runtime.drain import SETTLE_S, let_go
from gateway.runtime.listeners import Listener
from gateway.runtime.plane import DataPlane
from gateway.runtime.servers import DataServer, make_server
from gateway.telemetry import logs

log = logging.getLogger("sluicegate.runtime")

PlaneFactory = Callable[[int], DataPlane]  # from the number of workers
GC_THRESHOLD = 50_000  # the default of 700 costs 4 µs a request and half of p99


class WorkerSession:
    """What one worker does between its start and its end."""

    def __init__(self, make_plane: PlaneFactory, spread: Callable[[object], None]) -> None:
        self._spread = spread
        self._make_plane = make_plane
        self._parts = DeltaParts()
        self._preparing: asyncio.Task[Any] | None = None
        self._servers: list[DataServer] = []
        self._listeners: list[Listener] = []
        self.settings: Settings | None = None

    async def carry_out(self, order: Order) -> object:
        """The answer to an order; raises when it cannot be done."""
        match order:
            case Begin():
                self._begin = order
                self._listeners = [
                    Listener(socket.socket(fileno=one.fd), one.url, unix=one.unix) for one in order.listeners
                ]
                self._plane = self._make_plane(order.workers)
                if order.workers > 1:
                    self._plane.spread_by(self._spread)
            case Part(data):
                self._parts.add(data)
                await asyncio.sleep(0)  # parts come back to back; requests go in between
            case Prepare():
                self._delta = self._parts.take()
                self._preparing = asyncio.ensure_future(self._plane.prepare(self._delta))
                await asyncio.shield(self._preparing)
            case Commit():
                assert self._preparing is not None, "prepare comes before commit"
                self._plane.commit(self._preparing.result())
                self.settings, self._preparing = self._delta.settings, None
                if not self._servers:
                    self._make_servers()
                logs.configure(self.settings.log.level)
            case Abandon():
                await self._abandon()
            case Accept():
                await self._accept()
            case Count():
                return await self._plane.counters()
            case Depend():
                return self._plane.dependencies()
            case Purge(request):
                return await self._plane.purge(request)
            case Announce():
                self._plane.draining = True
            case LetGo(linger_s, timeout_s):
                return await self.leave(linger_s, timeout_s)
            case _:
                assert_never(order)
        return None

    async def leave(self, linger_s: float, timeout_s: float) -> bool:
        """Whether every call ended in time."""
        servers, self._servers = self._servers, []
        if not servers:
            return True
        ended = await let_go(self._plane, servers, timeout_s, linger_s=linger_s, listeners=self._listeners)
        await self._plane.close()
        return ended

    def _make_servers(self) -> None:
        """Before this worker is counted on: a certificate that cannot be loaded must not show once others have left."""
        assert self.settings is not None, "a configuration is live before there are servers"
        for number, (listener, listen) in enumerate(zip(self._listeners, self.settings.listen, strict=True)):
            server = make_server(
                self._plane.app(number), listener, listen, wanted=self._begin.server, workers=self._begin.workers
            )
            self._servers.append(server)

    async def _accept(self) -> None:
        for server in self._servers:
            await server.start()

    async def _abandon(self) -> None:
        self._parts = DeltaParts()
        task, self._preparing = self._preparing, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() and task.exception() is None:
                self._plane.discard(task.result())


async def serve(control: socket.socket, make_plane: PlaneFactory) -> NoReturn:
    """Obey until told to leave or the supervisor is gone, and end the process.

    At once, without the interpreter's own end: calls whose time is up would get Granian's 500 instead of a closed
    connection, and Granian's threads may still be on their way through the interpreter.
    """
    channel = await Channel.over(control)
    running: set[asyncio.Task[None]] = set()

    def keep(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        running.add(task)
        task.add_done_callback(running.discard)
        return task

    async def tell(order: object) -> None:
        with contextlib.suppress(EOFError):  # noticed below
            await channel.send(Spread(order))

    def spread(order: object) -> None:
        keep(tell(order))

    session = WorkerSession(make_plane, spread)

    async def answer(ask: Ask) -> None:
        try:
            reply = Answer(ask.number, await session.carry_out(ask.order))
        except Exception as exc:
            log.debug("could not %s", type(ask.order).__name__.lower(), exc_info=True)  # the supervisor says it aloud
            reply = Answer(ask.number, None, f"{type(exc).__name__}: {exc}")
        await channel.send(reply)

    try:
        while True:
            ask: Ask = await channel.receive()
            if ask.number == 0:
                await session.carry_out(ask.order)
                continue
            task = keep(answer(ask))
            if isinstance(ask.order, LetGo):
                await asyncio.wait({task})
                break
    except EOFError:
        if session.settings is not None:
            log.warning("the supervisor is gone; ending")
            await session.leave(SETTLE_S, session.settings.drain.timeout)
    logging.shutdown()
    os._exit(0)


def factory(reference: str) -> PlaneFactory:
    """The callable that `module:name` refers to."""
    module, _, name = reference.partition(":")
    made: PlaneFactory = getattr(import_module(module), name)
    return made


def main() -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # the supervisor starts us with these blocked, so that none could end us before this line
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP, signal.SIGINT, signal.SIGTERM))
    parser = argparse.ArgumentParser(prog="gateway.runtime.worker", description="Started by `sluicegate serve` only.")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--plane", required=True)
    options = parser.parse_args()
    logs.configure("info")
    make_plane = factory(options.plane)
    # Before the first snapshot is built: frozen garbage is never collected, and snapshots come and go
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 50, 100)
    uvloop.run(serve(socket.socket(fileno=options.control), make_plane))


if __name__ == "__main__":
    main()
