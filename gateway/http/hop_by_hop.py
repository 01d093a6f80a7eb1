"""Hop-by-hop fields (RFC 9110 §7.6.1): what belongs to one connection and goes no further. Knows no connection."""

from __future__ import annotations

from gateway.api.messages import Headers

# RFC 9110 §7.6.1 names Proxy-Connection, Keep-Alive, TE, Transfer-Encoding and Upgrade. Trailer only announces
# what may not be forwarded. Proxy-* are for this hop (RFC 9110 §11.7); `Proxy` is CGI's poisoned HTTP_PROXY.
_REQUEST_HOP = frozenset(
    (
        b"connection",
        b"http2-settings",  # RFC 7540 §3.2.1: named in Connection by its sender
        b"keep-alive",
        b"proxy",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
RESPONSE_HOP = _REQUEST_HOP - {b"proxy", b"http2-settings"}

# RFC 9110 §6.5.1: what frames, routes, authenticates, controls caches or says how to read the content has no place after it
_NO_TRAILERS = RESPONSE_HOP | frozenset(
    (
        b"age",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"date",
        b"expires",
        b"host",
        b"location",
        b"pragma",
        b"retry-after",
        b"set-cookie",
        b"vary",
        b"warning",
        b"www-authenticate",
    )
)
# Naming these in Connection must not take a request's framing or destination away.
_NEVER_NAMED = frozenset((b"host", b"content-length", b"transfer-encoding"))
MOST_FORWARDS = 10**9  # RFC 9110 §7.6.2: a larger figure becomes what the recipient takes at most
_USUAL = frozenset((b"keep-alive", b"close", b"Keep-Alive", b"Close", b"upgrade", b"Upgrade"))


def strip_request(headers: Headers) -> Headers:
    """The fields of a request without those for this hop; a new object, order kept.

    Host, Content-Length and Expect stay: policies read them, and the upstream client writes its own.
    """
    for field in headers:
        if field[0] in _REQUEST_HOP:
            return _strip(headers, _REQUEST_HOP)
    return Headers(headers)


def strip_response(headers: Headers) -> Headers:
    """The fields of an answer without those for this hop; a new object, order kept. Content-Length stays."""
    return _strip(headers, RESPONSE_HOP)


def forwards_left(headers: Headers) -> int | None:
    """How often a request may still be forwarded (RFC 9110 §7.6.2), at most MOST_FORWARDS; None: nothing sane is said of it."""
    said = headers.get(b"max-forwards")
    if said is None or not said.isdigit():
        return None
    return int(said) if len(said) <= 9 else MOST_FORWARDS


def may_trail(name: bytes) -> bool:
    """Whether a field of this name, in lower case, is passed on as a trailer."""
    return name not in _NO_TRAILERS


def _strip(headers: Headers, hop: frozenset[bytes]) -> Headers:
    kept = Headers()
    named: set[bytes] | None = None
    for field in headers:
        if field[0] not in hop:
            kept.append(field)
        elif field[0] == b"connection" and field[1] not in _USUAL:
            named = (named or set()) | {option.strip(b" \t").lower() for option in field[1].split(b",")}
    if named:
        named -= _NEVER_NAMED
        kept[:] = [field for field in kept if field[0] not in named]
    return kept
