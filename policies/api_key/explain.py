"""Says, for an operator who holds an API key, whose it is or why it is no good. Never goes to a caller."""

from __future__ import annotations

from gateway.api.consumers import Consumers, KeyEntry
from policies.api_key.core import Verdict, look_up

_WHY = {
    Verdict.TOO_LONG: "it is longer than any key",
    Verdict.UNKNOWN: "no consumer has this key",
    Verdict.EXPIRED: "it has expired",
}


def explain_key(consumers: Consumers, raw: bytes, now: float) -> str:
    """One line. `now` is Unix seconds."""
    match look_up(raw.strip(), consumers, now):
        case KeyEntry() as entry:
            return f"api_key accepts it as key {entry.key_id} of consumer {entry.consumer.name}"
        case verdict:
            return f"api_key refuses it: {_WHY[verdict]} (api_key.{verdict.value})"
