"""Keys under which a call may be sent again: executed once, answered alike."""

from gateway.api.policy import Need, PolicySpec, Slot
from policies.idempotency.checks import check
from policies.idempotency.config import IdempotencyConfig
from policies.idempotency.policy import build

POLICY = PolicySpec(
    name="idempotency",
    config=IdempotencyConfig,
    slot=lambda config: Slot.IDEMPOTENCY,
    build=build,
    request_body=lambda config: Need.BUFFER,
    check=check,
)
