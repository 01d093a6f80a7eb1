"""Granian on a socket that is already bound. The only module that knows Granian's insides; a contract test guards them."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from pathlib import Path
from typing import Any

from granian import _futures
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server import embed

from gateway.api.settings.listen import Listen
from gateway.runtime.listeners import BACKLOG, Listener, parked_socket
from gateway.runtime.plane import App
from gateway.runtime.preemption import threads_that_wait_their_turn
from gateway.runtime.turn import Turn

HYPER_MIN_BUFFER = 8192  # hyper panics on less
TLS_VERSIONS = {"1.2": SSLProtocols.tls12, "1.3": SSLProtocols.tls13}


def _in_one_frame(app: App, *_: object) -> Callable[[Any], Coroutine[Any, Any, None]]:
    """Runs a request and tells Granian how it ended.

    Granian itself wraps an application twice and gives each scope a `state` of its own, which nobody here reads: 2 µs.
    """

    async def serve(watcher: Any) -> None:
        try:
            protocol = watcher.proto
            await app(watcher.scope, protocol.receive, protocol.send)
        except BaseException as fault:
            watcher.err(fault)
        else:
            watcher.done()

    return serve


def _by_the_turn(
    loop: asyncio.AbstractEventLoop, context: Context, serve: Callable[[Any], Coroutine[Any, Any, None]]
) -> Callable[[Any], None]:
    """Begins requests in the event loop: called by Granian's threads, which hold the interpreter meanwhile.

    Granian itself wakes the loop for each request. Here those that arrive before it has come round begin together.
    """
    turn = Turn(loop)
    arrived: deque[Any] = deque()
    called = False

    def begin() -> None:
        nonlocal called
        called = False  # before the first is taken: what comes from now on calls again
        while arrived:
            turn.begin(serve(arrived.popleft()))

    def schedule(watcher: Any) -> None:
        nonlocal called
        arrived.append(watcher)
        if not called:
            called = True
            loop.call_soon_threadsafe(begin, context=context)

    return schedule


embed._asgi_call_wrap = _in_one_frame  # type: ignore[attr-defined]
embed._future_watcher_wrapper = lambda serve: serve  # type: ignore[attr-defined]
_futures._cbsched_aioschedule = _by_the_turn


class _EmbeddedServer(embed.Server):
    """Granian's embedded server, but for the socket, which is given."""

    def __init__(self, app: App, fd: int, *, is_unix: bool, listen: Listen, connections: int) -> None:
        self._inherited = SocketHolder(fd, is_unix, BACKLOG)  # type: ignore[call-arg]  # its stub has no __new__
        tls = listen.tls
        certificate = tls.certificates[0] if tls else None
        super().__init__(
            app,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=True,
            backlog=BACKLOG,
            backpressure=connections,  # a semaphore held by each connection: beyond it they wait on the listener
            http1_settings=HTTP1Settings(
                # one timer for slow heads and for idle connections: it has to be the longer of the two
                header_read_timeout=int(max(listen.keep_alive, listen.header_timeout) * 1000),
                max_buffer_size=max(HYPER_MIN_BUFFER, listen.max_header),
            ),
            log_enabled=False,  # the edge reports faults; Granian would print a traceback for each answer that is cut
            ssl_cert=Path(certificate.cert) if certificate else None,
            ssl_key=Path(certificate.key) if certificate else None,
            ssl_protocol_min=TLS_VERSIONS[tls.min_version if tls else "1.3"],
        )

    def _init_shared_socket(self) -> None:
        self._ssp = None
        self._shd = self._inherited  # type: ignore[assignment]  # granian declares it by its first value


class GranianServer:
    """A DataServer on Granian."""

    def __init__(self, app: App, listener: Listener, listen: Listen, connections: int) -> None:
        self._fd = os.dup(listener.sock.fileno())  # Granian's accept loop closes it when it ends
        self._is_unix = listener.unix is not None
        self._server = _EmbeddedServer(
            app, self._fd, is_unix=listener.unix is not None, listen=listen, connections=connections
        )
        self._serving: asyncio.Task[None] | None = None
        self._accepting = False

    async def start(self) -> None:
        self._serving = asyncio.get_running_loop().create_task(self._server.serve(), name="granian")
        with threads_that_wait_their_turn():
            # serve() reaches its first wait, with the accept loop running, without ever giving way before
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if self._serving.done():
            await self._serving
        self._accepting = True

    def stop_accepting(self) -> None:
        # Granian's only signal closes idle connections in the same breath, those included whose first request is on
        # its way. So its accept loop is left running on a socket that nobody can connect to.
        if self._accepting:
            self._accepting = False
            # of the same kind: a loop that only now begins asks the socket for its address, and aborts on one of another
            with parked_socket(unix=self._is_unix) as parked:
                os.dup2(parked.fileno(), self._fd, inheritable=False)

    async def stop(self, timeout_s: float) -> bool:
        if self._serving is None:
            os.close(self._fd)
            return True
        self.stop_accepting()
        self._server.signal_handler_interrupt()  # type: ignore[no-untyped-call]  # granian has no types there
        done, _ = await asyncio.wait({self._serving}, timeout=timeout_s)
        if done:
            await self._serving
        else:
            self._serving.cancel()
        return bool(done)
