"""What policies show: counters stay, gauges are reported while somebody holds them, several are merged."""

import gc

from gateway.telemetry.policy_metrics import PolicyMetrics


def reported(metrics):
    return {(family.name, labels): value for family, labels, value in metrics.values()}


def test_the_same_labels_are_the_same_counter():
    metrics = PolicyMetrics()
    metrics.counter("upstream_retries_total", ("orders", "reset")).value += 1
    metrics.counter("upstream_retries_total", ("orders", "reset")).value += 1
    assert reported(metrics) == {("sluicegate_upstream_retries_total", ("orders", "reset")): 2}


def test_gauges_are_merged_as_their_family_says_and_go_with_their_holder():
    metrics = PolicyMetrics()
    held = [metrics.gauge("breaker_state", ("orders",)) for _ in range(2)]
    held += [metrics.gauge("bulkhead_in_use", ("orders",)) for _ in range(2)]
    for value, gauge in enumerate(held, start=1):
        gauge.value = value
    assert reported(metrics) == {
        ("sluicegate_breaker_state", ("orders",)): 2,
        ("sluicegate_bulkhead_in_use", ("orders",)): 7,
    }
    held.clear()
    del gauge
    gc.collect()
    assert reported(metrics) == {}
