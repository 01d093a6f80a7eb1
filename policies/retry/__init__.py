"""Tries again what may be tried again."""

from gateway.api.policy import Level, PolicySpec, Slot
from policies.retry.checks import check
from policies.retry.config import RetryConfig
from policies.retry.policy import build

POLICY = PolicySpec(
    name="retry",
    config=RetryConfig,
    slot=lambda config: Slot.RESILIENCE,
    rank=0,  # outermost: each try passes the bulkhead and the breaker, and back-off holds no slot
    build=build,
    levels=frozenset({Level.DEFAULTS, Level.UPSTREAM, Level.ROUTE}),
    check=check,
)
