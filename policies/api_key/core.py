"""When an API key is good. Knows nothing of headers or HTTP; the clock is an argument."""

from __future__ import annotations

import hashlib
from enum import Enum

from gateway.api.consumers import Consumers, KeyEntry

MAX_KEY = 512  # octets; ours have 55, and keys brought along from other gateways stay well below


class Verdict(Enum):
    TOO_LONG = "too-long"
    UNKNOWN = "unknown"
    EXPIRED = "expired"


def look_up(presented: bytes, consumers: Consumers, now: float) -> KeyEntry | Verdict:
    """The key's entry, or why it is no good. `now` is Unix seconds.

    The keys are random, so their SHA-256 needs neither salt nor stretching: there is nothing to guess.
    """
    if len(presented) > MAX_KEY:
        return Verdict.TOO_LONG
    entry = consumers.by_key_digest(hashlib.sha256(presented).digest())
    if entry is None:
        return Verdict.UNKNOWN
    if entry.expires is not None and now >= entry.expires:
        return Verdict.EXPIRED
    return entry
