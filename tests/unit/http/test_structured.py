"""Structured fields (RFC 9651): the examples of its text, and its limits."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.structured import (
    Bare,
    Date,
    DisplayString,
    InnerList,
    Item,
    Member,
    StructuredError,
    Token,
    parse_dictionary,
    parse_item,
)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"42", 42),
        (b"-0", 0),
        (b"0042", 42),
        (b"999999999999999", 999_999_999_999_999),
        (b"4.5", Decimal("4.5")),
        (b"-1.500", Decimal("-1.5")),
        (b"1.0", Decimal(1)),
        (b"123456789012.123", Decimal("123456789012.123")),
        (b'"hello world"', "hello world"),
        (rb'"a \"b\" \\"', r'a "b" \ '.rstrip()),
        (b'""', ""),
        (b"foo123/456", Token("foo123/456")),
        (b"*", Token("*")),
        (b":cHJldGVuZCB0aGlzIGlzIGJpbmFyeSBjb250ZW50Lg==:", b"pretend this is binary content."),
        (b":aGVsbG8:", b"hello"),
        (b"::", b""),
        (b"?1", True),
        (b"?0", False),
        (b"@1659578233", Date(1659578233)),
        (b"@-1", Date(-1)),
        (
            b'%"This is intended for display to %c3%bcsers."',
            DisplayString("This is intended for display to üsers."),
        ),
        (b"  7  ", 7),
    ],
)
def test_items(raw: bytes, value: Bare) -> None:
    item = parse_item(raw)
    assert item == Item(value)
    assert type(item.value) is type(value)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"1 2", b"1,", b"-", b"--1", b"+1", b"1.", b".1", b"1.1234", b"1.2.3", b"1234567890123456", b"1234567890123.1", b'"a', b'"a\\b"', b'"a\x7f"', b'"\xc3\xa9"', b"'a'",
        b":aGVsbG8", b":a:", b":aGV=sbG8=:", b":_-:", b"?2", b"?", b"@1.5", b"@", b'%"%C3%BC"', b'%"%ff"', b'%"%zz"', b'%"a', b"%a", b"\ta", b"a;", b"a;B=1", b"a;b=", b"a ;b", b"{a}",
    ],
)  # fmt: skip
def test_what_is_no_item(raw: bytes) -> None:
    with pytest.raises(StructuredError):
        parse_item(raw)


def test_parameters() -> None:
    item = parse_item(b"abc; a=1;b;  c=?0;a=2")
    assert item == Item(Token("abc"), {"a": 2, "b": True, "c": False})
    assert list(item.parameters) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("raw", "members"),
    [
        (
            b'en="Applepie", da=:w4ZibGV0w6ZydGU=:',
            {"en": Item("Applepie"), "da": Item("Æbletærte".encode())},
        ),
        (
            b"a=?0, b, c; foo=bar",
            {"a": Item(False), "b": Item(True), "c": Item(True, {"foo": Token("bar")})},
        ),
        (
            b"rating=1.5, feelings=(joy sadness)",
            {"rating": Item(Decimal("1.5")), "feelings": InnerList((Item(Token("joy")), Item(Token("sadness"))))},
        ),
        (
            b'a=("foo"; a=1;b=2);lvl=5, b=( 1  2 );lvl=1, c=()',
            {
                "a": InnerList((Item("foo", {"a": 1, "b": 2}),), {"lvl": 5}),
                "b": InnerList((Item(1), Item(2)), {"lvl": 1}),
                "c": InnerList(()),
            },
        ),
        (b"a\t,\t b ", {"a": Item(True), "b": Item(True)}),
        (b"a=1,b=2,a=3", {"a": Item(3), "b": Item(2)}),
        (b"", {}),
    ],
)
def test_dictionaries(raw: bytes, members: dict[str, Member]) -> None:
    parsed = parse_dictionary(raw)
    assert parsed == members
    assert list(parsed) == list(members)


@pytest.mark.parametrize(
    "raw",
    [
        b"A=1", b"a=", b"a=1,", b"a 1", b"a==1", b"=1", b"1=a", b",", b"a, ,b", b"a b",
        b"a=(b", b"a=(b,c)", b'a=("b""c")', b"a=(b\tc)", b"a=)",
    ],
)  # fmt: skip
def test_what_is_no_dictionary(raw: bytes) -> None:
    with pytest.raises(StructuredError):
        parse_dictionary(raw)


@given(st.text('ab*"\\:?@%(); ,=.-019/\xe9', max_size=12).map(lambda text: text.encode("latin-1")))
def test_any_octets_are_refused_or_read(raw: bytes) -> None:
    try:
        members = parse_dictionary(raw)
    except StructuredError:
        return
    assert all(re.fullmatch(r"[a-z*][a-z0-9_.*-]*", name) for name in members)
