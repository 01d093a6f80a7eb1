"""Bounds how many calls are under way to an upstream at a time."""

from gateway.api.policy import Level, PolicySpec, Slot
from policies.bulkhead.config import BulkheadConfig
from policies.bulkhead.policy import build, check

POLICY = PolicySpec(
    name="bulkhead",
    config=BulkheadConfig,
    slot=lambda config: Slot.RESILIENCE,
    rank=1,  # inside retry, so that back-off holds no place; outside breaker
    build=build,
    levels=frozenset({Level.DEFAULTS, Level.UPSTREAM, Level.ROUTE}),
    waits=lambda config: config.queue > 0,
    check=check,
)
