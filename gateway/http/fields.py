"""Field names, field values and the lists in them (RFC 9110 §5). Knows the meaning of no field."""

from __future__ import annotations

import re

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch  # RFC 9110 §5.6.2
_VALUE = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?").fullmatch  # RFC 9110 §5.5
# One element of a list: anything but a comma, or a quoted string (RFC 9110 §5.6.4), which may hold commas
_ELEMENT = re.compile(rb'(?:[^",]++|"(?:[^"\\]|\\.)*+(?:"|\Z)|")+', re.DOTALL).findall
# The same, read from its end; there the quote of an escaped pair stands before its backslash
_ELEMENT_BACKWARDS = re.compile(rb'(?:[^",]++|"(?:[^"]|"(?=\\))*+(?:"|\Z))+', re.DOTALL).findall
_PARAMETER = re.compile(rb";[ \t]*(?:([^=;,\s\"]+)=(\"(?:[^\"\\]|\\.)*\"|[^;,\s\"]*))?[ \t]*", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def is_token(raw: bytes) -> bool:
    """Whether `raw` may be a field name or a method."""
    return _TOKEN(raw) is not None


def is_field_value(raw: bytes) -> bool:
    """Whether `raw` may be a field value: no control but a tab inside, no white space at the ends."""
    return _VALUE(raw) is not None


def split_list(raw: bytes) -> list[bytes]:
    """The elements of a list, trimmed; commas in quoted strings do not split, empty elements go (RFC 9110 §5.6.1.2)."""
    if b'"' not in raw:
        return split_plain(raw)
    return [element for part in _ELEMENT(raw) if (element := part.strip(b" \t"))]


def split_appended(raw: bytes) -> list[bytes]:
    """As split_list, for a list that each hop appends to: a quote that is never closed takes nothing to its right along.

    Who wrote the last elements may be trusted while who wrote the first is not.
    """
    if b'"' not in raw:
        return split_list(raw)
    backwards = [element[::-1].strip(b" \t") for element in _ELEMENT_BACKWARDS(raw[::-1])]
    return [element for element in reversed(backwards) if element]


def split_plain(raw: bytes) -> list[bytes]:
    """The elements of a list whose field knows no quoted strings: a quote is an octet like others."""
    return [element for part in raw.split(b",") if (element := part.strip(b" \t"))]


def split_parameters(raw: bytes) -> tuple[bytes, dict[bytes, bytes]] | None:
    """`value;name=value;name="quoted"` as the value and its parameters (RFC 9110 §5.6.6), names in lower case.

    The first of two parameters of one name counts. None when it is not of that form.
    """
    end = raw.find(b";")
    if end < 0:
        return raw.strip(b" \t"), {}
    parameters: dict[bytes, bytes] = {}
    at = end
    while at < len(raw):
        found = _PARAMETER.match(raw, at)
        if found is None:
            return None
        if found[1]:
            parameters.setdefault(found[1].lower(), unquoted(found[2]))
        at = found.end()
    return raw[:end].strip(b" \t"), parameters


def unquoted(raw: bytes) -> bytes:
    """A token as it is, or what a quoted string stands for (RFC 9110 §5.6.4)."""
    if raw[:1] != b'"':
        return raw
    return _ESCAPED.sub(rb"\1", raw[1:-1])
