"""The YAML block of mtls."""

from __future__ import annotations

from gateway.api.config import PolicyBlock


class MtlsBlock(PolicyBlock):
    """Client certificates; which certificate is whose is written beside the consumers."""

    forward: bool = False
    """Whether the upstream sees the certificate, in Client-Cert (RFC 9440)."""
