"""Accumulators of the request path, and what a worker reports of them. Knows no Prometheus: that is exposition.py.

prometheus-client's own counter and two histogram observations cost 4.4 µs a request; these cost about 0.4.
A report is plain data, so it travels to the supervisor, and reports of several workers add up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from gateway.api.ports import Tally

T = TypeVar("T")

Labels = tuple[str, ...]
Kind = Literal["counter", "gauge", "histogram"]

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the latency buckets, seconds; the decades of prometheus-client from 1 ms to 30 s."""


class Histogram:
    """Counts per bucket, not cumulative; the last bucket is beyond all bounds."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(frozen=True, slots=True)
class Family:
    """A metric's name, help and label names; names as in the ops reference."""

    name: str
    kind: Kind
    help: str
    labels: Labels = ()
    merge: Literal["sum", "max"] = "sum"  # how several workers' values become one


REQUESTS = Family("sluicegate_requests_total", "counter", "Requests answered.", ("route", "method", "status", "tier"))
REQUEST_SECONDS = Family(
    "sluicegate_request_seconds", "histogram", "Seconds from a request's head to its answer's last byte.", ("route",)
)
UPSTREAM_SECONDS = Family(
    "sluicegate_upstream_seconds", "histogram", "Seconds an upstream took to the head of its answer.", ("upstream",)
)
POLICY_DECISIONS = Family(
    "sluicegate_policy_decisions_total", "counter", "Decisions of policies.", ("route", "policy", "decision")
)
IN_FLIGHT = Family("sluicegate_in_flight_requests", "gauge", "Requests being answered now.")
UPSTREAM_EJECTIONS = Family(
    "sluicegate_upstream_ejections_total",
    "counter",
    "Times a target was left out: calls failed.",
    ("upstream", "target"),
)
LOG_DROPPED = Family("sluicegate_access_log_dropped_total", "counter", "Access log lines given up: the reader is slow.")

ROUTES_A_PART = 50  # 0.5 ms of work

UNMATCHED = "-"  # the route label of requests that match none; no route can be called so

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that become label values; any other is `other`, so that callers cannot grow the metrics."""


class RouteMetrics:
    """What one route counts. Children are bound once; a request costs two dictionary look-ups."""

    __slots__ = ("requests", "seconds")

    def __init__(self) -> None:
        self.requests: defaultdict[tuple[str, int, str], int] = defaultdict(int)
        self.seconds = Histogram()

    def observe(self, method: str, status: int, tier: str, seconds: float) -> None:
        self.requests[method if method in METHODS else "other", status, tier] += 1
        histogram = self.seconds  # its observe(), without the call
        histogram.counts[bisect_left(BOUNDS, seconds)] += 1
        histogram.total += seconds


Value = float | tuple[list[int], float]
"""A number, or a histogram's counts per bucket and sum."""


@dataclass(slots=True)
class Report:
    """What one process counted since it started: values by family and label values."""

    families: dict[str, Family] = field(default_factory=dict)
    values: dict[str, dict[Labels, Value]] = field(default_factory=dict)

    def put(self, family: Family, labels: Labels, value: Value) -> None:
        self.families[family.name] = family
        self.values.setdefault(family.name, {})[labels] = value

    def add(self, other: Report) -> None:
        """Add another process's report to this one."""
        for name, family in other.families.items():
            self.families[name] = family
            mine = self.values.setdefault(name, {})
            for labels, value in other.values[name].items():
                mine[labels] = _merged(family, mine[labels], value) if labels in mine else value


def _merged(family: Family, one: Value, other: Value) -> Value:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return [a + b for a, b in zip(one[0], other[0], strict=True)], one[1] + other[1]
    assert isinstance(one, int | float), "a family has one kind of value"
    assert isinstance(other, int | float), "a family has one kind of value"
    return max(one, other) if family.merge == "max" else one + other


class Metrics:
    """A worker's accumulators, by what they belong to. They outlive snapshots and go when their route goes."""

    def __init__(self) -> None:
        self.routes: dict[str, RouteMetrics] = {}
        self.upstreams: dict[str, Histogram] = {}
        self.decisions: dict[str, dict[tuple[str, str], Tally]] = {}  # by route, then by policy and decision
        self.in_flight = 0
        self.sources: list[Callable[[], Iterable[tuple[Family, Labels, float]]]] = []
        """Further values, asked for when a report is made: pools, stores, the access log."""

    def route(self, name: str) -> RouteMetrics:
        return self.routes.setdefault(name, RouteMetrics())

    def upstream(self, name: str) -> Histogram:
        return self.upstreams.setdefault(name, Histogram())

    def decision(self, route: str, policy: str, decision: str) -> Tally:
        return self.decisions.setdefault(route, {}).setdefault((policy, decision), Tally())

    def forget_routes(self, names: Iterable[str]) -> None:
        """Drop what belongs to routes that are gone, so that reloads do not grow memory."""
        for name in names:
            self.routes.pop(name, None)
            self.decisions.pop(name, None)

    def report(self) -> Report:
        whole = Report()
        for part in self.parts():
            whole.add(part)
        return whole

    def parts(self) -> Iterator[Report]:
        """The report in pieces of bounded size: of 10,000 routes it takes 90 ms, and requests go in between."""
        for names in _batches(list(self.routes), ROUTES_A_PART):
            part = Report()
            for route in names:
                metrics = self.routes.get(route)
                if metrics is None:  # it went meanwhile
                    continue
                for (method, status, tier), count in metrics.requests.items():
                    part.put(REQUESTS, (route, method, str(status), tier), count)
                if any(metrics.seconds.counts):
                    part.put(REQUEST_SECONDS, (route,), (list(metrics.seconds.counts), metrics.seconds.total))
            yield part
        for names in _batches(list(self.decisions), ROUTES_A_PART):
            part = Report()
            for route in names:
                for (policy, decision), tally in self.decisions.get(route, {}).items():
                    part.put(POLICY_DECISIONS, (route, policy, decision), tally.value)
            yield part
        part = Report()
        for upstream, seconds in self.upstreams.items():
            part.put(UPSTREAM_SECONDS, (upstream,), (list(seconds.counts), seconds.total))
        part.put(IN_FLIGHT, (), self.in_flight)
        for source in self.sources:
            for family, values, value in source():
                part.put(family, values, value)
        yield part


def _batches(items: list[T], size: int) -> Iterator[list[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
