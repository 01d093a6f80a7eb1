"""Header fields that a configuration writes as they are: names and values that HTTP can carry. Knows no message."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.compile.decode.blocks import Remarks
from gateway.http.fields import is_field_value, is_token

# RFC 9110 §7.6.1, RFC 9112 §6: they belong to one connection, or frame a message, and the gateway writes its own
_OF_THE_CONNECTION = frozenset(
    ("connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)


def check_fields(fields: Mapping[str, bytes | None], keys: tuple[str | int, ...], remarks: Remarks) -> None:
    """`fields` have the octets that are sent, None where there are none. A value, which may be a secret, is in no remark."""
    for name, value in fields.items():
        if not is_token(name.encode()):
            remarks.add((*keys, name), f"'{name}' is not a header's name", at_key=True)
        elif name.lower() in _OF_THE_CONNECTION:
            remarks.add(
                (*keys, name), f"{name} belongs to a single connection; the gateway writes its own", at_key=True
            )
        elif value is None or not is_field_value(value):  # RFC 9110 §5.5
            what = "not a header's value: no control characters, none beyond latin-1, no blanks at its ends"
            remarks.add((*keys, name), what)


def latin(value: str) -> bytes | None:
    """The octets of a value as HTTP/1 always had it; None when it has others."""
    return value.encode("latin-1") if max(value, default="") <= "\xff" else None
