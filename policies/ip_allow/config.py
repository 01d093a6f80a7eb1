"""The YAML block of ip_allow."""

from __future__ import annotations

from pydantic import model_validator

from gateway.api.config import PolicyBlock
from gateway.api.settings.consumer import Network


class IpAllowConfig(PolicyBlock):
    """Addresses that may call."""

    allow: tuple[Network, ...] = ()
    """Addresses and networks that may call; everybody who is not denied, when left out."""
    deny: tuple[Network, ...] = ()
    """Addresses and networks that may not call, even when `allow` holds them."""

    @model_validator(mode="after")
    def _says_something(self) -> IpAllowConfig:
        if not self.allow and not self.deny:
            raise ValueError("an ip_allow without allow and deny lets everybody in; name networks, or leave it out")
        return self
