"""Media types of what callers send and what goes out. Knows no records."""

from __future__ import annotations

from typing import Final

from gateway.api.errors import RequestRefused
from gateway.api.exchange import Exchange
from gateway.api.messages import Headers

JSON: Final = b"application/json"
NDJSON: Final = b"application/x-ndjson"
OCTETS: Final = b"application/octet-stream"

_KNOWN: Final = frozenset(("", "application/json", "application/x-ndjson", "application/jsonl", "text/json"))


def check_media(exchange: Exchange, wanted: bytes) -> None:
    """Raises RequestRefused for a body that says it is no JSON."""
    content_type = exchange.request.headers.get(b"content-type") or b""
    if content_type == JSON:
        return
    kind = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if kind not in _KNOWN and not kind.endswith("+json"):
        raise RequestRefused(415, "fixed_width.media-type", f"Send {wanted.decode()}.")


def is_receipt(status: int, headers: Headers) -> bool:
    """Whether an upstream says that it has taken the records and will answer later (RFC 9110 §15.3.3)."""
    return status == 202 and (headers.get(b"content-type") or b"").startswith(JSON)
