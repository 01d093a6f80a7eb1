"""Bearer tokens: JWTs, verified by their issuer's keys."""

from collections.abc import Mapping

from gateway.api.policy import PolicySpec, Slot
from policies.oauth2.bound import CertificateBound
from policies.oauth2.checks import check
from policies.oauth2.config import OAuth2Block
from policies.oauth2.policy import OAuth2
from policies.oauth2.proven import Proven

_BY_PROOF: Mapping[str, type[OAuth2]] = {"off": OAuth2, "mtls": CertificateBound, "dpop": Proven, "any": Proven}

POLICY = PolicySpec(
    name="oauth2",
    config=OAuth2Block,
    slot=lambda config: Slot.AUTHENTICATE,
    build=lambda config, scope: _BY_PROOF[config.sender_constrained](config, scope),
    authenticator=True,
    check=check,
)
