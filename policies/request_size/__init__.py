"""The largest request body."""

from gateway.api.policy import Level, PolicySpec, Slot
from policies.request_size.config import RequestSizeConfig
from policies.request_size.policy import RequestSize

POLICY = PolicySpec(
    name="request_size",
    config=RequestSizeConfig,
    slot=lambda config: Slot.EDGE,
    build=RequestSize,
    levels=frozenset({Level.GLOBAL, Level.DEFAULTS, Level.ROUTE}),
)
