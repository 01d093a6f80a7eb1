"""A stored answer as octets, for stores that outlive or are shared by processes. Pure.

Only what the upstream said is written, and what the request said to select it: which rules follow from that is decided anew by
whoever reads it, so that a changed configuration counts at once.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import orjson

from gateway.api.messages import Headers
from policies.cache.core import Stored, keep
from policies.cache.selection import ANY, Selector
from policies.cache.terms import OWN_FIELD, Rules, terms_of

_SIZE = struct.Struct(">I")


def encode(stored: Stored, *, now: float, wall: float) -> bytes:
    """`now` is monotonic, `wall` Unix seconds of the same moment."""
    selector = stored.selector
    head = orjson.dumps(
        {
            "status": stored.kind.status,
            "headers": _text((*stored.headers, *((OWN_FIELD, value) for value in stored.kind.own))),
            "born": wall - stored.age_s(now),
            "fields": [(name.decode("latin-1"), _decoded(value)) for name, value in selector.fields],
            "coding": _decoded(selector.coding),
        }
    )
    return _SIZE.pack(len(head)) + head + stored.body


def decode(octets: bytes, rules: Rules, *, now: float, wall: float) -> Stored | None:
    """None for what no `encode` wrote: a store that was tampered with, or written by another version, has nothing for us."""
    try:
        size = _SIZE.unpack_from(octets)[0]
        end = _SIZE.size + size
        said = orjson.loads(octets[_SIZE.size : end])
        headers = Headers((name.encode("latin-1"), value.encode("latin-1")) for name, value in said["headers"])
        fields = tuple((name.encode("latin-1"), _encoded(value)) for name, value in said["fields"])
        coding = _encoded(said["coding"])
        status, age = int(said["status"]), max(0.0, wall - float(said["born"]))
    except (struct.error, orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None
    terms = terms_of(headers, wall - age, rules)
    stored = keep(status, headers, octets[end:], Headers(), terms, rules, now=now, wall=wall - age, delay_s=0.0)
    return replace(stored, born_s=now - age, selector=Selector(fields, coding) if fields or coding else ANY)


def id_of(selector: Selector) -> bytes:
    """Tells the variants of one key apart: 16 octets."""
    return hashlib.sha256(repr((selector.fields, selector.coding)).encode()).digest()[:16]


def _text(fields: tuple[tuple[bytes, bytes], ...]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]


def _decoded(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _encoded(value: str | None) -> bytes | None:
    return None if value is None else value.encode("latin-1")
