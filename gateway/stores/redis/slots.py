"""Where in a cluster a key lies. Pure."""

from __future__ import annotations

from binascii import crc_hqx
from itertools import count

SLOTS = 16384


def slot_of(key: str) -> int:
    """Cluster specification, "Key distribution model" and "Hash tags": CRC16 of what stands in the first braces, if anything."""
    start = key.find("{")
    if start >= 0:
        end = key.find("}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key.encode("utf-8", "surrogatepass"), 0) & (SLOTS - 1)


def key_in(slots: range, name: str) -> str:
    """A key called `name` that lies in one of these slots."""
    return next(key for number in count() if slot_of(key := f"{name}{{{number}}}") in slots)
