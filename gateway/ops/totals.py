"""What all workers counted, as one. Asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gateway.compile.plan import Plan
from gateway.ops.standings import standings_of, target_states
from gateway.runtime.counters import Counters
from gateway.runtime.ops_backend import Status
from gateway.runtime.reload import Applied
from gateway.telemetry.metrics import UNMATCHED, Family, Report

CONFIG_INFO = Family(
    "sluicegate_config_info", "gauge", "1 for the version of the configuration that is served.", ("version",)
)
LAST_RELOAD_OK = Family(
    "sluicegate_config_last_reload_ok", "gauge", "1 when the last attempt to load the configuration was applied."
)
APPLIED_AT = Family("sluicegate_config_applied_timestamp_seconds", "gauge", "When the configuration was applied.")
WORKERS_ALIVE = Family("sluicegate_workers_alive", "gauge", "Workers that run.")
WORKERS_WANTED = Family("sluicegate_workers_wanted", "gauge", "Workers that should run.")
WORKERS_REPLACED = Family("sluicegate_workers_replaced_total", "counter", "Workers that died and were replaced.")
UPSTREAM_CONNECTIONS = Family(
    "sluicegate_upstream_connections", "gauge", "Open connections to a target.", ("upstream", "target", "state")
)
UPSTREAM_WAITING = Family(
    "sluicegate_upstream_waiting_calls", "gauge", "Calls that wait for a connection.", ("upstream", "target")
)

Statistics = dict[str, dict[str, dict[str, int]]]
"""Figures by upstream and target."""


class Ledger:
    """Adds up what workers count, those that are gone included: a sum that steps back looks like a burst to Prometheus.

    Keeps the last report of each worker, and one of all that are gone, without routes and upstreams that are gone too.
    """

    def __init__(self) -> None:
        self._last: dict[str, Report] = {}
        self._gone = Report()

    def total(self, counters: Iterable[Counters], status: Status, plan: Plan) -> Report:
        """Everything that `GET /metrics` shows."""
        counters = list(counters)
        present = {one.process: one.report() for one in counters}
        if len(present) >= status.workers_alive:  # all answered: those that did not are no more
            for process in self._last.keys() - present.keys():
                self._gone.add(_lasting(self._last.pop(process), None))
        self._last |= present
        self._gone = _lasting(self._gone, plan)
        total = Report()
        total.add(self._gone)
        for process, report in self._last.items():
            total.add(report if process in present else _lasting(report, plan))
        for family, labels, value in (
            *_of_gateway(status),
            *_of_upstreams(upstreams_of(counters)),
            *target_states(standings_of(counters)),
        ):
            total.put(family, labels, value)
        return total


def _lasting(report: Report, plan: Plan | None) -> Report:
    """What of a report still counts when its process is gone: no gauges, and of `plan` only what it has."""
    lasting = Report()
    for name, family in report.families.items():
        if family.kind == "gauge":
            continue
        for labels, value in report.values[name].items():
            if plan is None or _known(dict(zip(family.labels, labels, strict=True)), plan):
                lasting.put(family, labels, value)
    return lasting


def _known(labels: Mapping[str, str], plan: Plan) -> bool:
    route, upstream = labels.get("route", UNMATCHED), labels.get("upstream")
    return (route in plan.routes or route == UNMATCHED) and (upstream is None or upstream in plan.upstreams)


def upstreams_of(counters: Iterable[Counters]) -> Statistics:
    total: Statistics = {}
    for one in counters:
        for upstream, targets in one.upstreams.items():
            _add(total.setdefault(upstream, {}), targets)
    return total


def usable_of(said: Iterable[Mapping[str, bool]]) -> dict[tuple[str, str], bool]:
    """Kind and name of each system beside the gateway, and whether all workers that use it can."""
    total: dict[tuple[str, str], bool] = {}
    for one in said:
        for full, fine in one.items():
            kind, _, name = full.partition(":")
            total[kind, name] = total.get((kind, name), True) and fine
    return total


def _add(total: dict[str, dict[str, int]], targets: Mapping[str, Mapping[str, int]]) -> None:
    for target, figures in targets.items():
        sums = total.setdefault(target, {})
        for name, value in figures.items():
            sums[name] = sums.get(name, 0) + value


def _of_upstreams(statistics: Statistics) -> Iterator[tuple[Family, tuple[str, ...], float]]:
    for upstream, targets in statistics.items():
        for target, figures in targets.items():
            yield UPSTREAM_CONNECTIONS, (upstream, target, "idle"), figures["idle"]
            yield UPSTREAM_CONNECTIONS, (upstream, target, "busy"), figures["open"] - figures["idle"]
            yield UPSTREAM_WAITING, (upstream, target), figures["waiting"]


def _of_gateway(status: Status) -> Iterator[tuple[Family, tuple[str, ...], float]]:
    yield CONFIG_INFO, (status.version,), 1
    yield LAST_RELOAD_OK, (), isinstance(status.last_reload, Applied)
    yield APPLIED_AT, (), status.applied_at
    yield WORKERS_ALIVE, (), status.workers_alive
    yield WORKERS_WANTED, (), status.workers_wanted
    yield WORKERS_REPLACED, (), status.workers_replaced
