"""Between the gateways and a Redis: loses replies, or all of them. Knows nothing of what is said."""

from __future__ import annotations

import asyncio


class Relay:
    """In front of a Redis; cuts a connection after the server has answered, before that is passed on, or swallows all it says."""

    def __init__(self) -> None:
        self.port = 0
        self.to = 0
        self.cut_after_next = False
        self.cuts = 0
        self.silent = False
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, to: int) -> None:
        self.to = to
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.close()
            return

        async def out() -> None:
            try:
                while data := await reader.read(65536):
                    far_writer.write(data)
            finally:
                far_writer.close()

        async def back() -> None:
            try:
                while data := await far_reader.read(65536):
                    if self.cut_after_next:
                        self.cut_after_next = False
                        self.cuts += 1
                        break
                    if not self.silent:
                        writer.write(data)
            finally:
                writer.transport.abort()
                far_writer.transport.abort()

        for way in (out(), back()):
            task = asyncio.ensure_future(way)
            self._tasks.add(task)
            task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def close(self) -> None:
        assert self._server is not None, "open"
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.sleep(0)  # what was aborted is closed
