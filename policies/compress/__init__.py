"""Codes answers as their callers can read them: br, zstd, gzip (RFC 9110 §8.4)."""

from gateway.api.policy import PolicySpec, Slot
from policies.compress.config import CompressConfig
from policies.compress.policy import Compress

POLICY = PolicySpec(
    name="compress",
    config=CompressConfig,
    slot=lambda config: Slot.EDGE,
    build=Compress,
)
