"""JSON as both adapters read it: exactly, and refused where readers differ."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.http.exact_json import BadJson, json_reader, load_json


def test_no_digit_is_lost() -> None:
    assert load_json(b"[0.10, 1e2, 123456789012345678901234567890]") == [
        Decimal("0.10"),
        Decimal("1E+2"),
        123456789012345678901234567890,
    ]
    assert json_reader(str.encode)(b' {"a": 0.10} ') == {"a": b"0.10"}


@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_an_empty_body_is_an_empty_object(body: bytes) -> None:
    assert load_json(body) == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"), (b"{} {}", "not JSON"), (b"\xff", "not UTF-8"), (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a": 1, "a": 1}', "twice"), (b'[{"b": {"a": 1, "a": 2}}]', "twice"), (b"[NaN]", "NaN"), (b"-Infinity", "NaN"),
        (b"[" * 100_000, "nested"), (b"1" * 5000, "digits"), (b"1e" + b"9" * 20, "out of all range"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said_without_repeating_it(body: bytes, said: str) -> None:
    with pytest.raises(BadJson, match=said):
        load_json(body)
