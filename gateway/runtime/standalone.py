"""`serve` in one process and one event loop: files, reload, watch and ops port around gateway.runtime.inprocess.

For the demo and for tests that need what the supervisor does without its processes. Follows no signals.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from gateway.api.errors import UnfitStoreError
from gateway.api.orders import ReopenLogs, Revoke
from gateway.api.settings.listen import Listen
from gateway.compile.finding import Finding
from gateway.compile.plan import Plan
from gateway.runtime.build import Specs
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.inprocess import Gateway
from gateway.runtime.listeners import Listener, listen_tcp
from gateway.runtime.ops_backend import Status
from gateway.runtime.reload import Applied, CannotApplyError, Compile, Outcome, Reloader
from gateway.runtime.servers import DataServer, Wanted, make_server
from gateway.runtime.supervisor import OpsApp
from gateway.runtime.watch import changes


class NotServedError(Exception):
    """The first configuration cannot be served; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


class Standalone:
    """Implements OpsBackend. Listens where the configuration says; port 0 takes a free one.

    async with Standalone(Compiler(folder).compile, installed(), ops_app=ops_application) as gateway:
        await client.get(gateway.urls[0] + "/status")
        await client.get(gateway.ops_url + "/metrics")

    Raises NotServedError when the block would begin with a configuration that has errors, and CannotListenError.
    """

    def __init__(
        self,
        compile_: Compile,
        specs: Specs,
        *,
        server: Wanted = "auto",
        ops_app: OpsApp | None = None,
        watch: Collection[Path] | None = None,
    ) -> None:
        """`watch` as in Supervisor: folders to look at beside those of the files that were read; None watches nothing."""
        self._specs = specs
        self._server = server
        self._ops_app = ops_app
        self._watch = watch
        self._reloader = Reloader(compile_, self._apply)
        self._gateway: Gateway | None = None
        self._ops: tuple[DataServer, Listener] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._started_at = time.time()

    @property
    def urls(self) -> list[str]:
        """Base URLs, in the order of `listen`."""
        return self._live().urls

    @property
    def ops_url(self) -> str:
        assert self._ops is not None, "made with an ops_app, and entered"
        return self._ops[1].url

    # what the ops plane asks

    def status(self) -> Status:
        gateway, last = self._live(), self._reloader.last
        assert last is not None, "the gateway lives since its first configuration"
        return Status(
            gateway.plan.version,
            self._reloader.applied_at,
            self._started_at,
            gateway.plane.draining,
            1,
            1,
            0,
            gateway.urls,
            last,
        )

    def plan(self) -> Plan:
        return self._live().plan

    def findings(self) -> Sequence[Finding]:
        return self._reloader.findings

    def configuration(self) -> Mapping[str, Any]:
        return self._reloader.document()

    async def reload(self) -> Outcome:
        outcome = await self._reloader.reload()
        await self.purge(ReopenLogs())  # whatever became of the configuration: it may be a rotation's reload
        return outcome

    async def counters(self) -> list[object]:
        return [await self._live().plane.counters()]

    async def dependencies(self) -> list[Mapping[str, bool]]:
        return [self._live().plane.dependencies()]

    async def remember(self, order: Revoke) -> bool:
        return False  # it has no workers but this one, and no state that outlives it

    async def purge(self, request: object) -> list[object]:
        return [await self._live().plane.purge(request)]

    # from start to end

    async def __aenter__(self) -> Standalone:
        try:
            outcome = await self._reloader.reload()
            if not isinstance(outcome, Applied):
                raise NotServedError(outcome)
            if self._ops_app is not None:
                await self._start_ops(self._ops_app)
        except BaseException:
            await self._close()
            raise
        if self._watch is not None:
            self._watching = asyncio.create_task(self._reload_on_change(self._watch))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _apply(self, old: Plan | None, new: Plan) -> None:
        try:
            await self._take(old, new)
        except UnfitStoreError as exc:
            raise CannotApplyError(str(exc)) from exc

    async def _take(self, old: Plan | None, new: Plan) -> None:
        if self._gateway is not None:
            assert old is not None, "a gateway was made of it"
            if old.settings.listen != new.settings.listen:
                raise CannotApplyError("a change of `listen` takes a restart here")
            await self._gateway.apply(new)
            return
        ports = [listen.port for listen in new.settings.listen]
        gateway = Gateway(new, WorkerPlane(self._specs), server=self._server, ports=ports)
        await gateway.__aenter__()
        self._gateway = gateway

    async def _start_ops(self, ops_app: OpsApp) -> None:
        ops = self.plan().settings.ops
        listener = listen_tcp(ops.host, ops.port)
        server = make_server(ops_app(self), listener, Listen(host=ops.host, port=ops.port), wanted="uvicorn")
        self._ops = (server, listener)
        await server.start()

    async def _reload_on_change(self, folders: Collection[Path]) -> None:
        async for _ in changes(lambda: self._reloader.files, folders):
            await self.reload()

    async def _close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        if self._ops is not None:
            server, listener = self._ops
            await server.stop(1.0)
            listener.close()
        if self._gateway is not None:
            await self._gateway.__aexit__(None, None, None)

    def _live(self) -> Gateway:
        assert self._gateway is not None, "entered"
        return self._gateway
