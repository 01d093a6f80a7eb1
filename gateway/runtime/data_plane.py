"""Everything that answers requests in one worker: prepares configurations beside the live one, and swaps them."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
from collections.abc import Callable, Coroutine, Generator, Hashable, Iterator, Mapping
from typing import Any

from gateway.api.exchange import Exchange
from gateway.api.off_loop import off_loop
from gateway.api.orders import ReopenLogs
from gateway.api.settings.document import Settings
from gateway.api.settings.upstream import UpstreamConfig
from gateway.edge.app import Edge
from gateway.edge.body import BodyBudget, BodySweep
from gateway.edge.receive import ListenRules, Receiver
from gateway.edge.snapshot import Cell, LiveRoute, Snapshot
from gateway.edge.websocket import SERVICE_RESTART
from gateway.http.forwarded import ProxyRules
from gateway.http.request_id import RequestIds
from gateway.routing.build import build_in_slices, dismantle
from gateway.routing.pattern import of_route
from gateway.routing.revise import revise_in_slices
from gateway.routing.table import RouteTable
from gateway.runtime.build import RouteBuilder, Specs
from gateway.runtime.consumers import ConsumerTable
from gateway.runtime.counters import Counters
from gateway.runtime.delta import Delta
from gateway.runtime.listen_rules import rules_of
from gateway.runtime.plane import App
from gateway.runtime.prepared import Bound, Prepared
from gateway.runtime.resources import Resources
from gateway.runtime.scope import Surroundings
from gateway.runtime.slices import Slices
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.metrics import LOG_DROPPED, UPSTREAM_EJECTIONS, Family
from gateway.upstream.kinds import Client, kind_of
from gateway.upstream.sweep import Sweep

log = logging.getLogger("sluicegate.runtime")

PROBLEM_PREFIX = "urn:sluicegate:problem:"


class WorkerPlane:
    """Implements gateway.runtime.plane.DataPlane. Owns the resources, the pools and the access log."""

    def __init__(self, specs: Specs, *, workers: int = 1) -> None:
        self._specs = specs
        self._resources = Resources(workers)
        self._cell = Cell(self._resources.metrics)
        self._cell.streams.is_live = self._is_live
        self._body_sweep = BodySweep()
        self._upstream_sweep = Sweep(asyncio.get_running_loop())
        self._ids = RequestIds(os.urandom)
        self._budget = BodyBudget()
        self._bound: dict[str, Bound] = {}
        self._upstreams: dict[str, Client] = {}
        self._configs: dict[str, UpstreamConfig] = {}
        self._settings: Settings | None = None
        self._consumers = ConsumerTable()
        self._access_log: AccessLog | None = None
        self._edges: list[Edge] = []
        self._needs: frozenset[str] = frozenset()  # background work and stores of the live configuration
        self._finishing: set[asyncio.Task[None]] = set()
        self._process = os.urandom(8).hex()
        self._resources.metrics.sources.append(self._values)

    @property
    def draining(self) -> bool:
        return self._cell.draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self._cell.draining = value

    def spread_by(self, spread: Callable[[object], None]) -> None:
        self._resources.spread = spread

    def app(self, listener: int) -> App:
        """The ASGI callable of the listener with this number; a configuration must be live."""
        while len(self._edges) <= listener:
            self._edges.append(Edge(self._cell, Receiver(self._rules(len(self._edges)), self._ids, self._body_sweep)))
        return self._edges[listener]

    def close_websockets(self) -> bool:
        for websocket in list(self._cell.websockets):
            websocket.end(SERVICE_RESTART)
        return not self._cell.websockets

    def in_flight(self) -> int:
        return self._resources.metrics.in_flight

    def unfinished(self) -> int:
        return self._resources.unfinished()

    async def prepare(self, delta: Delta) -> Prepared:
        slices = Slices()
        settings = delta.settings
        self._resources.secret = delta.secret or self._resources.secret
        proxy = ProxyRules(settings.proxy.trusted, settings.proxy.header, settings.proxy.client_cert_header)
        upstreams = {
            name: one
            for name, one in self._upstreams.items()
            if name not in delta.gone_upstreams
            and (name not in delta.upstreams or type(one) is kind_of(delta.upstreams[name].config))
        }
        fresh = frozenset(delta.upstreams.keys() - upstreams.keys())
        for name in fresh:
            kind = kind_of(delta.upstreams[name].config)
            upstreams[name] = kind(name, delta.upstreams[name].config, self._upstream_sweep, workers=delta.workers)
            await slices.breathe()
        configs = {name: config for name, config in self._configs.items() if name not in delta.gone_upstreams}
        configs.update((name, plan.config) for name, plan in delta.upstreams.items())
        surroundings = Surroundings(settings, delta.issuers, configs)
        builder = RouteBuilder(self._resources, self._specs, surroundings, upstreams)
        bound = {name: one for name, one in self._bound.items() if name not in delta.gone_routes}
        adapters = {}
        if any(plan.adapter is not None for plan in delta.routes.values()):
            adapters = await off_loop(lambda: builder.adapters(delta.routes))
        for name, plan in delta.routes.items():
            route, needs = builder.route(plan, adapters.get(name))
            bound[name] = Bound(of_route(plan.config), route, needs)
            await slices.breathe()
        unmatched, unmatched_needs = builder.unmatched(delta.unmatched)
        steps = self._table_steps(delta, bound)
        table: RouteTable[LiveRoute] | None = None
        while table is None:
            try:
                next(steps)
            except StopIteration as done:
                table = done.value
            await slices.breathe()
        consumers = await self._consumers.updated(delta.consumers, delta.gone_consumers)
        access_log = self._access_log
        if self._settings is None or self._settings.log != settings.log:
            access_log = (
                None if settings.log.access == "off" else AccessLog(settings.log.access, query=settings.log.query)
            )
        all_needs = set(unmatched_needs)
        for one in bound.values():
            all_needs |= one.needs
            await slices.breathe()
        await self._resources.stores.settled()
        snapshot = Snapshot(
            delta.version,
            table,
            unmatched,
            consumers,
            proxy,
            self._budget,
            problem_prefix=settings.problem_base or PROBLEM_PREFIX,
            public_url=settings.public_url,
            stream_max_s=settings.streams.max,
        )
        changed = {
            name: upstreams[name].prepare(plan.config, workers=delta.workers)
            for name, plan in delta.upstreams.items()
            if name not in fresh
        }
        return Prepared(
            snapshot,
            consumers,
            settings,
            bound,
            upstreams,
            configs,
            frozenset(all_needs),
            fresh,
            changed,
            access_log,
            delta.gone_routes,
        )

    def _table_steps(self, delta: Delta, bound: Mapping[str, Bound]) -> Generator[None, None, RouteTable[LiveRoute]]:
        """The making of the next table: from the one before where most of it stays."""
        live = self._cell.current
        touched = delta.gone_routes | delta.routes.keys()
        if live is None or 2 * len(touched) > len(bound):
            return build_in_slices((one.match, one.route) for one in bound.values())
        gone = [self._bound[name] for name in touched if name in self._bound]
        return revise_in_slices(
            live.table,
            [(one.match, one.route) for one in gone],
            [(bound[name].match, bound[name].route) for name in delta.routes],
            lambda route: bound[route.name].match,
        )

    def commit(self, prepared: object) -> None:
        assert isinstance(prepared, Prepared), "what prepare() gave"
        old, cell = self._cell.current, self._cell
        gone = [one for name, one in self._upstreams.items() if prepared.upstreams.get(name) is not one]
        for name, parameters in prepared.reconfigured.items():
            prepared.upstreams[name].apply(parameters)
        self._bound, self._upstreams, self._settings = prepared.bound, prepared.upstreams, prepared.settings
        self._consumers, self._configs = prepared.consumers, prepared.configs
        for number, edge in enumerate(self._edges):
            edge.receiver.rules = self._rules(number)
        cell.current = prepared.snapshot
        cell.streams.grace_s = prepared.settings.streams.reload_grace
        cell.streams.reloaded()
        if prepared.access_log is not self._access_log:
            self._retire_log(self._access_log)
            self._access_log = cell.access_log = prepared.access_log
        before, self._needs = self._needs, prepared.needs
        self._resources.keep_only(self._needs)

        def retire() -> None:
            for upstream in gone:
                upstream.close()
            if old is not None:
                self._finish(_dismantle(old.table))
            # a store or a route may have come back meanwhile
            self._finish(self._resources.stores.close(before - self._needs))
            self._resources.metrics.forget_routes(prepared.gone_routes - self._bound.keys())

        if old is not None:
            old.retire(retire)

    def discard(self, prepared: object) -> None:
        assert isinstance(prepared, Prepared), "what prepare() gave"
        for name in prepared.fresh_upstreams:
            prepared.upstreams[name].close()
        if prepared.access_log is not self._access_log:
            self._retire_log(prepared.access_log)
        self._resources.keep_only(self._needs)
        self._finish(self._resources.stores.close(prepared.needs - self._needs))

    async def counters(self) -> Counters:
        slices = Slices()
        parts = []
        for part in self._resources.metrics.parts():
            parts.append(pickle.dumps(part, pickle.HIGHEST_PROTOCOL))
            await slices.breathe()
        return Counters(self._process, tuple(parts), self.statistics(), self.standings())

    def statistics(self) -> dict[str, Any]:
        """Of each upstream, by its name."""
        return {name: upstream.statistics() for name, upstream in self._upstreams.items()}

    def standings(self) -> dict[str, Any]:
        """How the targets of each upstream stand, by its name."""
        return {name: upstream.states() for name, upstream in self._upstreams.items()}

    def dependencies(self) -> dict[str, bool]:
        return self._resources.dependencies()

    async def purge(self, request: object) -> object:
        if isinstance(request, ReopenLogs) and self._access_log is not None:
            self._access_log.reopen()
        self._cell.streams.carry_out(request)
        return await self._resources.carry_out(request)

    async def close(self) -> None:
        for upstream in self._upstreams.values():
            upstream.close()
        await asyncio.gather(*self._finishing)
        await self._resources.close()
        if self._access_log is not None:
            await asyncio.to_thread(self._access_log.close)

    def _rules(self, listener: int) -> ListenRules:
        assert self._settings is not None, "a configuration is live"
        return rules_of(self._settings, listener)

    def _is_live(self, exchange: Exchange, route: Hashable) -> bool:
        bound = self._bound.get(exchange.route)
        consumer = None if exchange.principal is None else exchange.principal.consumer
        known = consumer is None or self._consumers.by_name(consumer.name) is consumer
        return known and bound is not None and bound.route is route

    def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Let go of what no request uses any more."""
        self._finishing.add(task := asyncio.get_running_loop().create_task(work))
        task.add_done_callback(self._finishing.discard)

    def _values(self) -> Iterator[tuple[Family, tuple[str, ...], float]]:
        if self._access_log is not None:
            yield LOG_DROPPED, (), self._access_log.dropped
        for name, upstream in self._upstreams.items():
            for target, figures in upstream.statistics().items():
                yield UPSTREAM_EJECTIONS, (name, target), figures["ejections"]

    def _retire_log(self, access_log: AccessLog | None) -> None:
        if access_log is not None:
            access_log.flush()
            asyncio.get_running_loop().run_in_executor(None, access_log.close)


async def _dismantle(table: RouteTable[LiveRoute]) -> None:
    """Free a table that no request reads any more, in slices: at once, 10,000 routes take 3 to 7 ms."""
    slices = Slices()
    for _ in dismantle(table):
        await slices.breathe()
