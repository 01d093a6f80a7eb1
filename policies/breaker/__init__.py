"""Stops calling an upstream that fails."""

from gateway.api.policy import Level, PolicySpec, Slot
from policies.breaker.checks import check
from policies.breaker.config import BreakerConfig
from policies.breaker.policy import build

POLICY = PolicySpec(
    name="breaker",
    config=BreakerConfig,
    slot=lambda config: Slot.RESILIENCE,
    rank=2,  # innermost: it sees each attempt
    build=build,
    levels=frozenset({Level.DEFAULTS, Level.UPSTREAM, Level.ROUTE}),
    check=check,
)
