"""What policies count and show of themselves beside their decisions. They ask by name (gateway/api/ports.py, Scope)."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

from gateway.api.ports import Gauge, Tally
from gateway.telemetry.metrics import Family, Labels

BREAKER_STATE = Family(
    "sluicegate_breaker_state",
    "gauge",
    "State of an upstream's breaker: 0 closed, 1 half-open, 2 open.",
    ("upstream",),
    merge="max",
)
BREAKER_CHANGES = Family(
    "sluicegate_breaker_changes_total", "counter", "Changes of a breaker to this state.", ("upstream", "state")
)
RETRIES = Family("sluicegate_upstream_retries_total", "counter", "Tries after the first.", ("upstream", "reason"))
BULKHEAD_LIMIT = Family("sluicegate_bulkhead_limit", "gauge", "Calls that a bulkhead admits at a time.", ("upstream",))
BULKHEAD_IN_USE = Family("sluicegate_bulkhead_in_use", "gauge", "Calls that a bulkhead holds now.", ("upstream",))
BULKHEAD_WAITING = Family("sluicegate_bulkhead_waiting", "gauge", "Calls in a bulkhead's queue now.", ("upstream",))
INTROSPECTIONS = Family(
    "sluicegate_introspections_total", "counter", "Questions to issuers about opaque tokens.", ("issuer", "result")
)
QUOTA_WARNINGS = Family(
    "sluicegate_quota_warnings_total", "counter", "Callers that came near the end of a quota.", ("route", "quota")
)
LIMITS_SWITCHES = Family(
    "sluicegate_limits_switches_total", "counter", "Times limits left their store, or came back to it.", ("to",)
)

PREFIX = "sluicegate_"
_BY_NAME = {
    family.name.removeprefix(PREFIX): family
    for family in (
        BREAKER_STATE,
        BREAKER_CHANGES,
        RETRIES,
        BULKHEAD_LIMIT,
        BULKHEAD_IN_USE,
        BULKHEAD_WAITING,
        INTROSPECTIONS,
        QUOTA_WARNINGS,
        LIMITS_SWITCHES,
    )
}


class PolicyMetrics:
    """A worker's counters and gauges of policies. A gauge is reported while somebody holds it."""

    def __init__(self) -> None:
        self._counters: dict[tuple[Family, Labels], Tally] = {}
        self._gauges: WeakKeyDictionary[Gauge, tuple[Family, Labels]] = WeakKeyDictionary()

    def counter(self, metric: str, labels: Labels) -> Tally:
        return self._counters.setdefault((_BY_NAME[metric], labels), Tally())

    def gauge(self, metric: str, labels: Labels) -> Gauge:
        gauge = Gauge()
        self._gauges[gauge] = (_BY_NAME[metric], labels)
        return gauge

    def values(self) -> Iterator[tuple[Family, Labels, float]]:
        for (family, labels), tally in self._counters.items():
            yield family, labels, tally.value
        merged: dict[tuple[Family, Labels], float] = {}
        for gauge, key in self._gauges.items():
            held = merged.get(key, 0.0)
            merged[key] = max(held, gauge.value) if key[0].merge == "max" else held + gauge.value
        for (family, labels), value in merged.items():
            yield family, labels, value
