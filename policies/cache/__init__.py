"""Stores answers and serves them again, as RFC 9111 has it for a shared cache."""

from gateway.api.policy import PolicySpec, Slot
from policies.cache.config import CacheConfig
from policies.cache.policy import build, check

POLICY = PolicySpec(
    name="cache",
    config=CacheConfig,
    slot=lambda config: Slot.CACHE,
    build=build,
    check=check,
)
