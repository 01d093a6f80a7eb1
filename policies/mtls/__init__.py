"""Client certificates."""

from gateway.api.policy import PolicySpec, Slot
from policies.mtls.config import MtlsBlock
from policies.mtls.policy import Mtls

POLICY = PolicySpec(
    name="mtls",
    config=MtlsBlock,
    slot=lambda config: Slot.AUTHENTICATE,
    build=Mtls,
    authenticator=True,
)
