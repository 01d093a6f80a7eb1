"""The YAML block of request_size."""

from __future__ import annotations

from gateway.api.config import PolicyBlock, Size


class RequestSizeConfig(PolicyBlock):
    """The largest request body."""

    max: Size = 2**20
    """Octets of the body, as sent (a compressed body counts compressed)."""
