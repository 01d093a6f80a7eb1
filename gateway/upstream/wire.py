"""HTTP/1.1 heads on the wire: writes those of requests, reads those of answers strictly. Pure: knows no socket, no clock.

Reading is ours rather than a parser library's because strictness decides here and costs nothing: split and one
`translate` take 3.3 µs for nine fields, httptools with its callbacks 3.0, and 1.0 more to refuse what it lets pass
(loadtests/micro/upstream.py).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from gateway.api.messages import Headers
from gateway.http.hop_by_hop import RESPONSE_HOP, strip_response

MAX_HEAD = 64 * 1024  # octets; Envoy 60 KiB, HAProxy 16 KiB, nginx 4 or 8 KiB
MAX_FIELDS = 200  # Envoy and Apache 100, HAProxy 101; some legacy systems set many cookies
HEAD_END = b"\r\n\r\n"

CHUNKED = -1
UNTIL_CLOSE = -2

Head: TypeAlias = tuple[int, Headers, int, bool]
"""Status, end-to-end fields, octets of the body (or CHUNKED, UNTIL_CLOSE), whether the connection lives on."""

# RFC 9110 §5.5: field values hold no control characters but HTAB. NUL, CR and LF are dangerous, the rest has no use.
CONTROLS = bytes(octet for octet in range(256) if (octet < 0x20 and octet != 0x09) or octet == 0x7F)
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
# RFC 9112 §4, but for the space before an absent reason, which many leave out. RFC 9110 §15: codes end at 599.
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-5][0-9][0-9])(?: .*)?", re.DOTALL)
_STATUS_START = b"HTTP/1."
_BARE_LF = re.compile(rb"(?<!\r)\n")
_FRAMING = RESPONSE_HOP | {b"content-length"}


class Violation(Exception):
    """The upstream broke HTTP. The text says which rule, and holds nothing that the upstream sent."""


def write_head(method: str, target: bytes, host: bytes | None, headers: Headers, framing: bytes) -> bytes:
    """A request's head. `host` replaces the value of the first of `headers`, which is Host; None keeps it.

    `framing` is the Content-Length or Transfer-Encoding line with its CRLF, or nothing. Raises ValueError when a value
    would break out of its line: no policy and no adapter can make two requests out of one.
    """
    lines = [b"%b %b HTTP/1.1\r\nhost: %b" % (method.encode("ascii"), target, headers[0][1] if host is None else host)]
    lines += map(b": ".join, headers[1:])
    head = b"\r\n".join(lines)
    if len(head) - len(head.translate(None, CONTROLS)) != 2 * len(lines) or b" " in target:
        raise ValueError("a control character, or a space in the target, of a request's head")
    return b"%b\r\n%b\r\n" % (head, framing)


def read_head(head: bytes, to_head: bool) -> Head:
    """An answer's head, without the empty line that ends it. `to_head`: the request was a HEAD.

    Raises Violation for all that RFC 9112 calls invalid, and for what it lets a recipient repair or guess.
    """
    lines = head.split(b"\r\n")
    if len(head) - len(head.translate(None, CONTROLS)) != 2 * (len(lines) - 1):
        raise Violation("a control character in the head, or a bare CR or LF")  # RFC 9112 §2.2, RFC 9110 §5.5
    if len(lines) > MAX_FIELDS + 1:
        raise Violation(f"more than {MAX_FIELDS} header fields")
    status, persistent = _status(lines[0])
    closes = keeps = False
    headers = Headers()
    length: int | None = None
    chunked = named = False
    for line in lines[1:]:
        spelling, colon, value = line.partition(b":")
        name = _field_name(spelling)
        if not colon:
            raise Violation("a header line without a colon")
        value = value.strip(b" \t")
        if name in _FRAMING:
            if name == b"content-length":
                # RFC 9112 §6.3 rule 5 allows to repair equal ones; two lengths are never a sound upstream
                if length is not None:
                    raise Violation("two Content-Length fields")
                if not value.isdigit() or len(value) > 18:
                    raise Violation("a Content-Length that is no number")
                length = int(value)
            elif name == b"transfer-encoding":
                # RFC 9112 §6.1: we send no TE, so chunked is the only coding that may come, and once
                if chunked or value.lower() != b"chunked":
                    raise Violation("a Transfer-Encoding other than chunked")
                chunked = True
                continue
            elif name == b"connection":
                options = value.lower()
                if options == b"close":
                    closes = True
                elif options == b"keep-alive":
                    keeps = True
                else:
                    tokens = {option.strip(b" \t") for option in options.split(b",")}
                    closes = closes or b"close" in tokens
                    keeps = keeps or b"keep-alive" in tokens
                    named = True
                    headers.append((name, value))
                continue
            else:
                continue
        headers.append((name, value))
    if named:
        headers = strip_response(headers)
    alive = (persistent or keeps) and not closes  # RFC 9112 §9.3
    # RFC 9112 §6.3, in its order
    if chunked and (length is not None or not persistent):
        raise Violation("Transfer-Encoding beside Content-Length, or in an HTTP/1.0 answer")  # RFC 9112 §6.1
    if status < 200:
        if chunked or length:
            raise Violation("an interim answer with a body")
        return status, headers, 0, alive
    if status == 204:
        if chunked or length is not None:  # RFC 9110 §8.6: neither may be there; what follows cannot be trusted
            headers.remove_all(b"content-length")
            alive = alive and not chunked and not length
        return status, headers, 0, alive
    if to_head or status == 304:
        return status, headers, 0, alive
    if chunked:
        return status, headers, CHUNKED, alive
    if length is not None:
        return status, headers, length, alive
    return status, headers, UNTIL_CLOSE, False


def check_beginning(head: bytes | bytearray, scanned: int) -> None:
    """Refuse early what can no more become a head, rather than wait for it. `scanned` octets were looked at before."""
    if len(head) > MAX_HEAD:
        raise Violation(f"a head of more than {MAX_HEAD} octets")
    if not _STATUS_START.startswith(head[: len(_STATUS_START)]):
        raise Violation("not an HTTP/1 answer")  # HTTP/0.9, TLS on a plain port, or garbage
    if _BARE_LF.search(head, max(0, scanned - 1)):
        raise Violation("a bare LF in the head")


@lru_cache(maxsize=256)
def _status(line: bytes) -> tuple[int, bool]:
    """Status code, and whether the version keeps connections by itself (RFC 9112 §9.3)."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise Violation("a bad status line")
    return int(match[2]), match[1] != b"0"


@lru_cache(maxsize=2048)
def _field_name(spelling: bytes) -> bytes:
    if _TOKEN.fullmatch(spelling) is None:
        # RFC 9112 §5.2, §5.1: folded lines, and space before the colon, which others read differently
        raise Violation("obsolete line folding" if spelling[:1] in (b" ", b"\t") else "a header name that is no token")
    return spelling.lower()
