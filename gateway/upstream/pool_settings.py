"""What a pool of connections goes by: an upstream's configuration, worked out for one target and one worker."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.api.settings.upstream import Framing
from gateway.upstream.dial import Tls


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """`connections` is this worker's share; `host` the Host to send, None for the caller's."""

    connections: int
    weight: int
    host: bytes | None
    tls: Tls | None
    idle_s: float
    connect_s: float
    first_byte_s: float
    idle_body_s: float
    dns_refresh_s: float
    http2: bool = False
    framing: Framing | None = None
    """How messages are told apart where the target does not speak HTTP."""
