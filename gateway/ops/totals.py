"""What all workers counted, as one: reports added up, statistics of upstreams added up. Asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gateway.runtime.data_plane import Counters
from gateway.runtime.ops_backend import Status
from gateway.runtime.reload import Applied
from gateway.telemetry.metrics import Family, Report

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


def report_of(counters: Iterable[Counters], status: Status) -> Report:
    """Everything that `GET /metrics` shows."""
    total = Report()
    counters = list(counters)
    for one in counters:
        total.add(one.report)
    for family, labels, value in _of_gateway(status):
        total.put(family, labels, value)
    for upstream, targets in upstreams_of(counters).items():
        for target, figures in targets.items():
            idle = figures["idle"]
            total.put(UPSTREAM_CONNECTIONS, (upstream, target, "idle"), idle)
            total.put(UPSTREAM_CONNECTIONS, (upstream, target, "busy"), figures["open"] - idle)
            total.put(UPSTREAM_WAITING, (upstream, target), figures["waiting"])
    return total


def upstreams_of(counters: Iterable[Counters]) -> Statistics:
    total: Statistics = {}
    for one in counters:
        for upstream, targets in one.upstreams.items():
            _add(total.setdefault(upstream, {}), targets)
    return total


def _add(total: dict[str, dict[str, int]], targets: Mapping[str, Mapping[str, int]]) -> None:
    for target, figures in targets.items():
        sums = total.setdefault(target, {})
        for name, value in figures.items():
            sums[name] = sums.get(name, 0) + value


def _of_gateway(status: Status) -> Iterator[tuple[Family, tuple[str, ...], float]]:
    yield CONFIG_INFO, (status.version,), 1
    yield LAST_RELOAD_OK, (), isinstance(status.last_reload, Applied)
    yield APPLIED_AT, (), status.applied_at
    yield WORKERS_ALIVE, (), status.workers_alive
    yield WORKERS_WANTED, (), status.workers_wanted
    yield WORKERS_REPLACED, (), status.workers_replaced
