"""Structured field values as text (RFC 9651 §4.1). What has no form raises StructuredError. Parses nothing."""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import assert_never

from gateway.http.structured import (
    KEY,
    MAX_INTEGER,
    TOKEN,
    Bare,
    Date,
    DisplayString,
    InnerList,
    Item,
    Member,
    Parameters,
    StructuredError,
    Token,
)

MAX_DECIMAL = 10**12  # RFC 9651 §3.3.2: twelve digits before the point


def serialise_item(item: Item) -> bytes:
    return _write_member(item).encode("ascii")


def serialise_list(members: Iterable[Member]) -> bytes:
    """Empty: the field is not sent at all (§4.1)."""
    return ", ".join(_write_member(member) for member in members).encode("ascii")


def serialise_dictionary(members: Mapping[str, Member]) -> bytes:
    """Empty: the field is not sent at all (§4.1)."""
    written = []
    for name, member in members.items():
        if isinstance(member, Item) and member.value is True:
            written.append(_write_key(name) + _write_parameters(member.parameters))
        else:
            written.append(f"{_write_key(name)}={_write_member(member)}")
    return ", ".join(written).encode("ascii")


def _write_member(member: Member) -> str:
    if isinstance(member, InnerList):
        text = f"({' '.join(_write_member(item) for item in member.items)})"
    else:
        text = _write_bare(member.value)
    return text + _write_parameters(member.parameters)


def _write_parameters(parameters: Parameters) -> str:
    return "".join(
        f";{_write_key(name)}" if value is True else f";{_write_key(name)}={_write_bare(value)}"
        for name, value in parameters.items()
    )


def _write_key(name: str) -> str:
    if not KEY.fullmatch(name):
        raise StructuredError("a key is lower-case letters, digits and _-.*")
    return name


def _write_bare(value: Bare) -> str:
    match value:
        case bool():
            return "?1" if value else "?0"
        case int():
            if abs(value) > MAX_INTEGER:
                raise StructuredError("an integer has more than 15 digits")
            return str(value)
        case Decimal():
            return _write_decimal(value)
        case Date():
            return f"@{_write_bare(value.unix_s)}"
        case bytes():
            return f":{binascii.b2a_base64(value, newline=False).decode('ascii')}:"
        case Token():
            if not TOKEN.fullmatch(value):
                raise StructuredError("not a token")
            return str(value)
        case DisplayString():
            return _write_display(value)
        case str():
            if not (value.isascii() and value.isprintable()):
                raise StructuredError("a string is printable ASCII; use a DisplayString")
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        case _:
            assert_never(value)


def _write_decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise StructuredError("a decimal is finite")
    rounded = value.quantize(Decimal("0.001"), ROUND_HALF_EVEN) if abs(value) < MAX_DECIMAL else value
    if abs(rounded) >= MAX_DECIMAL:
        raise StructuredError("a decimal has more than 12 digits before the point")
    text = f"{rounded:f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def _write_display(value: str) -> str:
    try:
        octets = value.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise StructuredError("a display string is Unicode text") from exc
    written = "".join(
        f"%{octet:02x}" if octet in b'%"' or not 0x20 <= octet <= 0x7E else chr(octet) for octet in octets
    )
    return f'%"{written}"'
