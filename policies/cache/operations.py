"""What is done to cached answers in a shared store, as atomic operations. Knows neither HTTP nor what the octets mean.

A URL has an epoch, and a page counts only in the epoch in which it was written: to invalidate a URL is to give it another one,
whoever's pages there are. An answer that was asked for in an older epoch is not kept.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NamedTuple

from gateway.api.ports import Table

Arguments = tuple[bytes | int | float, ...]

FIRST_EPOCH = b"00000000"  # of a URL that was never invalidated
KNOWN = b"="
_TIME = struct.Struct(">d")
_SIZE = struct.Struct(">I")
_VERSION = 8
_START = 16  # of the variants: behind version and epoch
_ID = 16
_HEAD = _ID + _SIZE.size + _TIME.size


def _lua(name: str) -> str:
    return files("policies.cache").joinpath(name).read_text()


class Variant(NamedTuple):
    at: float  # the store's seconds when it was kept
    octets: bytes


class Page(NamedTuple):
    version: bytes
    variants: tuple[Variant, ...]


class Looked(NamedTuple):
    epoch: bytes
    pages: tuple[Page | bytes | None, ...]  # None: there is none; KNOWN: the version that is known


@dataclass(frozen=True, slots=True)
class Look:
    """What is kept of some pages of one URL, but for those whose version is known."""

    epoch_key: str
    page_keys: tuple[str, ...]
    known: tuple[bytes, ...]
    name = "cache/look"
    lua = _lua("look.lua")

    def keys(self) -> tuple[str, ...]:
        return (self.epoch_key, *self.page_keys)

    def arguments(self) -> Arguments:
        return self.known

    def apply(self, table: Table, now: float) -> Looked:
        epoch = table.get(self.epoch_key) or FIRST_EPOCH
        found: list[bytes] = []
        for key, known in zip(self.page_keys, self.known, strict=True):
            page: bytes = table.get(key) or b""
            if page[_VERSION:_START] != epoch:
                found.append(b"")
            else:
                found.append(KNOWN if page[:_VERSION] == known else page)
        return self.parse([epoch, *found])

    def parse(self, reply: Any) -> Looked:
        epoch, *pages = reply
        return Looked(bytes(epoch), tuple(KNOWN if page == KNOWN else _page(page) for page in pages))


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep a variant on its page, instead of the one with the same id. False: the URL has another epoch by now."""

    epoch_key: str
    page_key: str
    epoch: bytes
    version: bytes
    id: bytes
    octets: bytes
    ttl_s: float
    most: int
    name = "cache/keep"
    lua = _lua("keep.lua")

    def keys(self) -> tuple[str, ...]:
        return self.epoch_key, self.page_key

    def arguments(self) -> Arguments:
        return self.epoch, self.version, self.id, self.octets, self.ttl_s, self.most

    def apply(self, table: Table, now: float) -> bool:
        epoch = table.get(self.epoch_key) or FIRST_EPOCH
        if epoch != self.epoch:
            return False
        page: bytes = table.get(self.page_key) or b""
        pieces = [self.version, epoch, self.id, _SIZE.pack(len(self.octets)), _TIME.pack(now), self.octets]
        if page[_VERSION:_START] == epoch:
            at, kept = _START, 1
            while at < len(page) and kept < self.most:
                end = at + _HEAD + _SIZE.unpack_from(page, at + _ID)[0]
                if page[at : at + _ID] != self.id:
                    pieces.append(page[at:end])
                    kept += 1
                at = end
        table.set(self.page_key, b"".join(pieces), now + self.ttl_s)
        return True

    def parse(self, reply: Any) -> bool:
        return bool(int(reply))


@dataclass(frozen=True, slots=True)
class Release:
    """Give a lease back, leaving something in its place or nothing. False: it was not the owner's any more."""

    key: str
    owner: bytes
    instead: bytes
    ttl_s: float
    name = "cache/release"
    lua = _lua("release.lua")

    def keys(self) -> tuple[str, ...]:
        return (self.key,)

    def arguments(self) -> Arguments:
        return self.owner, self.instead, self.ttl_s

    def apply(self, table: Table, now: float) -> bool:
        if table.get(self.key) != self.owner:
            return False
        if self.instead:
            table.set(self.key, self.instead, now + self.ttl_s)
        else:
            table.delete(self.key)
        return True

    def parse(self, reply: Any) -> bool:
        return bool(int(reply))


@dataclass(frozen=True, slots=True)
class AddPurge:
    """Note a purge that no key names: what was kept before it and is meant by it counts no more. Returns the octets of all."""

    key: str
    purge: bytes
    ttl_s: float
    most_bytes: int
    name = "cache/purge"
    lua = _lua("purge.lua")

    def keys(self) -> tuple[str, ...]:
        return (self.key,)

    def arguments(self) -> Arguments:
        return self.purge, self.ttl_s, self.most_bytes

    def apply(self, table: Table, now: float) -> int:
        purges: bytes = (table.get(self.key) or b"") + _TIME.pack(now) + _SIZE.pack(len(self.purge)) + self.purge
        if len(purges) > self.most_bytes:
            at, last = 0, b""
            while len(purges) - at > self.most_bytes / 2:
                last = purges[at : at + _TIME.size]
                at += 12 + _SIZE.unpack_from(purges, at + 8)[0]
            purges = last + _SIZE.pack(0) + purges[at:]
        table.set(self.key, purges, now + self.ttl_s)
        return len(purges)

    def parse(self, reply: Any) -> int:
        return int(reply)


def purges_of(octets: bytes) -> list[tuple[float, bytes]]:
    """What AddPurge noted: when, and the purge; b"" stands for everything kept before."""
    found, at = [], 0
    while at < len(octets):
        size = _SIZE.unpack_from(octets, at + 8)[0]
        found.append((_TIME.unpack_from(octets, at)[0], octets[at + 12 : at + 12 + size]))
        at += 12 + size
    return found


def _page(octets: bytes) -> Page | None:
    if not octets:
        return None
    variants, at = [], _START
    while at < len(octets):
        if len(octets) < at + _HEAD:
            raise ValueError("a page that ends early")
        size = _SIZE.unpack_from(octets, at + _ID)[0]
        start = at + _HEAD
        variants.append(Variant(_TIME.unpack_from(octets, start - _TIME.size)[0], octets[start : start + size]))
        at = start + size
    return Page(octets[:_VERSION], tuple(variants))
