"""uvicorn's protocol on a socket that is already bound. Its own Server is left out: it takes over signals and polls."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from email.utils import formatdate
from typing import cast

from uvicorn._types import ASGIApplication
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.api.settings.listen import Listen
from gateway.runtime.listeners import BACKLOG, Listener
from gateway.runtime.plane import App
from gateway.runtime.server_tls import server_context
from gateway.runtime.turn import Turn
from gateway.runtime.uvicorn_protocol import BoundedProtocol, Bounds
from gateway.upstream.outbox import Outbox
from gateway.upstream.websocket import MAX_MESSAGE

TICK_S = 1.0


class UvicornServer:
    """A DataServer on uvicorn."""

    def __init__(self, app: App, listener: Listener, listen: Listen, connections: int) -> None:
        # the edge reports faults; uvicorn would print a traceback for each answer that is cut
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
        self._config = Config(
            cast(ASGIApplication, app),
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            lifespan="off",
            interface="asgi3",
            ws="none",  # gateway.runtime.uvicorn_protocol hands handshakes on itself
            ws_max_size=MAX_MESSAGE,
            ws_per_message_deflate=False,
            http="httptools",
        )
        self._config.load()
        self._bounds = Bounds(
            listen.max_header,
            listen.max_headers,
            listen.header_timeout,
            listen.keep_alive,
            connections,
            Outbox(asyncio.get_running_loop()),
            Turn(asyncio.get_running_loop()),
        )
        self._state = ServerState()
        self._state.tasks = self._bounds.turn.tasks  # where uvicorn keeps those of WebSockets: stop() ends all alike
        self._sock = socket.socket(fileno=socket.dup(listener.sock.fileno()))
        self._tls = server_context(listen.tls) if listen.tls else None
        self._tick_s = min(TICK_S, listen.header_timeout / 2, listen.keep_alive / 2)
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = await self._loop.create_server(
            lambda: BoundedProtocol(self._bounds, self._config, self._state),
            sock=self._sock,
            ssl=self._tls,
            # a handshake is part of the wait for a head
            ssl_handshake_timeout=self._bounds.head_s if self._tls else None,
            backlog=BACKLOG,
        )
        self._tick()

    def stop_accepting(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        else:
            self._sock.close()

    async def stop(self, timeout_s: float) -> bool:
        self.stop_accepting()
        if self._timer is None:
            return True
        for connection in list(self._state.connections):
            connection.shutdown()
        ended = await self._wait_empty(timeout_s)
        self._timer.cancel()
        for connection in list(self._state.connections):
            connection.transport.abort()
        for task in list(self._state.tasks):
            task.cancel()
        return ended

    async def _wait_empty(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                while self._state.connections:
                    self._bounds.emptied.clear()
                    await self._bounds.emptied.wait()
                while self._state.tasks:  # what shared a task may get one of its own meanwhile
                    await asyncio.wait(self._state.tasks)
        except TimeoutError:
            return False
        return True

    def _tick(self) -> None:
        """The only timer: the Date of answers, and connections whose deadline passed."""
        self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]
        now = self._loop.time()
        late = [c for c in self._state.connections if isinstance(c, BoundedProtocol) and c.deadline < now]
        for connection in late:
            connection.expire()
        self._timer = self._loop.call_later(self._tick_s, self._tick)
