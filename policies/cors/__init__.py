"""Calls from web pages of other origins."""

from gateway.api.policy import PolicySpec, Slot
from policies.cors.config import CorsConfig
from policies.cors.policy import Cors

POLICY = PolicySpec(
    name="cors",
    config=CorsConfig,
    slot=lambda config: Slot.EDGE,
    build=Cors,
    answers_preflights=True,
)
