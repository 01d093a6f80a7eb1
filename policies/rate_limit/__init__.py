"""Limits on the rate of calls."""

from gateway.api.limits.gate import merge
from gateway.api.policy import Level, PolicySpec, Slot
from policies.rate_limit.checks import check
from policies.rate_limit.config import RateLimitConfig
from policies.rate_limit.policy import build

POLICY = PolicySpec(
    name="rate_limit",
    config=RateLimitConfig,
    # what needs no caller goes before anyone is believed, so that a bad token costs its sender something
    slot=lambda config: Slot.LIMIT if config.needs_caller else Slot.GUARD,
    build=build,
    levels=frozenset({Level.GLOBAL, Level.DEFAULTS, Level.ROUTE}),
    repeatable=True,
    default_name=lambda config: config.per,
    merge=merge,
    check=check,
)
