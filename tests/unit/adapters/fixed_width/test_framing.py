"""Streams: where records end, framing that lies, and memory that does not grow."""

import io
import tracemalloc
from typing import Any

import pytest

from adapters.fixed_width.codec.codepages import code_page
from adapters.fixed_width.codec.framing import CHUNK, delimiter_bytes
from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.copybook import parse_copybook
from adapters.fixed_width.errors import RecordError
from adapters.fixed_width.options import Options, parse_record_format, parse_select

SOURCE = "01 R. 05 LEN PIC 9(2). 05 A PIC X(3)."


def codec(form: str, source: str = SOURCE, **options: Any) -> RecordCodec:
    return RecordCodec(
        parse_copybook(source, form="free"),
        Options(codepage="ascii", record_format=parse_record_format(form), **options),
    )


def read(form: str, raw: bytes, source: str = SOURCE) -> list[Any]:
    return list(codec(form, source).read(io.BytesIO(raw)))


ROW = {"len": 5, "a": "abc"}


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        ("fixed", b"05abc05abc"),
        ("rdw", b"\0\x09\0\x0005abc" * 2),
        ("rdw:big:inclusive", b"\0\x09\0\x0005abc" * 2),
        ("rdw:big:exclusive", b"\0\x05\0\x0005abc" * 2),
        ("rdw:exclusive", b"\0\x05\0\x0005abc" * 2),
        ("rdw:little", b"\x09\0\0\x0005abc" * 2),
        ("rdw:little:exclusive", b"\x05\0\0\x0005abc" * 2),
        ("bdw", b"\0\x16\0\0" + b"\0\x09\0\x0005abc" * 2),
        ("length:LEN", b"05abc05abc"),
        ("delimiter:\\r\\n", b"05abc\r\n05abc\r\n"),
        ("delimiter:\\x00;", b"05abc\0;05abc\0;"),
        ("odo", b"05abc05abc"),
    ],
)
def test_forms(form: str, raw: bytes) -> None:
    assert read(form, raw) == [ROW, ROW]
    assert b"".join(codec(form).write([ROW, ROW])) == raw
    assert read(form, b"") == []


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        ("rdw:little:exclusive", b"\0\0\x05\x0005abc"),  # the whole word turned round
        ("bdw", b"\x80\0\0\x0d\0\x09\0\x0005abc"),  # extended block descriptor
        ("bdw", b"\0\x0d\0\0\0\x09\0\x0005abc"),
        ("delimiter:;", b"05abc"),  # the last delimiter may be missing
    ],
)
def test_other_forms_that_are_read(form: str, raw: bytes) -> None:
    assert read(form, raw) == [ROW]


@pytest.mark.parametrize(
    ("form", "raw", "number", "position", "reason"),
    [
        ("fixed", b"05abc05a", 2, 5, "ends in the middle of a record: 3 of 5"),
        ("rdw", b"\0\x09\0\x0005abc\0", 2, 9, "ends in the middle of a record: 1 of 4"),
        ("rdw", b"\0\x09\0\x0005ab", 1, 0, "ends in the middle of a record: 8 of 9"),
        ("rdw", b"\0\x03\0\x0005abc", 1, 0, "gives 3 bytes and counts its own 4"),
        ("rdw", b"\0\x09\x01\x0005abc", 1, 0, "spanned"),
        ("rdw", b"\0\x08\0\x0005ab", 1, 4, "ends before the field does"),
        ("rdw", b"\0\x0a\0\x0005abcd", 1, 4, "the record has 6 bytes, the layout 5"),
        ("bdw", b"\0\x0c\0\0\0\x09\0\x0005abc", 1, 4, "reaches beyond its block"),
        ("bdw", b"\0\x02\0\0", 1, 4, "counts its own 4"),
        ("bdw", b"\0\x0d\0\x01\0\x09\0\x0005abc", 1, 4, "last two bytes are not zero"),
        ("length:LEN", b"99abc", 1, 0, "says 99; a record has 2 to 5"),
        ("length:LEN", b"05a", 1, 0, "3 of 5 bytes"),
        ("length:LEN", b"xxabc", 1, 0, "digits are expected"),
        ("delimiter:;", b"05abcdefg", 1, 0, "no delimiter within 5"),
        ("delimiter:;", b"05abc;05a;", 2, 6, "ends before the field does"),
        ("odo", b"05abc05", 2, 5, "ends before the field does"),
        ("fixed", b"05abcx5abc", 2, 5, "digits are expected"),
    ],
)
def test_framing_that_does_not_hold(form: str, raw: bytes, number: int, position: int, reason: str) -> None:
    with pytest.raises(RecordError, match=reason) as caught:
        read(form, raw)
    assert (caught.value.record, caught.value.position) == (number, position)
    assert f"record {number}, " in str(caught.value)


def test_length_fields_are_filled_in_or_checked() -> None:
    source = "01 R. 05 LEN PIC 9(2). 05 N PIC 9. 05 T PIC X(2) OCCURS 0 TO 4 DEPENDING ON N."
    made = codec("length:LEN", source)
    assert b"".join(made.write([{"t": ["ab", "cd"]}, {"len": 3, "t": []}])) == b"072abcd030"
    with pytest.raises(RecordError, match="must say 3") as caught:
        list(made.write([{"len": 7, "t": []}]))
    assert (caught.value.record, caught.value.pointer) == (1, "/len")


def test_records_that_cannot_be_framed() -> None:
    with pytest.raises(RecordError, match="contains the delimiter"):
        list(codec("delimiter:b").write([ROW]))
    with pytest.raises(RecordError, match="does not fit a record descriptor"):
        list(codec("rdw", "01 R. 05 A PIC X(70000).").write([{"a": ""}]))
    with pytest.raises(RecordError, match="does not fit a block"):
        list(codec("bdw", "01 R. 05 A PIC X(40000).").write([{"a": ""}]))


def test_blocks_are_as_full_as_they_get() -> None:
    blocks = list(codec("bdw").write([ROW] * 4000))
    assert [len(block) for block in blocks] == [4 + 9 * 3639, 4 + 9 * 361]
    assert read("bdw", b"".join(blocks)) == [ROW] * 4000


def test_the_shorter_alternative_ends_its_record() -> None:
    source = "01 R. 05 K PIC X. 05 A PIC X(6). 05 B REDEFINES A PIC X(2)."
    made = codec("rdw", source, select=(parse_select("K=1:A"), parse_select("K=2:B")))
    raw = b"\0\x07\0\x002xy"
    assert list(made.read(io.BytesIO(raw))) == [{"k": "2", "b": "xy"}]
    assert b"".join(made.write([{"k": "2", "b": "xy"}])) == raw
    assert made.decode(b"2xy    ") == {"k": "2", "b": "xy"}
    with pytest.raises(RecordError, match="the record has 5 bytes"):
        made.decode(b"2xy  ")


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        (r"\n", b"\x25"),
        (r"\r\n", b"\x0d\x25"),
        (r"\x15", b"\x15"),
        ("|", b"\x4f"),
        (r"a\\", b"\x81\xe0"),
        (r"\t", b"\x05"),
    ],
)
def test_delimiters_are_characters_of_the_page(text: str, raw: bytes) -> None:
    assert delimiter_bytes(text, code_page("cp037")) == raw


@pytest.mark.parametrize("text", ["rdw:huge", "rdw:big:little", "fixed:3", "length:", "delimiter:", "vb", ""])
def test_forms_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="record format"):
        parse_record_format(text)


class Endless:
    """A source of so many bytes of records, made as they are read."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int, /) -> bytes:
        given = min(size, self.left)
        given -= given % 1000
        self.left -= given
        return b"x" * given


def test_memory_does_not_grow_with_the_stream() -> None:
    made = codec("fixed", "01 R. 05 A PIC X(1000).")
    tracemalloc.start()
    try:
        total = sum(1 for _ in made.read(Endless(4_000 * 1000)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 4_000
    assert peak < 4 * CHUNK
