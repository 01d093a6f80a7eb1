"""Addresses that may call."""

from gateway.api.policy import Level, PolicySpec, Slot
from policies.ip_allow.config import IpAllowConfig
from policies.ip_allow.policy import IpAllow

POLICY = PolicySpec(
    name="ip_allow",
    config=IpAllowConfig,
    slot=lambda config: Slot.EDGE,
    build=IpAllow,
    levels=frozenset({Level.GLOBAL, Level.DEFAULTS, Level.ROUTE}),
)
