"""Random records, there and back. The bytes come from a second, deliberately plain description of each form in storage."""

import io
from decimal import Context, Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fixed_width.codec.jsontext import dumps, loads
from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.copybook import parse_copybook
from adapters.fixed_width.errors import CopybookError, RecordError
from adapters.fixed_width.model import Item, Kind, Sign
from adapters.fixed_width.options import Options, parse_record_format, parse_select
from adapters.fixed_width.reading import read_layout

COPYBOOKS = Path(__file__).with_name("copybooks")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,-/&"
VARIANTS = tuple(
    map(
        parse_select,
        (
            "REC-TYPE=IS-PERSON:PERSON",
            "REC-TYPE=CO:COMPANY",
            "REC-TYPE=MA:MACHINE",
            "ENTRY-KIND=1:AS-TEXT",
            "ENTRY-KIND=2:AS-NUMBER",
        ),
    )
)
CASES = {
    "order": Options(),
    "numbers": Options(),
    "tables": Options(record_format=parse_record_format("rdw")),
    "variants": Options(select=VARIANTS),
    "aligned": Options(),
    "national": Options(codepage="cp939"),
}


def name_of(item: Item) -> str:
    return item.name.lower().replace("-", "_")


def shown(value: int, item: Item) -> object:
    assert item.picture
    number = Decimal(value).scaleb(-item.picture.scale, Context(prec=60))
    if item.picture.digits > 15:
        return format(number, "f")
    return int(number) if item.picture.scale <= 0 else number


def zone(digits: str, negative: bool, item: Item) -> bytes:
    raw = bytearray(0xF0 + int(digit) for digit in digits)
    match item.sign:
        case Sign.TRAILING:
            raw[-1] += -0x20 if negative else -0x30
        case Sign.LEADING:
            raw[0] += -0x20 if negative else -0x30
        case Sign.LEADING_SEPARATE:
            raw = bytearray([0x60 if negative else 0x4E]) + raw
        case Sign.TRAILING_SEPARATE:
            raw += bytes([0x60 if negative else 0x4E])
    return bytes(raw)


@st.composite
def number(draw, item: Item) -> tuple[object, bytes]:
    picture = item.picture
    assert picture
    limit = 10**picture.digits - 1
    if item.full_range:
        limit = (1 << 8 * item.size - picture.signed) - 1
    value = draw(st.one_of(st.integers(-limit if picture.signed else 0, limit), st.sampled_from([0, limit])))
    digits, negative = f"{abs(value):0{picture.digits}d}", value < 0
    match item.kind:
        case Kind.BINARY:
            raw = value.to_bytes(item.size, "big", signed=picture.signed)
        case Kind.PACKED:
            sign = "f" if not picture.signed else "d" if negative else "c"
            raw = bytes.fromhex(f"{digits}{sign}".rjust(item.size * 2, "0"))
        case Kind.NATIONAL_ZONED:
            raw = (digits + ("-" if negative else "+")).encode("utf-16-be")
        case _:
            raw = b"\x40" * item.size if item.blank_when_zero and not value else zone(digits, negative, item)
    return shown(value, item), raw


EDITED = {  # name: digits to text, written by hand
    "E-PLAIN": lambda n: f"{abs(n) / 100:>9,.2f}" + ("-" if n < 0 else " "),
    "E-FLOAT": lambda n: f"${n / 100:,.2f}".rjust(9),
    "E-STARS": lambda n: f"{abs(n) / 100:*>9,.2f}" + ("CR" if n < 0 else "  "),
    "E-ZERO": lambda n: f"{n:>3}" if n else "   ",
    "E-SLASH": lambda n: f"{n:08}"[:2] + "/" + f"{n:08}"[2:4] + "/" + f"{n:08}"[4:],
}


@st.composite
def edited(draw, item: Item) -> tuple[object, bytes]:
    assert item.picture
    limit = 10**item.picture.digits - 1
    value = draw(st.integers(-limit if item.picture.signed else 0, limit))
    return shown(value, item), EDITED[item.name](value).encode("cp037")


@st.composite
def text(draw, item: Item, page: str) -> tuple[object, bytes]:
    if item.kind is Kind.TEXT and page == "cp939":
        value = draw(st.text("ABC漢字カナab", max_size=4))
        raw, double = b"", False
        for one in value:
            wide = ord(one) > 0x2FFF
            raw += (b"\x0e" if wide else b"\x0f") if wide != double else b""
            double = wide
            raw += (
                wide_bytes(one)
                if wide
                else one.encode("cp1047")
                if not one.islower()
                else {"a": b"\x81", "b": b"\x82"}[one]
            )
        raw += b"\x0f" if double else b""
        return value, raw.ljust(item.size, b"\x40")
    length = item.size if item.kind is Kind.TEXT else item.size // 2
    alphabet = "漢字カナ" if item.kind is Kind.DBCS else LETTERS + ("漢字é" if item.kind is Kind.NATIONAL else " ")
    value = draw(st.text(alphabet, max_size=length))
    value = value.lstrip(" ") if item.justified else value.rstrip(" ")
    padded = value.rjust(length) if item.justified else value.ljust(length)
    if item.kind is Kind.NATIONAL:
        return value, padded.encode("utf-16-be")
    if item.kind is Kind.DBCS:
        return value, b"".join(wide_bytes(one) for one in value).ljust(item.size, b"\x40")
    return value, padded.encode(page)


def wide_bytes(one: str) -> bytes:
    return bytes.fromhex({"漢": "4f58", "字": "48f2", "カ": "4386", "ナ": "4396"}[one])


@st.composite
def item_value(draw, item: Item, page: str, scope: dict[str, object]) -> tuple[object, bytes]:
    """One occurrence: its value and its bytes. `scope` holds what DEPENDING ON and select must see."""
    if item.is_group:
        value: dict[str, object] = {}
        raw = b""
        for child in item.children:
            if child.redefines:
                continue
            alternatives = [child, *(other for other in item.children if other.redefines is child)]
            if len(alternatives) > 1:
                kind = scope["ENTRY-KIND"] if child.name == "AS-TEXT" else scope["REC-TYPE"]
                child_ = alternatives[{"PE": 0, "CO": 1, "MA": 2, 1: 0, 2: 1}[kind]]
                inner, part = draw(item_value(child_, page, scope))
                value[name_of(child_)] = inner
                raw += part.ljust(child.total, b"\x40")
                continue
            raw += bytes(max(0, child.offset - item.offset - len(raw))) if not item.varies else b""
            if not child.name:
                raw += "ZZ".encode(page) if child.value else b"\x40" * child.size
                continue
            inner, part = draw(table_or_item(child, page, scope))
            value[name_of(child)] = inner
            raw += part
        return value, raw
    if item.name in ("LINE-COUNT", "PART-COUNT", "REC-TYPE", "ENTRY-KIND"):
        choices = {
            "LINE-COUNT": range(6),
            "PART-COUNT": range(1, 4),
            "REC-TYPE": ("PE", "CO", "MA"),
            "ENTRY-KIND": (1, 2),
        }
        chosen = draw(st.sampled_from(list(choices[item.name])))
        scope[item.name] = chosen
        if item.name == "PART-COUNT":
            return chosen, chosen.to_bytes(2, "big")
        return chosen, (chosen if isinstance(chosen, str) else f"{chosen:0{item.size}d}").encode(page)
    if item.kind is Kind.EDITED:
        return draw(edited(item))
    if item.kind in (Kind.TEXT, Kind.NATIONAL, Kind.DBCS):
        return draw(text(item, page))
    return draw(number(item))


@st.composite
def table_or_item(draw, item: Item, page: str, scope: dict[str, object]) -> tuple[object, bytes]:
    if not item.occurs:
        return draw(item_value(item, page, scope))
    times = item.occurs.most if item.occurs.depending is None else scope[item.occurs.depending.name]
    rows = [draw(item_value(item, page, scope)) for _ in range(times)]
    return [value for value, _ in rows], b"".join(raw + bytes(item.slack_after) for _, raw in rows)


CODECS = {name: RecordCodec(read_layout(COPYBOOKS / f"{name}.cpy"), options) for name, options in CASES.items()}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=40, deadline=None)
@given(draw=st.data())
def test_values_and_bytes_belong_together(name: str, draw) -> None:
    codec = CODECS[name]
    value, raw = draw.draw(item_value(codec.layout.records[0], codec.page.name, {}))
    assert codec.encode(value) == raw
    assert codec.decode(raw) == value
    assert loads(dumps(codec.decode(raw))) == value


@pytest.mark.parametrize(
    "form", ["fixed", "rdw", "rdw:little:exclusive", "rdw:big:exclusive", "bdw", "odo", "delimiter:<END>"]
)
@pytest.mark.parametrize("name", ["order", "tables", "variants"])
@settings(max_examples=8, deadline=None)
@given(draw=st.data())
def test_streams_of_records(name: str, form: str, draw) -> None:
    layout, options = CODECS[name].layout, CASES[name]
    codec = RecordCodec(layout, Options(select=options.select, record_format=parse_record_format(form)))
    records = draw.draw(st.lists(item_value(layout.records[0], "cp037", {}), max_size=4))
    raw = b"".join(codec.write(value for value, _ in records))
    assert list(codec.read(io.BytesIO(raw))) == [value for value, _ in records]


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(min_size=205, max_size=205))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Random bytes never raise anything but RecordError, and what is read is written and read again the same."""
    codec = CODECS["order"]
    try:
        value = codec.decode(raw)
    except RecordError as exc:
        place = (exc.field.split(".")[0], exc.offset in range(205))
        value = None
    else:
        place = ("ORDER-REC", True)
    assert place == ("ORDER-REC", True)
    if value is None:
        return
    assert codec.decode(codec.encode(value)) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=5) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["kind", "line_count", "order_line", "part", "rec_type", "person", "entry", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", ["tables", "variants"])
@settings(max_examples=60, deadline=None)
@given(value=JSON)
def test_any_value_is_written_or_refused(name: str, value: object) -> None:
    forgiving = RecordCodec(CODECS[name].layout, CASES[name].model_copy(update={"missing": "initial"}))
    for codec in (CODECS[name], forgiving):
        try:
            raw = codec.encode(value)
        except RecordError:
            continue
        assert codec.encode(codec.decode(raw)) == raw


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(sorted(COPYBOOKS.glob("*.cpy"))),
    st.integers(0, 10_000),
    st.sampled_from(["", " ", ".", "(", "'", "OCCURS", "REDEFINES A", "X", "9", "-", "88", "COPY", "=="]),
)
def test_damaged_copybooks_are_understood_or_refused(path: Path, place: int, damage: str) -> None:
    words = path.read_text().split(" ")
    words[place % len(words)] = damage
    try:
        layout = parse_copybook(" ".join(words))
    except CopybookError as exc:
        found = exc.line
    else:
        found = len(layout.records)
    assert found > 0
