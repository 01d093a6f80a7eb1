"""Coded answers that may be asked for again, bounded in octets, the least lately used going first. Codes nothing."""

from __future__ import annotations

from collections import OrderedDict
from weakref import WeakKeyDictionary

LARGEST_SHARE = 8  # one answer takes at most this part of the room


class Remembered:
    """By the body itself: two callers' answers with one ETag, or two resources', are never taken for each other.

    A stored answer hands out the same bytes object again and again, so its hash is known and the comparison ends at the
    identity: 0.1 µs however long it is.
    """

    def __init__(self) -> None:
        self.size = 0
        self._coded: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()
        self._limits: WeakKeyDictionary[object, int] = WeakKeyDictionary()

    def bound(self, user: object, limit_bytes: int) -> None:
        """`user` wants room for so many octets while it lives; the largest wish counts."""
        self._limits[user] = limit_bytes

    def get(self, coding: str, body: bytes) -> bytes | None:
        key = (coding, body)
        coded = self._coded.get(key)
        if coded is not None:
            self._coded.move_to_end(key)
        return coded

    def put(self, coding: str, body: bytes, coded: bytes) -> None:
        limit = max(self._limits.values(), default=0)
        size = len(body) + len(coded)
        if size > limit // LARGEST_SHARE or (coding, body) in self._coded:
            return
        self._coded[coding, body] = coded
        self.size += size
        while self.size > limit:
            (_, other), dropped = self._coded.popitem(last=False)
            self.size -= len(other) + len(dropped)
