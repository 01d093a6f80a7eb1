"""API keys in a header."""

from gateway.api.policy import PolicySpec, Slot
from policies.api_key.config import ApiKeyBlock
from policies.api_key.policy import ApiKey

POLICY = PolicySpec(
    name="api_key",
    config=ApiKeyBlock,
    slot=lambda config: Slot.AUTHENTICATE,
    build=ApiKey,
    authenticator=True,
)
