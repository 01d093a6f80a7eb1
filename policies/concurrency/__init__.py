"""Bounds how many calls of a caller are under way at a time."""

from gateway.api.policy import Level, PolicySpec, Slot
from policies.concurrency.config import ConcurrencyConfig
from policies.concurrency.policy import build, check

POLICY = PolicySpec(
    name="concurrency",
    config=ConcurrencyConfig,
    slot=lambda config: Slot.LIMIT if config.needs_caller else Slot.GUARD,
    rank=1,  # after the rates of its slot: what they refuse takes no place and waits in no queue
    build=build,
    levels=frozenset({Level.GLOBAL, Level.DEFAULTS, Level.ROUTE}),
    repeatable=True,
    default_name=lambda config: config.per,
    check=check,
)
