"""The gateway in one process and one event loop: for the demo, for tests, and for plugin authors' tests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType

from gateway.compile.plan import Plan
from gateway.runtime.delta import difference
from gateway.runtime.drain import empty, let_go
from gateway.runtime.listeners import Listener, bind
from gateway.runtime.plane import DataPlane
from gateway.runtime.servers import DataServer, Wanted, make_server


class Gateway:
    """A running gateway.

        async with Gateway(plan, WorkerPlane(specs), server="uvicorn") as gateway:
            await client.get(gateway.urls[0] + "/status")

    It serves when the block begins, and has drained (without delay) when it ends. `ports` overrides what the plan says;
    each listener takes a free one when it is left out. `drain()` ends it earlier, as SIGTERM ends `serve`.
    """

    def __init__(
        self, plan: Plan, plane: DataPlane, *, server: Wanted = "auto", ports: Sequence[int] | None = None
    ) -> None:
        self.plan = plan
        self.plane = plane
        self.listeners: list[Listener] = []
        self._server = server
        self._ports = ports if ports is not None else [0] * len(plan.settings.listen)
        self._servers: list[DataServer] = []
        self._applying = asyncio.Lock()

    @property
    def urls(self) -> list[str]:
        """Base URLs, in the order of `listen`."""
        return [listener.url for listener in self.listeners]

    async def apply(self, plan: Plan) -> None:
        """Serve another configuration. When this raises, the present one is served on.

        Listeners stay as they were bound, with their certificates and bounds: `serve` exchanges workers for these.
        """
        async with self._applying:
            prepared = await self.plane.prepare(difference(self.plan, plan))
            self.plane.commit(prepared)
            self.plan = plan

    async def drain(self, *, delay_s: float = 0.0, timeout_s: float = 5.0) -> bool:
        """End as `serve` does on SIGTERM. Returns whether every call ended in time."""
        self.plane.draining = True
        await asyncio.sleep(delay_s)
        servers, self._servers = self._servers, []
        await empty(self.listeners)
        ended = await let_go(self.plane, servers, timeout_s)
        for listener in self.listeners:
            listener.close()
        return ended

    async def __aenter__(self) -> Gateway:
        listens = self.plan.settings.listen
        try:
            self.plane.commit(await self.plane.prepare(difference(None, self.plan)))
            for number, listen in enumerate(listens):
                listener = bind(listen, self._ports[number])
                self.listeners.append(listener)
                server = make_server(self.plane.app(number), listener, listen, wanted=self._server)
                self._servers.append(server)
                await server.start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        await asyncio.gather(*(server.stop(5.0) for server in self._servers))
        for listener in self.listeners:
            listener.close()
        await self.plane.close()
