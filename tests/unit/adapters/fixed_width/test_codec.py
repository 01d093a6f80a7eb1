"""Single fields against vectors that were worked out by hand from IBM's manuals, and what happens to bytes and values that do not fit."""

import io
import struct
from decimal import Context, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.fixed_width.codec.codepages import code_page
from adapters.fixed_width.codec.edited import edited_picture
from adapters.fixed_width.codec.floats import read_ibm, write_ibm
from adapters.fixed_width.codec.jsontext import dumps, loads
from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.copybook import parse_copybook
from adapters.fixed_width.copybook.picture import parse_picture
from adapters.fixed_width.errors import CopybookError, RecordError
from adapters.fixed_width.options import Options, parse_record_format, parse_select

D = Decimal


def codec(clauses: str, **options: Any) -> RecordCodec:
    """A record with the one field A."""
    made = Options(**options)
    return RecordCodec(parse_copybook(f"01 R.\n 05 A {clauses}.", dialect=made.dialect, form="free"), made)


def record(source: str, **options: Any) -> RecordCodec:
    made = Options(**options)
    return RecordCodec(parse_copybook(source, dialect=made.dialect, form="free"), made)


BOTH_WAYS = [
    # clauses, options, bytes, value: read and written
    ("PIC 9(3)", {}, "f0f4f2", 42), ("PIC S9(3)", {}, "f0f4c2", 42), ("PIC S9(3)", {}, "f0f4d2", -42), ("PIC S9(3)", {}, "f0f0c0", 0),
    ("PIC S9", {}, "d7", -7), ("PIC S9 LEADING", {}, "d7", -7), ("PIC S9(3) SIGN LEADING", {}, "d0f4f2", -42), ("PIC S9(3) SIGN LEADING", {}, "c1f4f2", 142),
    ("PIC S9(3) SIGN LEADING SEPARATE", {}, "60f0f4f2", -42), ("PIC S9(3) SIGN TRAILING SEPARATE", {}, "f0f4f24e", 42),
    ("PIC S9(3)V99", {}, "f1f2f3f4d5", D("-123.45")), ("PIC 9(2)PP", {}, "f1f2", 1200), ("PIC VPP99", {}, "f1f2", D("0.0012")),
    ("PIC 9(16)", {}, "f0" * 15 + "f7", "7"), ("PIC S9(14)V99", {}, "f0" * 15 + "d7", "-0.07"), ("PIC S9(13)V99", {}, "f0" * 14 + "d7", D("-0.07")),
    ("PIC 9(4) BLANK WHEN ZERO", {}, "40404040", 0), ("PIC 9(4) BLANK WHEN ZERO", {}, "f0f0f0f1", 1),
    ("PIC 9(3)", {"codepage": "ascii"}, "303432", 42), ("PIC S9(3)", {"codepage": "ascii"}, "30347d".replace("7d", "4b"), -42),
    ("PIC S9(3)", {"codepage": "ascii"}, "303442", 42), ("PIC S9(3)", {"codepage": "ascii"}, "30347d", -40), ("PIC S9(3)", {"codepage": "ascii"}, "30347b", 40),
    ("PIC S9(3)", {"codepage": "ascii", "dialect": "gnucobol"}, "303472", -42), ("PIC S9(3)", {"codepage": "ascii", "dialect": "gnucobol"}, "303432", 42),
    ("PIC S9(3)", {"codepage": "cp273"}, "f0f4d2", -42), ("PIC S9(3)", {"codepage": "cp939"}, "f0f4d2", -42),
    ("PIC S9(5) COMP-3", {}, "12345c", 12345), ("PIC S9(5) COMP-3", {}, "12345d", -12345), ("PIC 9(5) COMP-3", {}, "12345f", 12345),
    ("PIC S9(4) COMP-3", {}, "01234d", -1234), ("PIC S9(3)V99 COMP-3", {}, "15884d", D("-158.84")), ("PIC SVPP9(3) COMP-3", {}, "123c", None),
    ("PIC 9(5) COMP-6", {"dialect": "gnucobol"}, "012345", 12345), ("PIC 9(4) COMP-6", {"dialect": "gnucobol"}, "1234", 1234),
    ("PIC S9(4) COMP", {}, "ffd6", -42), ("PIC 9(4) COMP", {}, "270f", 9999), ("PIC S9(9) COMP", {}, "c4653601", -999999999), ("PIC 9(9) COMP", {}, "3b9ac9ff", 999999999),
    ("PIC S9(18) COMP", {}, "fffffffffffffffe", "-2"), ("PIC S9(4)V99 COMP", {}, "ffffff85", D("-1.23")),
    ("PIC S9(4) COMP-5", {}, "7fff", 32767), ("PIC 9(4) COMP-5", {}, "ffff", 65535), ("PIC S9(4) COMP", {"trunc": "bin"}, "8000", -32768),
    ("PIC S9(4) COMP-5", {"dialect": "gnucobol"}, "d6ff", -42), ("PIC 9(9) COMP-5", {"dialect": "microfocus"}, "2a000000", 42),
    ("PIC S9(6) COMP", {"dialect": "microfocus"}, "ffffd6", -42), ("PIC 9(2) COMP", {"dialect": "gnucobol"}, "2a", 42),
    ("COMP-1", {}, "c276a000", D("-118.625")), ("COMP-1", {}, "00000000", 0), ("COMP-1", {}, "41100000", 1), ("COMP-1", {}, "4019999a", D("0.1")),
    ("COMP-2", {}, "4110000000000000", 1), ("COMP-2", {}, "c276a00000000000", D("-118.625")), ("COMP-2", {}, "401999999999999a", D("0.1")),
    ("COMP-1", {"float": "ieee"}, "c2ed4000", -118.625), ("COMP-1", {"float": "ieee"}, "3dcccccd", 0.1), ("COMP-2", {"float": "ieee"}, "3fb999999999999a", 0.1),
    ("COMP-2", {"float": "ieee", "dialect": "gnucobol"}, "9a9999999999b93f", 0.1),
    ("PIC X(4)", {}, "c1c24040", "AB"), ("PIC X(4) JUST RIGHT", {}, "4040c1c2", "AB"), ("PIC X(4)", {"pad": "low-values"}, "c1c20000", "AB"), ("PIC X(3)", {}, "c10040", "A\0"),
    ("PIC X(4)", {"trim": "none"}, "c1c24040", "AB  "), ("PIC X(2)", {"codepage": "utf-8"}, "c3a9", "é"), ("PIC X(3)", {"codepage": "utf-8"}, "c3a920", "é"),
    ("PIC X(6)", {"codepage": "cp939"}, "0e4f580f4040", "漢"), ("PIC G(2) DISPLAY-1", {"codepage": "cp939"}, "4f584040", "漢"), ("PIC N(2)", {}, "6f220020", "漢"),
    ("PIC 9(2) NATIONAL", {}, "00340032", 42), ("PIC S9(2) NATIONAL SIGN LEADING SEPARATE", {}, "002d00340032", -42),
    ("PIC Z9.9-", {}, "40f14bf560", D("-1.5")), ("PIC Z9.9-", {"edited": "text"}, "40f14bf560", " 1.5-"),
    ("PIC 9(3)", {"blanks": "null"}, "404040", None), ("PIC S9(3) COMP-3", {"blanks": "null"}, "4040", None), ("PIC 9(3)", {"low_values": "null"}, "000000", None),
    ("PIC X(3)", {"low_values": "null"}, "000000", None), ("PIC 9(2)", {"numbers": "string"}, "f4f2", "42"), ("PIC 9(2)V9(14)", {"numbers": "number"}, "f0f1" + "f0" * 14, D("1." + "0" * 14)),
    ("PIC X(2) VALUE 'OP'. 88 IS-OPEN VALUE 'OP'. 88 IS-DONE VALUE 'DN'", {"conditions": "name"}, "c4d5", "is_done"),
    ("PIC 9. 88 IS-ONE VALUE 1. 88 MANY VALUE 2 THRU 9", {"conditions": "name"}, "f1", "is_one"), ("PIC 9. 88 IS-ONE VALUE 1. 88 MANY VALUE 2 THRU 9", {"conditions": "name"}, "f2", 2),
]  # fmt: skip


@pytest.mark.parametrize(
    ("clauses", "options", "raw", "value"), [case for case in BOTH_WAYS if case[0] != "PIC SVPP9(3) COMP-3"]
)
def test_one_field_both_ways(clauses: str, options: dict[str, Any], raw: str, value: Any) -> None:
    made = codec(clauses, **options)
    assert made.decode(bytes.fromhex(raw)) == {"a": value}
    assert made.encode({"a": value}).hex() == raw
    assert loads(dumps(made.decode(bytes.fromhex(raw))))["a"] == (
        value if not isinstance(value, float) else D(repr(value))
    )


@pytest.mark.parametrize(
    ("clauses", "options", "raw", "value"),
    [
        # valid, but not what would be written
        ("PIC S9(3)", {}, "f0f4a2", 42), ("PIC S9(3)", {}, "f0f4e2", 42), ("PIC S9(3)", {}, "f0f4f2", 42), ("PIC S9(3)", {}, "f0f4b2", -42), ("PIC S9(3)", {}, "f0f0d0", 0),
        ("PIC S9(3) COMP-3", {}, "042a", 42), ("PIC S9(3) COMP-3", {}, "042b", -42), ("PIC S9(3) COMP-3", {}, "042e", 42), ("PIC S9(3) COMP-3", {}, "042f", 42),
        ("PIC 9(3) COMP-3", {}, "042c", 42), ("COMP-1", {}, "42010000", 1), ("PIC S9(3)", {"codepage": "ascii", "dialect": "gnucobol"}, "30344b", -42),
        ("PIC 9(3)", {"blanks": "zero"}, "404040", 0), ("PIC 9(3)", {"low_values": "blank", "blanks": "zero"}, "000000", 0), ("PIC X(3)", {"low_values": "blank"}, "c10000", "A"),
        ("PIC X(4)", {"trim": "both"}, "40c14040", "A"), ("PIC 9(3)", {"lenient": True}, "c1c2c3", None), ("PIC X(2)", {"codepage": "ascii", "lenient": True}, "41ff", "A\ufffd"),
        ("PIC S9(4) COMP", {"lenient": True}, "7fff", 32767),
    ],
)  # fmt: skip
def test_other_bytes_that_are_read(clauses: str, options: dict[str, Any], raw: str, value: Any) -> None:
    assert codec(clauses, **options).decode(bytes.fromhex(raw)) == {"a": value}


@pytest.mark.parametrize(
    ("clauses", "options", "raw"),
    [
        ("PIC 9(3)", {}, "f0f4c2"), ("PIC 9(3)", {}, "404040"), ("PIC 9(3)", {}, "f0faf0"), ("PIC S9(3)", {}, "f0c2f2"), ("PIC S9(3)", {}, "f0f40c"), ("PIC S9(3)", {}, "f0f442"),
        ("PIC S9(3) LEADING SEPARATE", {}, "f0f0f0f0"), ("PIC S9(3) COMP-3", {}, "0042"), ("PIC S9(3) COMP-3", {}, "04ac"), ("PIC 9(3) COMP-3", {}, "042d"), ("PIC S9(2) COMP-3", {}, "142c"),
        ("PIC 9(3) COMP-6", {"dialect": "gnucobol"}, "1234"), ("PIC 9(3) COMP-6", {"dialect": "gnucobol"}, "01a4"), ("PIC S9(4) COMP", {}, "7fff"), ("PIC 9(9) COMP", {}, "ffffffff"),
        ("COMP-1", {"float": "ieee"}, "7f800000"), ("COMP-2", {"float": "ieee"}, "7ff8000000000000"), ("PIC X(2)", {"codepage": "ascii"}, "41ff"), ("PIC X(2)", {"codepage": "utf-8"}, "41c3"),
        ("PIC X(4)", {"codepage": "cp939"}, "0e4f5840"), ("PIC G(1) DISPLAY-1", {"codepage": "cp939"}, "4141".replace("4141", "ffff")), ("PIC N(1)", {}, "d800"),
        ("PIC 9(2) NATIONAL", {}, "00340040"), ("PIC ZZ9", {}, "f0f0f1"), ("PIC ZZ9", {}, "404040"), ("PIC 9(3)", {"codepage": "ascii"}, "2b3432"), ("PIC 9(3)", {"codepage": "ascii"}, "345f32"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_value(clauses: str, options: dict[str, Any], raw: str) -> None:
    with pytest.raises(RecordError) as caught:
        codec(clauses, **options).decode(bytes.fromhex(raw))
    assert (caught.value.field, caught.value.offset, caught.value.raw) == ("R.A", 0, bytes.fromhex(raw))


@pytest.mark.parametrize(
    ("clauses", "options", "value", "reason"),
    [
        ("PIC 9(3)", {}, 1000, "more than 3 digits"), ("PIC 9(3)", {}, -1, "no sign"), ("PIC 9(3)", {}, D("1.5"), "whole number"), ("PIC 9(3)", {}, "1_0", "not this text"),
        ("PIC 9(3)", {}, "١٢", "not this text"), ("PIC 9(3)", {}, " 1", "not this text"), ("PIC 9(3)", {}, "NaN", "not this text"), ("PIC 9(3)", {}, None, "null"), ("PIC 9(3)", {}, [], "an array"),
        ("PIC 9(3)", {}, 1.0, "binary float"), ("PIC 9(3)V9", {}, D("0.05"), "more than 1 decimal places"), ("PIC 9(3)PP", {}, 150, "multiple"), ("PIC S9(3) COMP-3", {}, -1000, "more than 3"),
        ("PIC S9(4) COMP", {}, 10000, "more than 4"), ("PIC S9(4) COMP-5", {}, 32768, "more than"), ("PIC 9(4) COMP-5", {}, 65536, "more than"), ("PIC ZZ9", {}, -5, "no sign"), ("PIC ZZ9", {}, 1000, "more than 3"),
        ("COMP-1", {}, D("1e80"), "does not fit|range"), ("COMP-1", {"float": "ieee"}, D("1e39"), "does not fit|range"), ("COMP-2", {}, "x", "not this text"),
        ("PIC X(2)", {}, "ABC", "more than 2 characters"), ("PIC X(2)", {}, 5, "a string is expected"), ("PIC X(2)", {}, "漢", "code page"), ("PIC X(3)", {"codepage": "utf-8"}, "éé", "more than 3 bytes"),
        ("PIC X(2)", {"codepage": "ascii"}, "\ud800", "code page"), ("PIC N(1)", {}, "\ud800", "code page"), ("PIC G(1) DISPLAY-1", {"codepage": "cp939"}, "A", "code page"), ("PIC N(1)", {}, "𠀀", "more than 1 characters"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(clauses: str, options: dict[str, Any], value: Any, reason: str) -> None:
    with pytest.raises(RecordError, match=reason) as caught:
        codec(clauses, **options).encode({"a": value})
    assert (caught.value.field, caught.value.offset, caught.value.pointer) == ("R.A", 0, "/a")


@pytest.mark.parametrize(
    "text", ["1." + "0" * 300 + "1", "0." + "0" * 90 + "1", "1e99", "1e-99", "9" * 300, "1e999999999", "1e-999999999"]
)
def test_numbers_of_any_length_are_never_rounded(text: str) -> None:
    made = codec("PIC 9(3)V99")
    for value in (D(text), loads(text.encode())):
        with pytest.raises(RecordError) as caught:
            made.encode({"a": value})
        assert caught.value.pointer == "/a"


def test_lenient_writing_cuts_as_move_does() -> None:
    made = record("01 R. 05 A PIC X(3). 05 B PIC 9(2). 05 C PIC S9V9 COMP-3. 05 D PIC X(2).", lenient=True)
    assert (
        made.encode({"a": "ABCDEF", "b": 1234, "c": D("-12.34"), "d": "漢", "x": 1}).hex()
        == "c1c2c3" + "f3f4" + "023d" + "6f40"
    )
    assert made.encode({}).hex() == "404040" + "f0f0" + "000c" + "4040"


@pytest.mark.parametrize(
    "name", ["cp037", "cp500", "cp273", "cp1026", "cp1047", *(f"cp{page}" for page in range(1140, 1150))]
)
def test_every_byte_of_a_page_goes_out_and_back(name: str) -> None:
    made = codec("PIC X(256)", codepage=name, trim="none")
    raw = bytes(range(256))
    assert made.encode(made.decode(raw)) == raw
    assert len(set(made.decode(raw)["a"])) == 256


@pytest.mark.parametrize("name", ["cp930", "cp939"])
def test_every_character_of_a_mixed_page_goes_out_and_back(name: str) -> None:
    page = code_page(name)
    assert page.read_dbcs
    assert page.write_dbcs
    codes = [bytes((lead, trail)) for lead in range(0x41, 0xFF) for trail in range(0x41, 0xFF)]
    read = {}
    for code in codes:
        try:
            read[code] = page.read_dbcs(code)
        except UnicodeDecodeError:
            continue
    assert len(read) > 7000
    assert page.write_dbcs("".join(read.values())) == b"".join(read)
    assert page.decode(page.encode("A漢字ｱB")) == "A漢字ｱB"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cp99", "unknown code page"),
        ("utf-16", "digit"),
        ("base64", "not a character"),
        ("rot13", "not a character|no digits"),
    ],
)
def test_pages_that_cannot_be_used(name: str, message: str) -> None:
    with pytest.raises((LookupError, ValueError), match=message):
        codec("PIC X", codepage=name)


EDITED = [
    ("ZZ,ZZ9.99-", -123456, " 1,234.56-"), ("ZZ,ZZ9.99-", 1, "     0.01 "), ("$$,$$9.99", 123456, "$1,234.56"), ("$$,$$9.99", 5, "    $0.05"),
    ("+++9", -12, " -12"), ("+++9", 5, "  +5"), ("***,**9.99", 1234, "*****12.34"), ("-9(4)", -12, "-0012"), ("9(4)CR", -12, "0012CR"), ("9(4)DB", 12, "0012  "),
    ("Z(4)", 0, "    "), ("****", 0, "****"), ("**.**", 0, "**.**"), ("ZZ.ZZ", 0, "     "), ("ZZ.ZZ", 5, "  .05"), ("99/99/9999", 12252024, "12/25/2024"),
    ("$ZZ9.99", 1234, "$ 12.34"), ("9(3)B9(3)", 123456, "123 456"), ("+ZZ9", -5, "-  5"), ("ZZ9+", 5, "  5+"), ("$$$.$$", 0, "      "), ("$$$.$$", 5, "  $.05"),
    ("--,---.99", -12345, "  -123.45"), ("ZZZV99", 12345, "12345"), ("$**9.99CR", -123, "$**1.23CR"), ("00999", 123, "00123"), ("Z,ZZZ,ZZ9", 12, "       12"), ("-$$$9", -4, "-  $4"),
]  # fmt: skip


@pytest.mark.parametrize(("picture", "value", "text"), EDITED)
def test_edited_pictures(picture: str, value: int, text: str) -> None:
    found = parse_picture(picture)
    compiled = edited_picture(found.symbols)
    assert (compiled.edit(value), compiled.read(text), compiled.size, found.size) == (text, value, len(text), len(text))


@given(st.sampled_from(EDITED), st.integers(-(10**9), 10**9))
def test_whatever_is_edited_is_read_back(case: tuple[str, int, str], value: int) -> None:
    found = parse_picture(case[0])
    value %= 10**found.digits
    value = -value if found.signed and value % 2 else value
    compiled = edited_picture(found.symbols)
    assert compiled.read(compiled.edit(value)) == value


@given(
    st.sampled_from([4, 8]),
    st.integers(0, 1),
    st.integers(0, 127),
    st.integers(1, 15),
    st.binary(min_size=7, max_size=7) | st.sampled_from([bytes(7), bytes(6) + b"\1", b"\xff" * 7]),
)
def test_hexadecimal_floats_read_back(size: int, sign: int, characteristic: int, first: int, rest: bytes) -> None:
    raw = bytes([sign << 7 | characteristic, first << 4 | rest[0] & 15]) + rest[1 : size - 1]
    shortest = read_ibm(raw)
    assert write_ibm(shortest, size) == raw
    digits = len(shortest.normalize().as_tuple().digits)
    assert digits <= (9 if size == 4 else 18)
    if (
        digits > (6 if size == 4 else 15) and raw[1:].strip(b"\0") != b"\x10"
    ):  # below a power of 16 neighbours are nearer
        assert write_ibm(Context(prec=digits - 1).plus(shortest), size) != raw


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_short_ieee_floats_have_short_digits(value: float) -> None:
    made = codec("COMP-1", float="ieee")
    raw = struct.pack(">f", value)
    assert made.encode(made.decode(raw)) == raw
    assert len(repr(abs(made.decode(raw)["a"])).replace(".", "").split("e")[0].strip("0")) <= 9


def test_tables_that_do_not_slide() -> None:
    source = "01 R. 05 N PIC 9. 05 T PIC X OCCURS 0 TO 3 DEPENDING ON N. 05 Z PIC X."
    value = {"n": 1, "t": ["A"], "z": "Z"}
    assert record(source, record_format=parse_record_format("rdw")).encode(value).decode("cp037") == "1AZ"
    still = record(source, record_format=parse_record_format("rdw"), dialect="gnucobol", codepage="ascii")
    assert (still.encode(value), still.decode(b"1A  Z")) == (b"1A  Z", value)
    assert record(source).encode(value).decode("cp037") == "1AZ  "
    assert record(source).decode("1AZ??".encode("cp037")) == value


def test_alternatives() -> None:
    source = (
        "01 R. 05 K PIC X. 05 A PIC 9(3). 05 B REDEFINES A PIC X(2). 05 FILLER REDEFINES A. 10 C PIC X. 10 D PIC X(2)."
    )
    assert record(source).decode("1042".encode("cp037")) == {"k": "1", "a": 42}
    every = record(source, redefines="all")
    assert every.decode("1042".encode("cp037")) == {"k": "1", "a": 42, "b": "04", "c": "0", "d": "42"}
    assert every.decode("1XYZ".encode("cp037")) == {"k": "1", "b": "XY", "c": "X", "d": "YZ"}
    assert every.encode({"k": "1", "c": "X", "d": "YZ"}).decode("cp037") == "1XYZ"
    chosen = record(source, select=tuple(map(parse_select, ("K=1:A", "K=2:B", "K=*:D"))))
    assert [chosen.decode(f"{text}".encode("cp037")) for text in ("1042", "204?", "3XYZ")] == [
        {"k": "1", "a": 42},
        {"k": "2", "b": "04"},
        {"k": "3", "c": "X", "d": "YZ"},
    ]
    assert chosen.encode({"k": "2", "b": "04"}).decode("cp037") == "204 "
    for value, reason in (
        ({"k": "2", "a": 1, "b": "0"}, "another alternative"),
        ({"k": "2"}, "missing"),
        ({"k": "1", "b": "A"}, "another alternative|missing"),
    ):
        with pytest.raises(RecordError, match=reason):
            chosen.encode(value)
    strict = record(source, select=(parse_select("K=1:A"),))
    for act in (lambda: strict.decode("9042".encode("cp037")), lambda: strict.encode({"k": "9", "a": 42})):
        with pytest.raises(RecordError, match="no alternative is selected"):
            act()


NESTED = "01 R. 05 K PIC X. 05 A. 10 L PIC X. 10 M PIC XX. 10 N REDEFINES M PIC 99. 05 Z REDEFINES A PIC X(3)."
NESTED_SELECT = (("K", "a", "A"), ("K", "z", "Z"), ("L", "n", "N"), ("L", "m", "M"))


@pytest.mark.parametrize(
    ("source", "select", "value", "raw"),
    [
        (NESTED, NESTED_SELECT, {"k": "a", "a": {"l": "n", "n": 12}}, "an12"),
        (NESTED, NESTED_SELECT, {"k": "z", "z": "q12"}, "zq12"),
        (
            "01 R. 05 A PIC X(2). 05 B REDEFINES A PIC 99. 05 T PIC 9.",
            (("T", "1", "B"), ("T", "2", "A")),
            {"b": 12, "t": 1},
            "121",
        ),
        (
            "01 R. 05 T PIC 9. 05 G OCCURS 2. 10 A PIC X. 10 B REDEFINES A PIC 9.",
            (("T", "1", "B"),),
            {"t": 1, "g": [{"b": 1}, {"b": 2}]},
            "112",
        ),
        (
            "01 R. 05 K PIC S9. 88 IS-A VALUE -5. 05 A PIC X. 05 B REDEFINES A PIC 9.",
            (("K", "IS-A", "B"), ("K", "*", "A")),
            {"k": -5, "b": 1},
            "N1",
        ),
        ("01 R PIC X(3).", (), "ab", "ab "),
        ("01 R. 05 FILLER PIC X(4) VALUE '{\"\\}'. 05 B PIC X(2).", (), {"b": "{}"}, '{"\\}{}'),
    ],
)
def test_alternatives_wherever_they_stand(source: str, select: Any, value: Any, raw: str) -> None:
    made = record(source, select=select)
    assert made.encode(value).decode("cp037") == raw
    assert made.decode(raw.encode("cp037")) == value


def test_record_types_in_one_stream() -> None:
    source = (
        "01 HEAD-REC. 05 REC-TYPE PIC X. 05 RUN-DATE PIC 9(8). 01 DETAIL-REC. 05 REC-TYPE PIC X. 05 AMOUNT PIC 9(4)V99."
    )
    made = record(
        source,
        select=tuple(map(parse_select, ("REC-TYPE=H:HEAD-REC", "REC-TYPE=D:DETAIL-REC"))),
        record_format=parse_record_format("rdw"),
    )
    values = [
        {"head_rec": {"rec_type": "H", "run_date": 20260101}},
        {"detail_rec": {"rec_type": "D", "amount": D("12.34")}},
    ]
    raw = b"".join(made.write(values))
    assert raw[:4].hex() + raw[13:17].hex() == "000d0000" + "000b0000"
    assert list(made.read(io.BytesIO(raw))) == values
    with pytest.raises(RecordError, match="no record type"):
        made.decode("X20260101".encode("cp037"))
    with pytest.raises(RecordError, match="one member is expected: head_rec, detail_rec"):
        made.encode({"rec_type": "H"})
    assert record(source, record="detail-rec").decode("D001234".encode("cp037")) == {
        "rec_type": "D",
        "amount": D("12.34"),
    }


def test_counts_left_out_are_the_length_of_their_table() -> None:
    made = record(
        "01 R. 05 H. 10 N PIC 9. 05 B. 10 T PIC X OCCURS 0 TO 3 DEPENDING ON N.",
        record_format=parse_record_format("odo"),
    )
    assert made.encode({"h": {}, "b": {"t": ["A", "B"]}}).decode("cp037") == "2AB"
    with pytest.raises(RecordError, match="not what N says"):
        made.encode({"h": {"n": 1}, "b": {"t": ["A", "B"]}})
    with pytest.raises(RecordError, match="0 to 3 items"):
        made.encode({"h": {}, "b": {"t": list("ABCD")}})
    with pytest.raises(RecordError, match="between 0 and 3"):
        made.decode("9AB".encode("cp037"))


def test_counts_inside_of_alternatives() -> None:
    source = "01 R. 05 K PIC X. 05 A PIC X(2). 05 B REDEFINES A. 10 N PIC 9. 10 O PIC X. 05 T PIC X OCCURS 0 TO 3 DEPENDING ON N."
    form = parse_record_format("rdw")
    first = record(source, record_format=form)
    assert first.decode("k2xab".encode("cp037")) == {"k": "k", "a": "2x", "t": ["a", "b"]}
    assert first.encode({"k": "k", "a": "2x", "t": ["a", "b"]}).decode("cp037") == "k2xab"
    with pytest.raises(RecordError, match="not what N says") as caught:
        first.encode({"k": "k", "a": "1x", "t": ["a", "b"]})
    assert caught.value.pointer == "/t"
    chosen = record(source, record_format=form, select=(parse_select("K=a:A"), parse_select("K=b:B")))
    for value, raw in (
        ({"k": "a", "a": "1", "t": ["x"]}, "a1 x"),
        ({"k": "b", "b": {"n": 2, "o": "?"}, "t": ["x", "y"]}, "b2?xy"),
    ):
        assert chosen.decode(raw.encode("cp037")) == value
        assert chosen.encode(value).decode("cp037") == raw
    with pytest.raises(RecordError, match="digits are expected"):
        chosen.encode({"k": "a", "a": "x", "t": []})


def test_tables_that_are_left_out_or_have_no_name() -> None:
    source = "01 R. 05 N PIC 9. 05 T OCCURS 1 TO 3 DEPENDING ON N. 10 A PIC 9. 05 M PIC 9. 05 FILLER PIC X OCCURS 0 TO 2 DEPENDING ON M. 05 Z PIC X."
    made = record(source, missing="initial", record_format=parse_record_format("rdw"))
    assert made.encode({"z": "Z"}).decode("cp037") == "100Z"
    value = {"n": 2, "t": [{"a": 1}, {"a": 2}], "m": 1, "filler_1": ["x"], "z": "Z"}
    assert made.encode(value).decode("cp037") == "2121xZ"
    assert made.decode("2121xZ".encode("cp037")) == value


def test_values_and_fillers() -> None:
    source = "01 R. 05 A PIC X(3) VALUE 'abc'. 05 FILLER PIC X(2) VALUE ALL '*'. 05 FILLER PIC 9(2) COMP-3. 05 B PIC 9(2) VALUE 7. 05 FILLER. 10 C PIC X. 10 FILLER PIC X VALUE HIGH-VALUES."
    made = record(source)
    assert made.encode({"c": "x"}).hex() == "818283" + "5c5c" + "000f" + "f0f7" + "a7" + "ff"
    with pytest.raises(RecordError, match="missing"):
        made.encode({})
    assert record(source, missing="initial").encode({}).hex() == "818283" + "5c5c" + "000f" + "f0f7" + "40" + "ff"


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("01 R. 05 A-B PIC X. 05 A_B PIC X.", {}, "would be named a_b"),
        ("01 R. 05 FILLER PIC X.", {}, "nothing in it but FILLER"),
        ("01 R. 05 A PIC G(2) DISPLAY-1.", {}, "double-byte items need"),
        ("01 R. 05 A PIC X. 05 B REDEFINES A PIC X. 05 K PIC X. 05 J PIC X.", {"select": (("K", "1", "A"), ("J", "1", "B"))}, "by one field"),
        ("01 R. 05 A PIC X. 05 B REDEFINES A PIC 9. 05 H. 10 T PIC 9.", {"select": (("T", "1", "B"),)}, "must stand before"),
        ("01 R. 05 A PIC X.", {"record_format": parse_record_format("length:A")}, "must be an integer"),
        ("01 R. 05 N PIC 9. 05 T PIC X OCCURS 3 DEPENDING ON N. 05 L PIC 9.", {"record_format": parse_record_format("length:L")}, "depends on a table"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_with_the_layout(source: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(CopybookError, match=message):
        record(source, **options)


def test_values_that_the_code_page_has_no_characters_for() -> None:
    source = "05 FILLER PIC XX VALUE HIGH-VALUES. 05 FILLER PIC XX VALUE X'81'. 05 A PIC X VALUE X'81'. 88 END-OF VALUE HIGH-VALUES. 88 ON-GOING VALUE 'Y'."
    text = record(f"01 R. {source}", codepage="ascii", conditions="name")
    assert text.encode({"a": "on_going"}) == b"\xff\xff\x81 Y"
    with pytest.raises(RecordError, match="missing"):
        text.encode({})
    with pytest.raises(RecordError, match="missing"):
        record(f"01 R. {source}", codepage="ascii", missing="initial").encode({})


def test_high_values_of_national_items_are_characters() -> None:
    """Language Reference, "Figurative constants": HIGH-VALUE is NX'FFFF' there."""
    assert record("01 R. 05 A PIC N(2) VALUE HIGH-VALUES.").encode({}) == b"\xff\xff\xff\xff"


def test_a_filler_group_is_written_as_its_value() -> None:
    group = record("01 R. 05 FILLER VALUE 'AB-'. 10 FILLER PIC X. 10 FILLER PIC X(3). 05 A PIC X.", codepage="ascii")
    assert group.encode({"a": "x"}) == b"AB- x"
    assert group.decode(b"AB- x") == {"a": "x"}


@pytest.mark.parametrize(
    ("value", "raw"),
    [("ALL '-*'", b"-*-*-"), ("X'0102'", b"\x01\x02   "), ("QUOTES", b'"' * 5), ("ZEROS", b"00000"), ("'A'", b"A    ")],
)
def test_the_forms_of_a_groups_value(value: str, raw: bytes) -> None:
    group = record(f"01 R. 05 FILLER VALUE {value}. 10 FILLER PIC X(5). 05 A PIC X.", codepage="ascii")
    assert group.encode({"a": "x"}) == raw + b"x"


def test_a_groups_value_that_the_code_page_lacks() -> None:
    with pytest.raises(CopybookError, match="1:7: VALUE: a character"):
        record("01 R. 05 FILLER VALUE 'é'. 10 FILLER PIC X(5). 05 A PIC X.", codepage="ascii").encode({"a": "x"})


@pytest.mark.parametrize(("value", "raw"), [("'$ 1.50'", b"$ 1.50"), ("1.5", b"$ 1.50"), ("'2'", b"$ 2.00")])
def test_edited_items_take_their_value_as_it_is_edited(value: str, raw: bytes) -> None:
    assert record(f"01 R. 05 A PIC $Z9.99 VALUE {value}.", codepage="ascii").encode({}) == raw


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        ("PIC X. 88 FIRST VALUES 'P' 'Q'.", (b"P", b"Q")),
        ("PIC 9. 88 FIRST VALUE 1 THRU 3, 7.", (b"1", b"2", b"3", b"7")),
    ],
)
def test_select_takes_a_condition_of_several_values(field: str, raw: tuple[bytes, ...]) -> None:
    select = (parse_select("T=FIRST:A"), parse_select("T=*:B"))
    chosen = record(f"01 R. 05 T {field} 05 A PIC X. 05 B REDEFINES A PIC 9.", select=select, codepage="ascii")
    for value in raw:
        read = chosen.decode(value + b"1")
        assert read["a"] == "1"
        assert chosen.encode(read) == value + b"1"
    assert chosen.decode(b"91")["b"] == 1


@pytest.mark.parametrize(
    ("field", "message"),
    [("PIC X. 88 FIRST VALUE 'A' THRU 'C'.", "is a range"), ("PIC X. 88 FIRST VALUE X'81'.", "is no value of R.T")],
)
def test_select_refuses_a_condition_that_it_cannot_compare(field: str, message: str) -> None:
    select = (parse_select("T=FIRST:A"), parse_select("T=*:B"))
    with pytest.raises(CopybookError, match=message):
        record(f"01 R. 05 T {field} 05 A PIC X. 05 B REDEFINES A PIC 9.", select=select, codepage="ascii").decode(b"A1")
