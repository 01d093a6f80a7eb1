"""Plain layouts: YAML in, records both ways, and what is refused where."""

from decimal import Decimal

import pytest

from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.errors import CopybookError, RecordError
from adapters.fixed_width.options import Options
from adapters.fixed_width.plain import parse_layout
from adapters.fixed_width.reading import with_layout

LAYOUT = """
record: PAYMENT
codepage: ascii
record_format: "delimiter:\\\\n"
length: 90
fields:
  - {name: account, length: 10, type: integer}
  - {name: holderName, length: 10, pad: "."}
  - {name: amount, length: 9, type: decimal, scale: 2}
  - {name: due, start: 32, length: 8, type: date, format: "%d%m%Y"}
  - {name: balance, length: 10, type: decimal, scale: 2, point: true, pad: " "}
  - {name: stamp, length: 14, type: date, format: "%Y%m%d%H%M%S"}
  - {name: code, length: 4, align: right}
  - name: lines
    occurs: 2
    fields: [{name: sku, length: 3}, {name: quantity, length: 2, type: zoned}]
"""
VALUE = {
    "account": 42, "holderName": "Ada", "amount": Decimal("-1.23"), "due": "2026-01-31", "balance": Decimal("-12.50"), "stamp": "2026-01-31T23:59:00",
    "code": "A1", "lines": [{"sku": "a", "quantity": 1}, {"sku": "bcd", "quantity": 22}],
}  # fmt: skip
RECORD = b"0000000042Ada.......-00000123  31012026    -12.5020260131235900  A1a  01bcd22".ljust(90)


def codec(text: str = LAYOUT) -> RecordCodec:
    layout = parse_layout(text)
    return RecordCodec(layout, with_layout(Options(), layout))


def test_both_ways() -> None:
    made = codec()
    assert made.decode(RECORD) == VALUE
    assert made.encode(VALUE) == RECORD
    assert made.options.record_format.kind == "delimiter"


@pytest.mark.parametrize(
    ("start", "raw", "field"),
    [(0, b"00000000x2", "account"), (0, b" " * 10, "account"), (31, b"31022026", "due"), (39, b"   12.5   ", "balance"), (39, b"    1250  ", "balance"), (49, b"2026013123590x", "stamp")],
)  # fmt: skip
def test_bytes_that_are_no_value(start: int, raw: bytes, field: str) -> None:
    with pytest.raises(RecordError) as caught:
        codec().decode(RECORD[:start] + raw + RECORD[start + len(raw) :])
    assert (caught.value.field, caught.value.offset) == (f"PAYMENT.{field}", start)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [("due", "31.01.2026", "written YYYY-MM-DD"), ("due", 20260131, "a date is a string"), ("account", 10**10, "digits"), ("account", -(10**9) * 9 - 1, "too many digits"), ("amount", "0.001", "2 decimal places"), ("holderName", "x" * 11, "more than 10")],
)  # fmt: skip
def test_values_that_do_not_fit(name: str, value: object, reason: str) -> None:
    with pytest.raises(RecordError, match=reason) as caught:
        codec().encode(VALUE | {name: value})
    assert caught.value.pointer == f"/{name}"


def test_a_date_that_is_not_there() -> None:
    raw = RECORD[:31] + b" " * 8 + RECORD[39:]
    assert codec().decode(raw)["due"] is None
    assert codec().encode(VALUE | {"due": None}) == raw


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the layout is empty"),
        ("- x", "1:1: a mapping is expected"),
        ("a: b: c", "1:5: not YAML"),
        ("fields: []", "1:9: fields: a list of fields is expected"),
        ("feilds: []", "1:1: unknown key 'feilds'; did you mean 'fields'?"),
        ("record: A\nrecord: B", "2:1: 'record' stands twice"),
        ("record: [A]\nfields: [{name: a, length: 1}]", "1:9: record: text is expected"),
        ("record_format: vb\nfields: [{name: a, length: 1}]", "1:16: record format 'vb'"),
        ("length: 2\nfields: [{name: a, length: 3}]", "1:9: length: the fields need 3"),
        ("fields:\n - {name: a, lenght: 3}", "2:14: unknown key 'lenght'; did you mean 'length'?"),
        ("fields:\n - {name: a, length: 3}\n - {name: b, start: 3, length: 3}", "3:21: b starts at 3, the field before it ends at 3"),
        ("fields:\n - {name: a, length: -3}", "2:22: length: a whole number"),
        ("fields:\n - {name: a}", "2:4: length: a whole number"),
        ("fields:\n - {name: a, length: 3}\n - {name: a, length: 3}", "3:11: a stands twice"),
        ("fields:\n - {name: a, length: 3, type: txt}", "unknown type 'txt'; did you mean 'text'?"),
        ("fields:\n - {name: a, length: 3, scale: 2}", "scale goes with type decimal"),
        ("fields:\n - {name: a, length: 3, pad: ab}", "pad: one character"),
        ("fields:\n - {name: a, length: 3, align: middle}", "align: left or right"),
        ("fields:\n - {name: a, length: 3, type: integer, align: left}", "cannot be padded with zeros"),
        ("fields:\n - {name: a, length: 3, format: '%Y'}", "format goes with type date"),
        ("fields:\n - {name: a, length: 3, point: yes}", "point: true or false"),
        ("fields:\n - {name: a, length: 3, type: binary}", "1, 2, 4 or 8 bytes"),
        ("fields:\n - {name: a, length: 99, type: integer}", "at most 60 digits"),
        ("fields:\n - {name: a, length: 3, fields: [{name: b, length: 1}]}", "length does not go with fields"),
    ],
)  # fmt: skip
def test_layouts_that_make_no_sense(text: str, message: str) -> None:
    with pytest.raises(CopybookError) as caught:
        parse_layout(text)
    assert message in str(caught.value)


def test_packed_and_binary_without_cobol() -> None:
    made = codec(
        "fields:\n - {name: p, length: 3, type: packed, scale: 2}\n - {name: b, length: 2, type: binary, little_endian: true}\n - {name: u, length: 1, type: binary, signed: false}"
    )
    assert made.encode({"p": "-1.23", "b": -2, "u": 255}).hex() == "00123d" + "feff" + "ff"
    assert made.decode(bytes.fromhex("00123dfeffff")) == {"p": Decimal("-1.23"), "b": -2, "u": 255}
