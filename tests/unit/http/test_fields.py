"""Tokens, values and lists of fields (RFC 9110 §5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.fields import is_field_value, is_token, split_appended, split_list, split_parameters


@pytest.mark.parametrize(
    ("raw", "token"),
    [
        (b"GET", True),
        (b"x-a_b.c!#$%&'*+^`|~9", True),
        (b"", False),
        (b"a b", False),
        (b"a:", False),
        (b"a\n", False),
        (b"\xe9", False),
        (b'"a"', False),
    ],
)
def test_tokens(raw: bytes, token: bool) -> None:
    assert is_token(raw) is token


@pytest.mark.parametrize(
    ("raw", "good"),
    [
        (b"", True),
        (b"a", True),
        (b"a b\tc", True),
        (b"caf\xe9", True),
        (b" a", False),
        (b"a ", False),
        (b"a\r\nb", False),
        (b"a\nb", False),
        (b"a\x00", False),
        (b"a\x7fb", False),
        (b"\t", False),
    ],
)
def test_values(raw: bytes, good: bool) -> None:
    assert is_field_value(raw) is good


@pytest.mark.parametrize(
    ("raw", "elements"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a, b ,\tc", [b"a", b"b", b"c"]),
        (b", ,a,,b,", [b"a", b"b"]),  # RFC 9110 §5.6.1.2: empty elements are passed over
        (b'"a, b", c', [b'"a, b"', b"c"]),
        (rb'"a\", b", c', [rb'"a\", b"', b"c"]),
        (b'x="1, 2";y, z', [b'x="1, 2";y', b"z"]),
        (b'a, "open, b', [b"a", b'"open, b']),
        (b'a, "open\\', [b"a", b'"open\\']),
    ],
)
def test_lists(raw: bytes, elements: list[bytes]) -> None:
    assert split_list(raw) == elements
    if b"open" not in raw:
        assert split_appended(raw) == elements


@pytest.mark.parametrize(
    ("raw", "elements"),
    [
        (b'a, "open, b', [b'a, "open', b"b"]),
        (b'a="open\\, "b, c"', [b'a="open\\', b'"b, c"']),
        (rb'x="\\", y="a\", b"', [rb'x="\\"', rb'y="a\", b"']),
    ],
)
def test_an_open_quote_takes_nothing_along_that_was_appended(raw: bytes, elements: list[bytes]) -> None:
    assert split_appended(raw) == elements


@pytest.mark.parametrize(
    ("raw", "parsed"),
    [
        (b"text/html", (b"text/html", {})),
        (b"text/html;Charset=utf-8 ; q=0.5", (b"text/html", {b"charset": b"utf-8", b"q": b"0.5"})),
        (rb'a;b="c \"d\" \\ ;,"', (b"a", {b"b": rb'c "d" \ ;,'})),
        (b"a;b=1;b=2", (b"a", {b"b": b"1"})),
        (b"a;;b=1;", (b"a", {b"b": b"1"})),  # RFC 9110 §5.6.6: empty parameters are allowed
        (b"a;b=", (b"a", {b"b": b""})),
        (b"a;b", None),
        (b"a;=1", None),
        (b'a;b="1', None),
        (b'a;b="1"2', None),
        (b"a;b =1", None),
    ],
)
def test_parameters(raw: bytes, parsed: object) -> None:
    assert split_parameters(raw) == parsed


@given(
    st.binary(max_size=60).map(lambda raw: raw.replace(b"\x00", b'"').replace(b"\x01", b"\\").replace(b"\x02", b","))
)
def test_any_octets(raw: bytes) -> None:
    elements = split_list(raw)
    assert b"".join(elements).replace(b",", b"").strip() in raw.replace(b",", b"") or len(elements) > 1
    split_parameters(raw)
