"""The workers of a gateway: kept alive, changed all at once or not at all, let go. Knows no signals and no files."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any, TypeVar
from weakref import WeakSet

from gateway.api.orders import Revoke
from gateway.compile.plan import Plan
from gateway.runtime.backoff import Backoff
from gateway.runtime.control import WorkerFailedError
from gateway.runtime.delta import difference, split
from gateway.runtime.listeners import Listener
from gateway.runtime.revocations import Revocations
from gateway.runtime.worker_process import START_S, WorkerOptions, WorkerProcess

T = TypeVar("T")

log = logging.getLogger("sluicegate.supervisor")


class NotAppliedError(Exception):
    """A configuration that a worker could not take, nor its replacement; the one before is served on."""


class Fleet:
    """As many workers as `options` say, in numbered places."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._plan: Plan | None = None
        self._listeners: Sequence[Listener] = ()
        self._members: dict[int, WorkerProcess] = {}
        self._backoffs = [Backoff() for _ in range(options.workers)]
        self._changing = asyncio.Lock()
        self._leaving = False
        self._started: WeakSet[WorkerProcess] = WeakSet()
        self._watches: set[asyncio.Future[object]] = set()
        self._retiring: set[asyncio.Future[object]] = set()
        self._secret = os.urandom(32)
        self.revocations = Revocations()
        self.replaced = 0  # workers that ended unasked

    @property
    def wanted(self) -> int:
        return self._options.workers

    def alive(self) -> list[WorkerProcess]:
        """Those that accept connections."""
        return list(self._members.values())

    async def begin(self, plan: Plan, listeners: Sequence[Listener]) -> None:
        """Start all; returns when all accept. Raises NotAppliedError when one cannot."""
        async with self._changing:
            raised = await self._raise_all(range(self.wanted), plan, listeners)
            self._plan, self._listeners = plan, listeners
            await self._join(raised)

    async def apply(self, plan: Plan, listeners: Sequence[Listener], *, anew: bool = False) -> None:
        """Two phases: all workers prepare, then all commit. Raises NotAppliedError, with the version before served on.

        A worker that cannot is replaced by a fresh one with the new configuration; when that fails too, the change is
        abandoned. `anew` replaces all: for what a server takes at its start only (listeners, certificates, bounds).
        """
        async with self._changing:
            assert self._plan is not None, "begin comes before apply"
            old = dict(self._members)
            able = {} if anew else await self._prepare(old, plan)
            try:
                # places that are empty just now too: a configuration that kills workers must not be taken unseen
                raised = await self._raise_all(set(range(self.wanted)) - able.keys(), plan, listeners)
            except BaseException:
                await asyncio.gather(*(worker.abandon() for worker in old.values()))
                raise
            self._plan, self._listeners = plan, listeners
            await asyncio.gather(*(self._commit(worker) for worker in able.values()))
            await self._join(raised)
            for place in raised.keys() & old.keys():
                _keep(self._retire(old[place], plan.settings.drain.delay), self._retiring)

    async def ask_all(self, ask: Callable[[WorkerProcess], Awaitable[T]]) -> list[T]:
        """The answers of those that answer."""
        answers = await asyncio.gather(*(ask(worker) for worker in self.alive()), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, WorkerFailedError):
                raise answer
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    async def order(self, request: object) -> list[object]:
        """What the workers answer to DataPlane.purge(request)."""
        return await self.ask_all(lambda worker: worker.purge(request))

    async def announce(self) -> None:
        """From now on workers are not replaced, and say `Connection: close` with every answer."""
        self._leaving = True
        await asyncio.gather(*(worker.announce() for worker in self.alive()))

    async def let_go(self, timeout_s: float) -> bool:
        """End all. Returns whether every call ended in time."""
        self._leaving = True
        ended = await asyncio.gather(*(worker.let_go(0.0, timeout_s) for worker in self.alive()))
        self._members.clear()
        for watch in list(self._watches):
            watch.cancel()
        await asyncio.gather(*self._watches, *self._retiring, return_exceptions=True)
        return all(ended)

    def kill_now(self) -> None:
        """End all at once; for a second signal."""
        self._leaving = True
        for worker in self._started:  # those that come up or retire too
            worker.kill_now()

    def _spread(self, origin: WorkerProcess, order: object) -> None:
        """What one worker wants all others to do, those included that come up or retire: they answer callers too."""
        for worker in self._started:
            if worker is not origin:
                _keep(worker.hear(order), self._watches)

    async def _prepare(self, members: dict[int, WorkerProcess], plan: Plan) -> dict[int, WorkerProcess]:
        """Those that could prepare."""
        parts = await asyncio.to_thread(
            lambda: list(split(difference(self._plan, plan, workers=self.wanted, secret=self._secret)))
        )

        async def one(place: int, worker: WorkerProcess) -> bool:
            try:
                await worker.prepare(parts, plan.version)
            except WorkerFailedError as exc:
                log.warning("worker %d (%d) could not prepare version %s: %s", place, worker.pid, plan.version, exc)
                return False
            return True

        could = await asyncio.gather(*(one(place, worker) for place, worker in members.items()))
        return {place: worker for (place, worker), able in zip(members.items(), could, strict=True) if able}

    async def _commit(self, worker: WorkerProcess) -> None:
        try:
            await worker.commit()
        except WorkerFailedError as exc:
            log.error("worker (%d) could not commit, and is replaced: %s", worker.pid, exc)
            worker.kill_now()

    async def _raise_all(
        self, places: Collection[int], plan: Plan, listeners: Sequence[Listener]
    ) -> dict[int, WorkerProcess]:
        """Fresh workers with `plan`, which accept nothing yet; all of them or none."""
        if not places:
            return {}
        parts = await asyncio.to_thread(
            lambda: list(split(difference(None, plan, workers=self.wanted, secret=self._secret)))
        )
        raised = await asyncio.gather(
            *(self._raise_one(parts, plan.version, listeners) for _ in places), return_exceptions=True
        )
        failures = [one for one in raised if isinstance(one, BaseException)]
        if failures:
            await asyncio.gather(*(one.kill() for one in raised if isinstance(one, WorkerProcess)))
            if isinstance(failures[0], WorkerFailedError):
                raise NotAppliedError(f"a worker could not take version {plan.version}: {failures[0]}")
            raise failures[0]
        return {place: one for place, one in zip(places, raised, strict=True) if isinstance(one, WorkerProcess)}

    async def _raise_one(self, parts: Sequence[bytes], version: str, listeners: Sequence[Listener]) -> WorkerProcess:
        worker = await WorkerProcess.start(self._options, listeners)
        self._started.add(worker)
        worker.on_spread(lambda order: self._spread(worker, order))
        try:
            await worker.prepare(parts, version, START_S)
            await worker.commit()
        except BaseException:
            await worker.kill()
            raise
        return worker

    async def _join(self, raised: dict[int, WorkerProcess]) -> None:
        """Let fresh workers accept, and watch over them. They carry the current plan."""
        for place, worker in raised.items():
            known: list[Revoke] = []
            try:
                known = await self._catch_up(worker, known)
                await worker.accept()
            except WorkerFailedError as exc:
                log.error("worker %d (%d) cannot accept connections: %s", place, worker.pid, exc)
                worker.kill_now()
            self._members[place] = worker
            _keep(self._catch_up(worker, known), self._watches)  # with what was ordered while it began to accept
            _keep(self._watch(place, worker), self._watches)

    async def _catch_up(self, worker: WorkerProcess, known: list[Revoke]) -> list[Revoke]:
        """Tell a worker the standing orders that it does not know; returns those that it was told."""
        standing = self.revocations.standing()
        try:
            for order in standing:
                if order not in known:
                    await worker.purge(order)
        except WorkerFailedError as exc:
            log.error("worker (%d) does not take orders, and is replaced: %s", worker.pid, exc)
            worker.kill_now()
        return standing

    async def _watch(self, place: int, worker: WorkerProcess) -> None:
        await worker.gone()
        if self._leaving or self._members.get(place) is not worker:
            return
        del self._members[place]
        self.replaced += 1
        status = await worker.exit_status()
        wait_s = self._backoffs[place].after(worker.lived_s())
        log.error("worker %d (%d) ended unasked, status %d; replacing it in %.1f s", place, worker.pid, status, wait_s)
        while not self._leaving and place not in self._members:
            await asyncio.sleep(wait_s)
            try:
                await self._replace(place)
            except NotAppliedError as exc:
                wait_s = self._backoffs[place].after(0.0)
                log.error("worker %d cannot be replaced; trying again in %.1f s: %s", place, wait_s, exc)
            else:
                return

    async def _replace(self, place: int) -> None:
        # The current configuration may change while the worker comes up: it is raised without the lock, so
        # that a change never waits for it, and thrown away when it is not current any more.
        plan, listeners = self._plan, self._listeners
        assert plan is not None, "only members are replaced"
        raised = await self._raise_all([place], plan, listeners)
        async with self._changing:
            if self._plan is plan and place not in self._members and not self._leaving:
                await self._join(raised)
                return
        await asyncio.gather(*(worker.kill() for worker in raised.values()))
        if place not in self._members and not self._leaving:
            await self._replace(place)

    async def _retire(self, worker: WorkerProcess, linger_s: float) -> None:
        assert self._plan is not None, "only members retire"
        await worker.let_go(linger_s, self._plan.settings.drain.timeout)


def _keep(work: Coroutine[Any, Any, object], among: set[asyncio.Future[object]]) -> None:
    task = asyncio.ensure_future(work)
    among.add(task)
    task.add_done_callback(among.discard)
