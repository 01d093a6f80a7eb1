"""What of a request makes its key and its fingerprint. Keeps nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import rfc8785

from gateway.api.messages import Request
from gateway.http.structured import StructuredError, parse_item

LONGEST = 255  # characters of a key, as Stripe's
CANONICAL = "canonical-body"  # a part of selectors: the body by RFC 8785
KEYED = "key:"  # a part of selectors: the id of a secret, without which nobody can try out what the rest was

_BARE = bytes(frozenset(range(0x21, 0x7F)) - frozenset(b'",;\\'))


class BadKey(ValueError):
    """The field is there and is no key; the message says why, without what it held."""


class MissingKey(Exception):
    """The field is not there, and it has to be."""


def key_of(values: Sequence[bytes]) -> str | None:
    """The key that these field values hold, None when there is none. `"k"` and `k` are one. Raises BadKey."""
    if not values:
        return None
    if len(values) > 1:
        raise BadKey("it is there more than once")
    raw = values[0].strip(b" \t")
    if raw.startswith(b'"'):
        # draft-ietf-httpapi-idempotency-key-header-07 §2.1: an Item whose value is a String (RFC 9651 §3.3.3)
        try:
            key = parse_item(raw).value
        except StructuredError:
            raise BadKey("it is no quoted string (RFC 9651), or more than one") from None
        assert isinstance(key, str), "what begins with a quote is a string"
    else:
        if raw.translate(None, _BARE):
            raise BadKey("without quotes it may hold visible ASCII but no comma, semicolon, quote or backslash")
        key = raw.decode("ascii")
    if not key:
        raise BadKey("it is empty")
    if len(key) > LONGEST:
        raise BadKey(f"it is longer than {LONGEST} characters")
    return key


def fingerprint(selector: str, request: Request, body: bytes, secrets: Mapping[str, bytes]) -> str | None:
    """SHA-256, in hex, of the parts that `selector` names, behind their lengths, so that no two divide alike.

    None: it names a secret that is none of `secrets`, so that nothing can be compared.
    """
    pieces = [b""]
    for part_of in _parts(selector):
        octets = part_of(request, body, secrets)
        if octets is None:
            return None
        pieces.append(octets)
    pieces[0] = b"%d:" * len(pieces) % tuple(map(len, pieces))
    # joined first: updates of a digest take 2 µs more, and copying a body is nothing beside hashing it
    return hashlib.sha256(b"".join(pieces)).hexdigest()


Part = Callable[[Request, bytes, Mapping[str, bytes]], bytes | None]

_PARTS: dict[str, Part] = {
    "method": lambda request, body, secrets: request.method.encode("ascii"),
    "path": lambda request, body, secrets: request.path.encode("ascii"),
    "query": lambda request, body, secrets: request.query,
    "body": lambda request, body, secrets: body,
    CANONICAL: lambda request, body, secrets: canonical(body),
}


@lru_cache(maxsize=256)
def _parts(selector: str) -> tuple[Part, ...]:
    return tuple(_PARTS.get(part) or _named(part) for part in selector.split(","))


def _named(part: str) -> Part:
    """`key:ID` or `header:NAME`."""
    if part.startswith(KEYED):
        identity = part.removeprefix(KEYED)
        return lambda request, body, secrets: secrets.get(identity)
    name = part.removeprefix("header:").lower().encode("ascii")
    return lambda request, body, secrets: b"\0".join(request.headers.get_all(name))


def canonical(body: bytes) -> bytes:
    """JSON by RFC 8785; as it is what has no such form (§3.1: I-JSON), which then equals only itself."""
    try:
        return rfc8785.dumps(json.loads(body, object_pairs_hook=_without_duplicates))
    except (ValueError, RecursionError):  # CanonicalizationError and UnicodeDecodeError are ValueErrors
        return body


def _without_duplicates(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a name is there twice (RFC 7493 §2.3)")
    return found


def record_key(principal: str, key: str) -> str:
    """What a record is called in the store. The length keeps one caller's from ever meeting another's."""
    return f"{len(principal)}:{principal}:{key}"
