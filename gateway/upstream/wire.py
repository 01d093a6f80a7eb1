"""HTTP/1.1 heads on the wire: writes those of requests, reads those of answers strictly. Pure: knows no socket, no clock.

Reading is ours rather than a parser library's, because what is let through decides here: one split and one `translate`
take 3.8 µs for nine fields, framing decided; httptools with its callbacks takes 2.6 for the fields alone, and would need
another 1.0 to refuse as much (loadtests/micro/upstream.py).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from gateway.api.messages import Field, Headers
from gateway.http.hop_by_hop import RESPONSE_HOP, strip_response

MAX_HEAD = 64 * 1024  # octets; Envoy 60 KiB, HAProxy 16 KiB, nginx 4 or 8 KiB
MAX_FIELDS = 200  # Envoy and Apache 100, HAProxy 101; some legacy systems set many cookies
HEAD_END = b"\r\n\r\n"

CHUNKED = -1
UNTIL_CLOSE = -2

Head: TypeAlias = tuple[int, Headers, int, bool, float | None]
"""Status, end-to-end fields, octets of the body (or CHUNKED, UNTIL_CLOSE), whether the connection lives on, and for how
many seconds it is kept idle where Keep-Alive says so."""

# RFC 9110 §5.5: field values hold no control characters but HTAB. NUL, CR and LF are dangerous, the rest has no use.
CONTROLS = bytes(octet for octet in range(256) if (octet < 0x20 and octet != 0x09) or octet == 0x7F)
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
# RFC 9112 §4, but for the space before an absent reason, which many leave out. RFC 9110 §15: codes end at 599.
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-5][0-9][0-9])(?: .*)?", re.DOTALL)
_STATUS_START = b"HTTP/1."
_KEEP_TIMEOUT = re.compile(rb"(?:^|[,; \t])timeout[ \t]*=[ \t]*\"?([0-9]{1,6})", re.IGNORECASE)
_BARE_LF = re.compile(rb"(?<!\r)\n")
_FRAMING = RESPONSE_HOP | {b"content-length"}
_METHODS = {name: name.encode() for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_MAX_NAMES = 2048
_MAX_NAME = 64
_plain: dict[bytes, bytes] = {}  # spellings seen, tokens all and none about framing, and their lower case

# Lines that many answers share are read once: half of a usual head. Nothing personal is in these fields.
_REPEATING = frozenset(
    (b"accept-ranges", b"cache-control", b"content-encoding", b"content-type", b"date", b"server", b"vary")
)
_MAX_LINES = 512
_MAX_LINE = 128
_repeated: dict[bytes, Field] = {}


class Violation(Exception):
    """The upstream broke HTTP. The text says which rule, and holds nothing that the upstream sent."""


def write_head(method: str, target: bytes, host: bytes | None, headers: Headers, framing: bytes = b"") -> bytes:
    """A request's head. `host` replaces the value of the first of `headers`, which is Host; None keeps it.

    `framing` is the Content-Length or Transfer-Encoding line with its CRLF, or nothing. Raises ValueError when a value
    would break out of its line: no policy and no adapter can make two requests out of one.
    """
    if host is None:
        host = headers[0][1]
    start = b"".join((_METHODS.get(method) or method.encode("ascii"), b" ", target, b" HTTP/1.1\r\nhost: ", host))
    head = b"\r\n".join((start, *map(b": ".join, headers[1:]), framing, b""))
    # as many CRLFs as belong there, and no other control character
    if len(head) - len(head.translate(None, CONTROLS)) != 2 * (len(headers) + 2 + bool(framing)) or b" " in target:
        raise ValueError("a control character, or a space in the target, of a request's head")
    return head


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
    headers = Headers()
    add = headers.append
    plain = _plain.get  # most fields are settled by this one look-up
    length: bytes | None = None
    coding: bytes | None = None
    connection: bytes | None = None
    keep_s: float | None = None
    repeated = _repeated.get
    for line in lines[1:]:
        field = repeated(line)
        if field is not None:
            add(field)
            continue
        spelling, colon, value = line.partition(b":")
        if not colon:
            raise Violation("a header line without a colon")
        value = value.strip(b" \t")
        name = plain(spelling)
        if name is not None:
            field = (name, value)
            add(field)
            if name in _REPEATING:
                _remember(line, field)
            continue
        name = _framing(spelling)
        if name is None:
            add((_learn(spelling), value))
        elif name == b"content-length":
            # RFC 9112 §6.3 rule 5 allows to repair equal ones; two lengths are never a sound upstream
            if length is not None:
                raise Violation("two Content-Length fields")
            length = value
            add((name, value))
        elif name == b"transfer-encoding":
            coding = value if coding is None else coding + b"," + value
        elif name == b"connection":
            connection = value if connection is None else connection + b"," + value
        elif name == b"keep-alive":
            keep_s = _kept_for(value)
    # RFC 9112 §9.3
    if connection is None:
        alive = persistent
    else:
        closes, keeps, names_fields = _options(connection)
        alive = not closes and (persistent or keeps)
        if names_fields:
            add((b"connection", connection))
            headers = strip_response(headers)
    # RFC 9112 §6.3, in its order
    if coding is not None:
        # §6.1: we send no TE, so chunked is the only coding that may come, and only once, to HTTP/1.1
        if coding.lower() != b"chunked":
            raise Violation("a Transfer-Encoding other than chunked")
        if length is not None or not persistent:
            raise Violation("Transfer-Encoding beside Content-Length, or in an HTTP/1.0 answer")
        body = CHUNKED
    elif length is not None:
        if not length.isdigit() or len(length) > 18:
            raise Violation("a Content-Length that is no number")
        body = int(length)
    else:
        body = UNTIL_CLOSE
    if status >= 200 and status not in (204, 304) and not to_head:
        return status, headers, body, alive and body != UNTIL_CLOSE, keep_s
    if status < 200 and body not in (0, UNTIL_CLOSE):
        raise Violation("an interim answer with a body")
    if (status == 204 or status < 200) and body != UNTIL_CLOSE:
        # RFC 9110 §8.6, RFC 9112 §6.1: neither field may be there; what follows the head cannot be trusted
        headers.remove_all(b"content-length")
        alive = alive and body == 0
    return status, headers, 0, alive, keep_s


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


def _remember(line: bytes, field: Field) -> None:
    if len(_repeated) >= _MAX_LINES:
        _repeated.clear()
    if len(line) <= _MAX_LINE:
        _repeated[line] = field


@lru_cache(maxsize=256)
def _framing(spelling: bytes) -> bytes | None:
    """The lower case of a name that is about framing or this hop only, else None."""
    name = spelling.lower()
    return name if name in _FRAMING else None


@lru_cache(maxsize=256)
def _options(connection: bytes) -> tuple[bool, bool, bool]:
    """Whether Connection says close, says keep-alive, names something else (RFC 9110 §7.6.1)."""
    options = {option.strip(b" \t").lower() for option in connection.split(b",")}
    return b"close" in options, b"keep-alive" in options, not options <= {b"close", b"keep-alive", b""}


@lru_cache(maxsize=256)
def _kept_for(value: bytes) -> float | None:
    """The `timeout` of a Keep-Alive field (RFC 2068 §19.7.1.1; no later RFC has it, and most servers send it)."""
    match = _KEEP_TIMEOUT.search(value)
    return None if match is None else float(match[1])


def _learn(spelling: bytes) -> bytes:
    """The lower case of a field name that was not seen before."""
    if _TOKEN.fullmatch(spelling) is None:
        # RFC 9112 §5.2, §5.1: folded lines, and space before the colon, which others read differently
        raise Violation("obsolete line folding" if spelling[:1] in (b" ", b"\t") else "a header name that is no token")
    name = spelling.lower()
    if len(_plain) < _MAX_NAMES and len(spelling) <= _MAX_NAME:
        _plain[spelling] = name
    return name
