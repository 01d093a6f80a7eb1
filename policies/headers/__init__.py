"""Header fields set, added and removed, both ways."""

from gateway.api.policy import Level, PolicySpec, Slot
from policies.headers.config import HeadersConfig
from policies.headers.policy import build

POLICY = PolicySpec(
    name="headers",
    config=HeadersConfig,
    slot=lambda config: Slot.TRANSFORM,
    build=build,
    levels=frozenset({Level.GLOBAL, Level.DEFAULTS, Level.ROUTE}),
)
