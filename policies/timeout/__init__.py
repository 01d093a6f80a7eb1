"""How long a call may take."""

from gateway.api.policy import Level, PolicySpec, Slot
from policies.timeout.config import TimeoutConfig
from policies.timeout.policy import build

POLICY = PolicySpec(
    name="timeout",
    config=TimeoutConfig,
    # `total` runs from the route's start, whatever waits inside; so it is set before anything else
    slot=lambda config: Slot.EDGE,
    build=build,
    levels=frozenset({Level.DEFAULTS, Level.UPSTREAM, Level.ROUTE}),
)
