"""Limits on the number of calls in a calendar window."""

from gateway.api.limits.gate import merge
from gateway.api.policy import Level, PolicySpec, Slot
from policies.quota.checks import check
from policies.quota.config import QuotaConfig
from policies.quota.policy import build

POLICY = PolicySpec(
    name="quota",
    config=QuotaConfig,
    slot=lambda config: Slot.LIMIT if config.needs_caller else Slot.GUARD,
    build=build,
    levels=frozenset({Level.GLOBAL, Level.DEFAULTS, Level.ROUTE}),
    repeatable=True,
    default_name=lambda config: config.per,
    merge=merge,
    check=check,
)
