"""Reads a signed token's three parts, strictly. Verifies nothing: whatever comes out is the sender's word.

joserfc decodes base64 leniently and lets a JSON member occur twice; two readers of such a token can see two
different ones, so the form is decided here, before any cryptography. The figures are of loadtests/micro/credentials.py.
"""

from __future__ import annotations

import binascii
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from policies.oauth2.reasons import Reason

MAX_TOKEN = 8 * 1024  # octets; nginx takes 8 KiB a header line, and tokens with many groups stay below 5
MAX_DEPTH = 16  # of JSON; Keycloak's resource_access has 3
_MAX_OPENINGS = 512  # objects and arrays in one part: bounds what counting the depth may cost

_BEARER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~+/"  # RFC 6750 §2.1, but for the padding
# What base64url writes as - and _, for binascii; what only other spellings have becomes an octet that none has
_TO_BASE64 = bytes.maketrans(b"-_+/=", b"+/!!!")
# By the length modulo 4: the padding, and the last characters there may be. RFC 4648 §3.5: the last one's unused bits must
# be zero, or one token has many spellings
_ENDS: tuple[tuple[bytes, frozenset[int]], ...] = (
    (b"", frozenset(range(256))),
    (b"", frozenset()),
    (b"==", frozenset(b"AQgw")),
    (b"=", frozenset(b"AEIMQUYcgkosw048")),
)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

# RFC 7515 §4.1: these bring a key or say where to find one
_KEY_BEARING = frozenset({"jwk", "jku", "x5c", "x5u"})
# crit names extensions that must be understood (§4.1.11), and we have none; b64 is RFC 7797; zip is JWE's
_EXTENSIONS = frozenset({"crit", "b64", "zip"})


@dataclass(slots=True)  # not frozen: that costs 1 µs a token
class Token:
    """A token as it was sent: `signed` is what `signature` covers."""

    alg: str
    kid: str | None
    typ: str | None  # lower case, without `application/`
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def read_token(raw: bytes) -> Token | Reason:
    """The parts of a JWS in compact form (RFC 7515 §3.1), or why it is none."""
    if len(raw) > MAX_TOKEN:
        return Reason.TOO_LONG
    parts = split_parts(raw)
    if len(parts) != 3:
        return Reason.ENCRYPTED if len(parts) == 5 and not raw.translate(None, _BEARER) else Reason.MALFORMED
    header = _read_header(parts[0])
    if isinstance(header, Reason):
        return header
    payload, signature = decode_part(parts[1]), decode_part(parts[2])
    if payload is None or signature is None:
        return Reason.MALFORMED
    claims = read_object(payload)
    if claims is None:
        return Reason.BAD_JSON
    return Token(*header, claims, raw[: raw.rindex(b".")], signature)


def split_parts(raw: bytes) -> list[bytes]:
    """What stands between the dots, for `decode_part`."""
    return raw.translate(_TO_BASE64).split(b".")


def is_opaque(raw: bytes) -> bool:
    """Whether only its issuer can read it: anything that RFC 6750 §2.1 allows, but three parts, which are a JWT."""
    return 0 < len(raw) <= MAX_TOKEN and raw.count(b".") != 2 and not raw.rstrip(b"=").translate(None, _BEARER)


@lru_cache(maxsize=256)  # an issuer's tokens have few different headers: 0.2 µs where reading takes 6
def _read_header(part: bytes) -> tuple[str, str | None, str | None] | Reason:
    """alg, kid and typ, or why this header may not be."""
    decoded = decode_part(part)
    if decoded is None:
        return Reason.MALFORMED
    header = read_object(decoded)
    if header is None:
        return Reason.BAD_JSON
    if not _KEY_BEARING.isdisjoint(header):
        return Reason.EMBEDDED_KEY
    if not _EXTENSIONS.isdisjoint(header):
        return Reason.CRITICAL_HEADER
    alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(alg, str) or not isinstance(kid, str | None) or not isinstance(typ, str | None):
        return Reason.BAD_HEADER
    return alg, kid, None if typ is None else normal_typ(typ)


def normal_typ(typ: str) -> str:
    """RFC 7515 §4.1.9: a media type, compared without case, whose `application/` may be left out."""
    return typ.lower().removeprefix("application/")


def decode_part(part: bytes) -> bytes | None:
    """What `split_parts` gave, decoded: base64url without padding, in its one canonical spelling (RFC 7515 §2)."""
    if not part:
        return None
    padding, last = _ENDS[len(part) & 3]
    if part[-1] not in last:
        return None
    try:
        return binascii.a2b_base64(part + padding, strict_mode=True)
    except binascii.Error:
        return None


class _Refused(ValueError):
    """Raised inside the JSON reader's hooks; never leaves this module."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused  # RFC 7515 §4, RFC 7519 §4: names must be unique
    return members


def _no_constant(name: str) -> float:
    raise _Refused  # RFC 8259 §6 knows no NaN and no Infinity


_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def read_object(part: bytes) -> dict[str, Any] | None:
    """One JSON object (RFC 8259) without doubled members, or None. Shallow and small objects cost a few µs, the worst below 1 ms."""
    openings = part.count(b"[") + part.count(b"{")
    if openings > MAX_DEPTH and (openings > _MAX_OPENINGS or _depth(part) > MAX_DEPTH):
        return None
    try:
        value = orjson.loads(part)
        # what is written back to the same octets held no member twice, and no number was rounded: 2 µs where _strict takes 5
        if orjson.dumps(value) != part:
            value = _strict(part)
    except ValueError:  # orjson takes what we refuse, and the other way round: numbers beyond 64 bits, 1e999
        value = _strict(part)
    return value if isinstance(value, dict) else None


def _strict(part: bytes) -> Any:
    """What JSON in any spelling says; None for what is no JSON, or holds a member twice."""
    try:
        text = part.decode().strip(" \t\r\n")
        value, end = _JSON.raw_decode(text)
        if end != len(text):
            return None
        if _ESCAPED_SURROGATE.search(part):
            json.dumps(value, ensure_ascii=False).encode()  # half a pair is no character: it fails here
    except ValueError:  # every fault above is one: UnicodeError, JSONDecodeError, _Refused, a number too long
        return None
    return value


def _depth(part: bytes) -> int:
    """How deep brackets nest. Those inside strings count too: an upper bound, never too small."""
    depth = deepest = 0
    for octet in part.translate(None, _NO_BRACKETS):
        if octet in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif octet in b"]}":
            depth -= 1
    return deepest
