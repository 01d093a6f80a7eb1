"""`serve`: binds the listeners, keeps workers, follows signals, and ends in good order. Never touches a request."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.api.orders import ReopenLogs, Revoke
from gateway.api.settings.listen import Listen
from gateway.compile.finding import Finding, counted
from gateway.compile.plan import Plan
from gateway.runtime.descriptors import raise_limit, too_few
from gateway.runtime.drain import empty
from gateway.runtime.fleet import Fleet, NotAppliedError
from gateway.runtime.listeners import Bindings, CannotListenError, Listener, listen_tcp
from gateway.runtime.ops_backend import OpsBackend, Status
from gateway.runtime.plane import App
from gateway.runtime.preemption import preempting
from gateway.runtime.reload import Abandoned, CannotApplyError, Compile, Outcome, Rejected, Reloader
from gateway.runtime.servers import CannotServeError, DataServer, choose, identity, make_server
from gateway.runtime.shared_revocations import SharedRevocations
from gateway.runtime.shares import warning as shares_warning
from gateway.runtime.watch import changes
from gateway.runtime.worker_process import WorkerOptions
from gateway.stores.open import state_folder

log = logging.getLogger("sluicegate.supervisor")

OpsApp = Callable[[OpsBackend], App]
CANNOT_SERVE = 2  # exit status


class Supervisor:
    """One run of `serve`. Implements OpsBackend."""

    def __init__(
        self,
        compile_: Compile,
        options: WorkerOptions,
        *,
        ops_app: OpsApp | None = None,
        watch: Collection[Path] | None = None,
    ) -> None:
        """`watch` are the folders to look at beside those of the files that were read; None watches nothing."""
        self._options = options
        self._ops_app = ops_app
        self._watch = watch
        self._bindings = Bindings()
        self._listeners: Sequence[Listener] = ()
        self._fleet = Fleet(options)
        self._shared_revocations = SharedRevocations(self._fleet.revocations, self._fleet.order)
        # the compiler shares cores with the workers
        self._reloader = Reloader(compile_, self._apply, lambda: preempting(w.pid for w in self._fleet.alive()))
        self._identity = b""
        self._shares: str | None = None  # what was warned of
        self._started_at = time.time()
        self._ending: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
        self._ops: tuple[DataServer, Listener] | None = None
        self._tasks: set[asyncio.Future[object]] = set()

    async def run(self) -> int:
        """Serve until a signal ends it. Returns the exit status."""
        self._follow_signals()
        self._open_files = raise_limit()
        start = asyncio.ensure_future(self._start())
        either: set[asyncio.Future[Any]] = {start, self._ending}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not start.done():  # ended before it began
            start.cancel()
            await asyncio.wait({start})
        elif not start.result():
            await self._end(delay_s=0.0)
            return CANNOT_SERVE
        else:
            number = await self._ending
            log.info("%s: ending", number.name)
        settings = self._reloader.plan.settings if self._reloader.plan else None
        delay_s = settings.drain.delay if settings and self._ending.result() == signal.SIGTERM else 0.0
        await self._end(delay_s)
        return 0

    # what the ops plane asks

    def status(self) -> Status:
        assert self._reloader.last is not None, "the ops plane starts after the first configuration"
        return Status(
            self.plan().version,
            self._reloader.applied_at,
            self._started_at,
            self._ending.done(),
            len(self._fleet.alive()),
            self._fleet.wanted,
            self._fleet.replaced,
            [listener.url for listener in self._listeners],
            self._reloader.last,
        )

    def plan(self) -> Plan:
        assert self._reloader.plan is not None, "the ops plane starts after the first configuration"
        return self._reloader.plan

    def findings(self) -> Sequence[Finding]:
        return self._reloader.findings

    def configuration(self) -> Mapping[str, Any]:
        return self._reloader.document()

    async def reload(self) -> Outcome:
        outcome = await self._reloader.reload()
        if not self._ending.done():  # whatever became of the configuration: it may be a rotation's reload
            await self._fleet.order(ReopenLogs())
        return outcome

    async def counters(self) -> list[object]:
        return await self._fleet.ask_all(lambda worker: worker.counters())

    async def dependencies(self) -> list[Mapping[str, bool]]:
        return await self._fleet.ask_all(lambda worker: worker.dependencies())

    async def remember(self, order: Revoke) -> bool:
        recorded = await self._fleet.revocations.add(order)
        self._shared_revocations.added()
        return recorded

    async def purge(self, request: object) -> list[object]:
        return await self._fleet.order(request)

    # from start to end

    async def _start(self) -> bool:
        outcome = await self._reloader.reload()
        if isinstance(outcome, Rejected | Abandoned):
            return False
        if self._ops_app is not None:
            try:
                await self._start_ops(self._ops_app(self))
            except CannotListenError as exc:
                log.error("ops port: %s", exc)
                return False
        plan = self.plan()
        where = ", ".join(listener.url for listener in self._listeners)
        ops = f", ops port {self._ops[1].url}" if self._ops else ""
        log.info(
            "serving %s%s; configuration %s, %s, %s, %s",
            where, ops, plan.version, counted(len(plan.routes), "route"), counted(self._fleet.wanted, "worker"),
            counted(len(self._reloader.findings), "warning"),
        )  # fmt: skip
        if self._watch is not None:
            self._spawn(self._reload_on_change(self._watch))
        return True

    async def _apply(self, old: Plan | None, new: Plan) -> None:
        """The reloader's way to the workers. Raises CannotApplyError with nothing changed."""
        if self._ending.done():
            raise CannotApplyError("the gateway is ending")
        if old is not None and old.settings.ops != new.settings.ops:
            log.warning("a change of `ops` takes effect at the next start")
        logging.getLogger("sluicegate").setLevel(new.settings.log.level.upper())
        listens = new.settings.listen
        try:
            for listen in listens:
                choose(listen, self._options.server)
            listeners = self._bindings.bind_all(listens)
            known = identity(listens)
            if old is None:
                self._fleet.revocations.open(state_folder(new.settings.state))
                await self._fleet.begin(new, listeners)
            elif old.version != new.version or known != self._identity:
                if known != self._identity:
                    log.info("listeners, their certificates or bounds changed: every worker is exchanged")
                await self._fleet.apply(new, listeners, anew=known != self._identity)
        except (CannotListenError, CannotServeError, NotAppliedError, OSError) as exc:
            self._bindings.keep_only(old.settings.listen if old else ())
            raise CannotApplyError(str(exc)) from exc
        self._bindings.keep_only(listens)
        self._identity, self._listeners = known, listeners
        await self._shared_revocations.follow(new.settings)
        shares, self._shares = self._shares, shares_warning(new, self._options.workers)
        if self._shares is not None and self._shares != shares:
            log.warning(self._shares)
        if old is None or old.settings.listen != listens:
            files = too_few(listens, self._options.workers, self._open_files)
            if files is not None:
                log.warning(files)

    async def _start_ops(self, app: App) -> None:
        ops = self.plan().settings.ops
        listener = listen_tcp(ops.host, ops.port)
        server = make_server(app, listener, Listen(host=ops.host, port=ops.port, max_connections=256), wanted="uvicorn")
        self._ops = (server, listener)
        await server.start()

    async def _reload_on_change(self, folders: Collection[Path]) -> None:
        async for _ in changes(lambda: self._reloader.files, folders):
            await self.reload()

    async def _end(self, delay_s: float) -> None:
        """In the order of gateway.runtime.drain: who knows that we end may still come, until nobody can any more."""
        for task in list(self._tasks):
            task.cancel()
        await self._shared_revocations.close()
        if self._fleet.alive():
            await self._fleet.announce()
            await asyncio.sleep(delay_s)
            await empty(self._listeners)
            await self._fleet.let_go(self.plan().settings.drain.timeout)
        self._bindings.keep_only(())
        if self._ops is not None:
            server, listener = self._ops
            await server.stop(1.0)
            listener.close()
        log.info("ended")

    # signals

    def _follow_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_end, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)

    def _on_end(self, number: signal.Signals) -> None:
        if self._ending.done():
            log.warning("%s again: ending at once", number.name)
            self._fleet.kill_now()
            self._bindings.keep_only(())
            logging.shutdown()
            os._exit(0)  # nothing may keep us: threads and tasks included
        self._ending.set_result(number)

    def _on_hangup(self) -> None:
        if not self._ending.done():
            self._spawn(self.reload())

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
