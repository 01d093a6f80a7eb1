"""Tokens of one issuer that were verified a short while ago, so that their signatures are not checked again.

Found by the SHA-256 of the whole Authorization value: no usable token stays in memory, an entry's size does not depend
on its token, and how long a look-up takes tells nothing about a remembered token. It costs 0.6 µs more than the value
itself as the key (loadtests/micro/credentials.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from gateway.api.exchange import Principal
from gateway.api.orders import Revoke

CAPACITY = 20_000  # tokens an issuer and worker: about 40 MiB when each has 2 KiB of claims


class Voucher(Protocol):
    """What stands behind a token: the key that signed it, or the issuer that was asked."""

    @property
    def live(self) -> bool: ...


class Entry:
    """A verified token. `principal` is what it means under configuration `version`."""

    __slots__ = ("claims", "key", "principal", "until", "version")

    def __init__(self, claims: Mapping[str, Any], key: Voucher, until: float) -> None:
        self.claims = claims
        self.key = key
        self.until = until  # Unix seconds: never past exp
        self.version: str | None = None
        self.principal: Principal | None = None


class Remembered:
    """A bounded table, least recently used out first."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes, now: float) -> Entry | None:
        """The entry, if its time is not over and its key is still published."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        if now < entry.until and entry.key.live:
            self._entries.move_to_end(digest)
            return entry
        del self._entries[digest]
        return None

    def put(self, digest: bytes, entry: Entry, now: float) -> None:
        """Remember a token. Each newcomer also clears away up to two that nobody asked for and whose time is over."""
        entries = self._entries
        entries[digest] = entry
        for _ in range(2):
            oldest = next(iter(entries))
            if now < entries[oldest].until and len(entries) <= self._capacity:
                break
            self.evicted += now < entries[oldest].until
            del entries[oldest]
            if not entries:
                break

    def forget(self, order: Revoke) -> int:
        """Drop the tokens that are revoked; returns how many. They are verified anew when they come."""
        gone = [digest for digest, entry in self._entries.items() if order.covers(order.issuer, entry.claims)]
        for digest in gone:
            del self._entries[digest]
        return len(gone)
