"""Structured fields (RFC 9651): the examples of its text, its limits, and that what is written is read again."""

from __future__ import annotations

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
    parse_list,
)
from gateway.http.structured_text import serialise_dictionary, serialise_item, serialise_list


@pytest.mark.parametrize(
    ("raw", "value", "written"),
    [
        (b"42", 42, b"42"),
        (b"-0", 0, b"0"),
        (b"0042", 42, b"42"),
        (b"999999999999999", 999_999_999_999_999, b"999999999999999"),
        (b"4.5", Decimal("4.5"), b"4.5"),
        (b"-1.500", Decimal("-1.5"), b"-1.5"),
        (b"1.0", Decimal(1), b"1.0"),
        (b"123456789012.123", Decimal("123456789012.123"), b"123456789012.123"),
        (b'"hello world"', "hello world", b'"hello world"'),
        (rb'"a \"b\" \\"', r'a "b" \ '.rstrip(), rb'"a \"b\" \\"'),
        (b'""', "", b'""'),
        (b"foo123/456", Token("foo123/456"), b"foo123/456"),
        (b"*", Token("*"), b"*"),
        (
            b":cHJldGVuZCB0aGlzIGlzIGJpbmFyeSBjb250ZW50Lg==:",
            b"pretend this is binary content.",
            b":cHJldGVuZCB0aGlzIGlzIGJpbmFyeSBjb250ZW50Lg==:",
        ),
        (b":aGVsbG8:", b"hello", b":aGVsbG8=:"),
        (b"::", b"", b"::"),
        (b"?1", True, b"?1"),
        (b"?0", False, b"?0"),
        (b"@1659578233", Date(1659578233), b"@1659578233"),
        (b"@-1", Date(-1), b"@-1"),
        (
            b'%"This is intended for display to %c3%bcsers."',
            DisplayString("This is intended for display to üsers."),
            b'%"This is intended for display to %c3%bcsers."',
        ),
        (b"  7  ", 7, b"7"),
    ],
)
def test_items(raw: bytes, value: Bare, written: bytes) -> None:
    item = parse_item(raw)
    assert item == Item(value)
    assert type(item.value) is type(value)
    assert serialise_item(item) == written


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
    assert serialise_item(item) == b"abc;a=2;b;c=?0"


@pytest.mark.parametrize(
    ("raw", "members", "written"),
    [
        (b"", [], b""),
        (b"sugar, tea,rum", [Item(Token("sugar")), Item(Token("tea")), Item(Token("rum"))], b"sugar, tea, rum"),
        (b"a\t,\t b ", [Item(Token("a")), Item(Token("b"))], b"a, b"),
        (
            b'("foo" "bar"), ("baz"), ()',
            [InnerList((Item("foo"), Item("bar"))), InnerList((Item("baz"),)), InnerList(())],
            b'("foo" "bar"), ("baz"), ()',
        ),
        (
            b'("foo"; a=1;b=2);lvl=5, ( 1  2 );lvl=1',
            [InnerList((Item("foo", {"a": 1, "b": 2}),), {"lvl": 5}), InnerList((Item(1), Item(2)), {"lvl": 1})],
            b'("foo";a=1;b=2);lvl=5, (1 2);lvl=1',
        ),
    ],
)
def test_lists(raw: bytes, members: list[Member], written: bytes) -> None:
    assert parse_list(raw) == members
    assert serialise_list(members) == written


@pytest.mark.parametrize("raw", [b",", b"a,", b"a, ,b", b"a b", b"(a", b"(a,b)", b'("a""b")', b"(a\tb)", b")"])
def test_what_is_no_list(raw: bytes) -> None:
    with pytest.raises(StructuredError):
        parse_list(raw)


@pytest.mark.parametrize(
    ("raw", "members", "written"),
    [
        (
            b'en="Applepie", da=:w4ZibGV0w6ZydGU=:',
            {"en": Item("Applepie"), "da": Item("Æbletærte".encode())},
            b'en="Applepie", da=:w4ZibGV0w6ZydGU=:',
        ),
        (
            b"a=?0, b, c; foo=bar",
            {"a": Item(False), "b": Item(True), "c": Item(True, {"foo": Token("bar")})},
            b"a=?0, b, c;foo=bar",
        ),
        (
            b"rating=1.5, feelings=(joy sadness)",
            {"rating": Item(Decimal("1.5")), "feelings": InnerList((Item(Token("joy")), Item(Token("sadness"))))},
            b"rating=1.5, feelings=(joy sadness)",
        ),
        (b"a=1,b=2,a=3", {"a": Item(3), "b": Item(2)}, b"a=3, b=2"),
        (b"", {}, b""),
    ],
)
def test_dictionaries(raw: bytes, members: dict[str, Member], written: bytes) -> None:
    parsed = parse_dictionary(raw)
    assert parsed == members
    assert list(parsed) == list(members)
    assert serialise_dictionary(members) == written


@pytest.mark.parametrize("raw", [b"A=1", b"a=", b"a=1,", b"a 1", b"a==1", b"=1", b"1=a"])
def test_what_is_no_dictionary(raw: bytes) -> None:
    with pytest.raises(StructuredError):
        parse_dictionary(raw)


@pytest.mark.parametrize(
    "item",
    [
        Item(10**15),
        Item(Decimal(10**12)),
        Item(Decimal("999999999999.9999")),
        Item(Decimal("NaN")),
        Item(Decimal("1e40")),
        Item("é"),
        Item("a\n"),
        Item(Token("a b")),
        Item(Token("")),
        Item(Date(10**15)),
        Item(DisplayString("\ud800")),
        Item(1, {"A": 1}),
        Item(1, {"": 1}),
    ],
)
def test_what_has_no_form(item: Item) -> None:
    with pytest.raises(StructuredError):
        serialise_item(item)


def test_decimals_are_rounded_to_even() -> None:
    assert [serialise_item(Item(Decimal(text))) for text in ("0.0005", "0.0015", "-2.34567")] == [
        b"0.0",
        b"0.002",
        b"-2.346",
    ]


KEYS = st.from_regex(r"[a-z*][a-z0-9_.*-]{0,5}", fullmatch=True)
BARE: st.SearchStrategy[Bare] = st.one_of(
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.decimals(-(10**11), 10**11, places=3),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9),
    st.from_regex(r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]{0,6}", fullmatch=True).map(Token),
    st.binary(max_size=9),
    st.booleans(),
    st.integers(-(10**12), 10**12).map(Date),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=9).map(DisplayString),
)
PARAMETERS = st.dictionaries(KEYS, BARE, max_size=3)
ITEMS = st.builds(Item, BARE, PARAMETERS)
MEMBERS = st.one_of(ITEMS, st.builds(InnerList, st.lists(ITEMS, max_size=3).map(tuple), PARAMETERS))


@given(st.dictionaries(KEYS, MEMBERS, max_size=4))
def test_what_is_written_is_read_again(members: dict[str, Member]) -> None:
    assert parse_dictionary(serialise_dictionary(members)) == members
    assert parse_list(serialise_list(list(members.values()))) == list(members.values())


@given(st.text('ab*"\\:?@%(); ,=.-019/\xe9', max_size=12).map(lambda text: text.encode("latin-1")))
def test_any_octets_are_refused_or_read_the_same_twice(raw: bytes) -> None:
    try:
        members = parse_dictionary(raw)
    except StructuredError:
        return
    assert parse_dictionary(serialise_dictionary(members)) == members
