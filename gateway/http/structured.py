"""Structured field values (RFC 9651, which holds all of RFC 8941): their types and parsing. Knows the meaning of no field.

Values are Python's own: int, Decimal, str, bytes, bool; and Token, DisplayString and Date for those that it lacks. Several
fields of one name are joined with a comma before they are parsed (RFC 9651 §4.2). `StructuredError` means: ignore the field.
Parsing follows RFC 9651 §4.2, one function per algorithm.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias
from urllib.parse import unquote_to_bytes


class StructuredError(ValueError):
    """Not a structured field of the type asked for; nothing of it is used."""


class Token(str):
    """`gzip`, `text/html`, `*`: a word without quotes."""

    __slots__ = ()


class DisplayString(str):
    """Text beyond ASCII (RFC 9651 §3.3.8)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Date:
    """Unix seconds (RFC 9651 §3.3.7)."""

    unix_s: int


Bare: TypeAlias = int | Decimal | str | bytes | bool | Date
Parameters: TypeAlias = Mapping[str, Bare]


@dataclass(frozen=True, slots=True)
class Item:
    value: Bare
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InnerList:
    items: tuple[Item, ...]
    parameters: Parameters = field(default_factory=dict)


Member: TypeAlias = Item | InnerList


def parse_item(raw: bytes) -> Item:
    cursor = _Cursor(raw)
    item = _item(cursor)
    cursor.end()
    return item


def parse_dictionary(raw: bytes) -> dict[str, Member]:
    """A member without a value is true; the last of two members of one name counts, in the place of the first."""
    cursor = _Cursor(raw)
    members: dict[str, Member] = {}
    while cursor.more:
        name = cursor.take(KEY, "a key")
        member = _member(cursor) if cursor.skip("=") else Item(True, _parameters(cursor))
        members[name] = member
        cursor.comma()
    return members


KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]*)?")
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*+)"')
TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*")
_BYTES = re.compile(r":([A-Za-z0-9+/]*)=*:")
_DISPLAY = re.compile(r'%"((?:[ !#$&-~]|%[0-9a-f]{2})*+)"')
_BOOLEAN = re.compile(r"\?[01]")


class _Cursor:
    """Where in the text parsing has come."""

    __slots__ = ("at", "text")

    def __init__(self, raw: bytes) -> None:
        try:
            self.text = raw.decode("ascii").strip(" ")
        except UnicodeDecodeError as exc:
            raise StructuredError("a structured field is ASCII") from exc
        self.at = 0

    @property
    def more(self) -> bool:
        return self.at < len(self.text)

    def skip(self, character: str) -> bool:
        if self.text.startswith(character, self.at):
            self.at += 1
            return True
        return False

    def spaces(self, which: str = " ") -> None:
        while self.more and self.text[self.at] in which:
            self.at += 1

    def take(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise StructuredError(f"{what} is missing or malformed")
        self.at = found.end()
        return found[pattern.groups]

    def comma(self) -> None:
        """To the next member, or the end; a comma at the end is an error."""
        self.spaces(" \t")
        if self.more:
            if not self.skip(","):
                raise StructuredError("two members have no comma between them")
            self.spaces(" \t")
            if not self.more:
                raise StructuredError("the list ends in a comma")

    def end(self) -> None:
        if self.more:
            raise StructuredError("there is more than one item")


def _member(cursor: _Cursor) -> Member:
    return _inner_list(cursor) if cursor.skip("(") else _item(cursor)


def _inner_list(cursor: _Cursor) -> InnerList:
    items: list[Item] = []
    while True:
        cursor.spaces()
        if cursor.skip(")"):
            return InnerList(tuple(items), _parameters(cursor))
        items.append(_item(cursor))
        if not cursor.text.startswith((" ", ")"), cursor.at):
            raise StructuredError("an inner list is not closed, or its items have no space between them")


def _item(cursor: _Cursor) -> Item:
    return Item(_bare(cursor), _parameters(cursor))


def _parameters(cursor: _Cursor) -> dict[str, Bare]:
    parameters: dict[str, Bare] = {}
    while cursor.skip(";"):
        cursor.spaces()
        name = cursor.take(KEY, "a parameter's key")
        value = _bare(cursor) if cursor.skip("=") else True
        parameters[name] = value
    return parameters


def _bare(cursor: _Cursor) -> Bare:
    first = cursor.text[cursor.at : cursor.at + 1]
    if first.isdigit() or first == "-":
        return _number(cursor)
    if first == '"':
        return re.sub(r"\\(.)", r"\1", cursor.take(_STRING, "a string"))
    if first == ":":
        return _octets(cursor)
    if first == "?":
        return cursor.take(_BOOLEAN, "a boolean") == "?1"
    if first == "@":
        cursor.at += 1
        number = _number(cursor)
        if not isinstance(number, int):
            raise StructuredError("a date has no fraction")
        return Date(number)
    if first == "%":
        return _display(cursor)
    return Token(cursor.take(TOKEN, "a value"))


def _number(cursor: _Cursor) -> int | Decimal:
    text = cursor.take(_NUMBER, "a number")
    whole, dot, fraction = text.removeprefix("-").partition(".")
    if not dot:
        if len(whole) > 15:
            raise StructuredError("an integer has more than 15 digits")
        return int(text)
    if len(whole) > 12 or not 1 <= len(fraction) <= 3:
        raise StructuredError("a decimal has more than 12 digits before the point, or not 1 to 3 after it")
    return Decimal(text)


def _octets(cursor: _Cursor) -> bytes:
    encoded = cursor.take(_BYTES, "a byte sequence")
    try:
        # §4.2.7: padding may be missing, and bits that are not used may be set
        return binascii.a2b_base64(encoded + "=" * (-len(encoded) % 4))
    except binascii.Error as exc:
        raise StructuredError("a byte sequence is not base64") from exc


def _display(cursor: _Cursor) -> DisplayString:
    try:
        return DisplayString(unquote_to_bytes(cursor.take(_DISPLAY, "a display string")).decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise StructuredError("a display string is not UTF-8") from exc
