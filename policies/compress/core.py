"""Which answers are coded, with what, and what that does to their fields. Pure: codes nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from gateway.api.messages import Headers
from gateway.http.accept import coding_quality, parse_preferences
from gateway.http.fields import split_list

# RFC 9110 §15.3.7: a part is of the bytes that its validator names; 204, 205 and 304 have no body
_UNFIT = frozenset((204, 205, 206, 304))
# Already coded; or the field speaks of the very bytes that are sent (RFC 9530, RFC 1864)
_SETTLED = frozenset(
    (b"content-encoding", b"content-range", b"content-digest", b"repr-digest", b"digest", b"content-md5")
)
_TEXTUAL = frozenset(
    (
        b"application/json",
        b"application/xml",
        b"application/javascript",
        b"application/ecmascript",
        b"application/graphql",
        b"application/x-ndjson",
        b"application/jsonl",
        b"application/yaml",
        b"application/sql",
        b"application/wasm",
        b"application/x-www-form-urlencoded",
        b"application/vnd.ms-fontobject",
        b"image/bmp",
        b"image/x-icon",
        b"font/otf",
        b"font/ttf",
    )
)
_TEXTUAL_ENDS = (b"+json", b"+xml", b"+yaml", b"+text")


@lru_cache(maxsize=256)
def is_compressible(content_type: bytes) -> bool:
    """Whether a body of this type gets shorter. Not an event stream: its events shall not wait for each other."""
    media = content_type.partition(b";")[0].strip(b" \t").lower()
    if media == b"text/event-stream":
        return False
    return media.startswith(b"text/") or media in _TEXTUAL or media.endswith(_TEXTUAL_ENDS)


def may_code(status: int, answer: Headers) -> bool:
    """Whether the answer may be coded at all, whoever asks for it and however long it is."""
    if status < 200 or status in _UNFIT:
        return False
    compressible = False
    for name, value in answer:
        if name in _SETTLED:
            return False
        if name == b"content-type":
            compressible = is_compressible(value)
        elif name == b"cache-control" and forbids(value):
            return False
    return compressible


def stands_for_coded(status: int, answer: Headers) -> bool:
    """Whether the 200 that a 206 or 304 stands for is coded for some: it carries that one's Vary (RFC 9110 §15.3.7, §15.4.5).

    A 304 that names no type may stand for anything.
    """
    if status not in (206, 304):
        return False
    whole = Headers(field for field in answer if field[0] != b"content-range")
    if status == 304 and whole.get(b"content-type") is None:
        whole.append((b"content-type", b"text/plain"))
    return may_code(200, whole)


def forbids(cache_control: bytes) -> bool:
    """RFC 9111 §5.2.1.6 and §5.2.2.6: no-transform, of a request or of an answer."""
    if b"no-transform" not in cache_control.lower():
        return False
    return any(directive.lower() == b"no-transform" for directive in split_list(cache_control))


@lru_cache(maxsize=1024)
def choose(accepted: tuple[bytes, ...], offered: Sequence[str]) -> str | None:
    """The coding for a caller with these Accept-Encoding fields (RFC 9110 §12.5.3); None: send it as it is.

    Without the field nothing is coded: it would be allowed, but who does not ask may be unable to read it.
    """
    preferences = parse_preferences(b",".join(accepted))
    ranked = [(coding_quality(preferences, coding), -at) for at, coding in enumerate(offered)]
    quality, at = max(ranked)
    plain = next((one.quality for one in preferences if one.value == "identity"), 0.0)
    return offered[-at] if quality > plain or quality == plain > 0.0 else None


def coded_fields(answer: Headers, coding: bytes) -> Headers:
    """The fields of an answer whose body is coded."""
    fields = Headers()
    for name, value in answer:
        if name == b"etag":
            # RFC 9110 §8.8.3.3: other bytes need another strong validator; a weak one holds for all codings
            fields.append((name, weakened(value)))
        elif name not in (b"content-length", b"accept-ranges"):  # ranges are of the bytes as the upstream has them
            fields.append((name, value))
    fields.append((b"content-encoding", coding))
    return fields


def weakened(etag: bytes) -> bytes:
    return etag if etag[:2] == b"W/" else b"W/" + etag


def asked_upstream(request: Headers) -> Headers | None:
    """The request's fields with the validators that a caller knows in weakened form only; None: they are good as they are.

    If-None-Match names the strong form as well, for upstreams that compare to the letter. If-Match, which compares
    strongly (RFC 9110 §13.1.1), gets the strong form back, so that updates of what was read coded are still protected.
    """
    if not any(name in (b"if-none-match", b"if-match") and b"W/" in value for name, value in request):
        return None
    fields = Headers()
    for name, value in request:
        if name == b"if-none-match":
            tags = split_list(value)
            strong = [tag[2:] for tag in tags if tag[:2] == b"W/"]
            fields.append((name, b", ".join(dict.fromkeys((*tags, *strong)))))
        elif name == b"if-match":
            fields.append((name, b", ".join(tag.removeprefix(b"W/") for tag in split_list(value))))
        else:
            fields.append((name, value))
    return fields


def knows_weakened(request: Headers, etag: bytes) -> bool:
    """Whether the caller asks with the weakened form of a strong validator: a 304 shall name it as the caller knows it."""
    weak = weakened(etag)
    return weak != etag and any(weak in split_list(value) for value in request.get_all(b"if-none-match"))
