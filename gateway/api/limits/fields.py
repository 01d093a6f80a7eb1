"""The header fields of limits: draft-ietf-httpapi-ratelimit-headers-10 §3, §4: lists of sf-strings with parameters."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.api.exchange import Exchange

RATELIMIT = b"ratelimit"
POLICY_FIELD = b"ratelimit-policy"


def quoted(label: str) -> bytes:
    """A limit's name; it holds no quote and no backslash."""
    return b'"%s"' % label.encode("ascii")


def announce(exchange: Exchange, items: Sequence[tuple[bytes, bytes]]) -> None:
    """One field each, one item a limit: its policy, and what is left."""
    if len(items) == 1:
        policy, left = items[0]
    else:
        policy, left = b", ".join([item[0] for item in items]), b", ".join([item[1] for item in items])
    exchange.response_headers += ((POLICY_FIELD, policy), (RATELIMIT, left))
