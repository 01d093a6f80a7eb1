"""Accumulators report plain data that adds up over workers and reads as Prometheus text."""

from __future__ import annotations

import pickle

from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.exposition import exposition
from gateway.telemetry.metrics import IN_FLIGHT, REQUESTS, ROUTES_A_PART, Family, Metrics, Report


def samples(report: Report) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = exposition(report).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def worker(requests: int, seconds: float) -> Report:
    metrics = Metrics()
    for _ in range(requests):
        metrics.route("orders").observe("GET", 200, "free", seconds)
    metrics.upstream("crm").observe(seconds)
    metrics.decision("orders", "rate_limit", "allow").value += requests
    metrics.in_flight = 1
    return pickle.loads(pickle.dumps(metrics.report()))


def test_workers_add_up() -> None:
    total = Report()
    total.add(worker(3, 0.004))
    total.add(worker(2, 0.3))
    seen = samples(total)
    labels = (("method", "GET"), ("route", "orders"), ("status", "200"), ("tier", "free"))
    assert seen["sluicegate_requests_total", labels] == 5
    route = ("route", "orders")
    assert seen["sluicegate_request_seconds_bucket", (("le", "0.005"), route)] == 3
    assert seen["sluicegate_request_seconds_bucket", (("le", "+Inf"), route)] == 5
    assert seen["sluicegate_request_seconds_count", (route,)] == 5
    assert round(seen["sluicegate_request_seconds_sum", (route,)], 6) == 0.612
    assert seen["sluicegate_upstream_seconds_count", (("upstream", "crm"),)] == 2
    decision = (("decision", "allow"), ("policy", "rate_limit"), route)
    assert seen["sluicegate_policy_decisions_total", decision] == 5
    assert seen["sluicegate_in_flight_requests", ()] == 2


def test_gauges_may_merge_by_the_largest() -> None:
    state = Family("sluicegate_breaker_state", "gauge", "State.", ("upstream",), merge="max")
    total = Report()
    for value in (0.0, 2.0, 1.0):
        one = Report()
        one.put(state, ("crm",), value)
        total.add(one)
    assert total.values[state.name] == {("crm",): 2.0}


def test_adding_changes_no_source() -> None:
    one, other = worker(1, 0.1), worker(1, 0.1)
    total = Report()
    total.add(one)
    total.add(other)
    assert one.values[REQUESTS.name] == {("orders", "GET", "200", "free"): 1}
    assert total.values[IN_FLIGHT.name] == {(): 2}


def test_callers_cannot_grow_the_metrics_by_methods() -> None:
    metrics = Metrics()
    for number in range(100):
        metrics.route("orders").observe(f"M{number}", 404, "", 0.1)
    assert metrics.report().values[REQUESTS.name] == {("orders", "other", "404", ""): 100}


def test_gone_routes_leave_nothing() -> None:
    metrics = Metrics()
    metrics.route("orders").observe("GET", 200, "", 0.1)
    metrics.decision("orders", "cors", "allow").value = 1
    metrics.decision("other", "cors", "allow").value = 1
    metrics.forget_routes(["orders"])
    assert metrics.routes == {}
    assert list(metrics.decisions) == ["other"]


def test_a_large_report_comes_in_small_parts_that_add_up() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.route(f"r{number}").observe("GET", 200, "", 0.1)
        metrics.decision(f"r{number}", "cors", "allow").value = 1
    parts = list(metrics.parts())
    assert max(sum(map(len, part.values.values())) for part in parts) <= 8 * ROUTES_A_PART
    whole = metrics.report()
    assert len(whole.values[REQUESTS.name]) == len(whole.values["sluicegate_policy_decisions_total"]) == 1000


def test_a_route_may_go_while_a_report_is_made() -> None:
    metrics = Metrics()
    for number in range(2 * ROUTES_A_PART):
        metrics.route(f"r{number}").observe("GET", 200, "", 0.1)
    parts = metrics.parts()
    next(parts)
    metrics.forget_routes([f"r{number}" for number in range(2 * ROUTES_A_PART)])
    metrics.route("new")
    assert [part.values.get(REQUESTS.name) for part in parts] == [None, None]
