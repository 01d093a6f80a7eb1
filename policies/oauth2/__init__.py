"""Bearer tokens: JWTs, verified by their issuer's keys."""

from gateway.api.policy import PolicySpec, Slot
from policies.oauth2.bound import CertificateBound
from policies.oauth2.config import OAuth2Block
from policies.oauth2.policy import OAuth2

POLICY = PolicySpec(
    name="oauth2",
    config=OAuth2Block,
    slot=lambda config: Slot.AUTHENTICATE,
    build=lambda config, scope: (CertificateBound if config.sender_constrained == "mtls" else OAuth2)(config, scope),
    authenticator=True,
)
