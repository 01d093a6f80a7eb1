"""The YAML block of api_key."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.api.config import PolicyBlock


class ApiKeyBlock(PolicyBlock):
    """API keys in a header; the keys themselves are written, as digests, beside their consumers."""

    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")] = "X-API-Key"
    """The request header that carries the key."""
    forward: bool = False
    """Whether the upstream sees that header too."""
