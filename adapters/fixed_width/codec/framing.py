"""Where one record ends and the next begins: fixed, RDW, BDW, length field, delimiter. Knows no fields.

Sources are read in pieces of CHUNK bytes, so memory does not grow with the stream. Rules: z/OS DFSMS Using Data
Sets, "Variable-length record formats": four bytes of descriptor, the length counts them, big-endian.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from typing import Protocol

from adapters.fixed_width.codec.codepages import CodePage
from adapters.fixed_width.errors import RecordError
from adapters.fixed_width.options import RecordFormat

CHUNK = 1 << 18  # larger ones are not faster and cost memory
MAX_BLOCK = 32_760  # the largest block of a z/OS data set
MAX_RDW = 0xFFFF


class Source(Protocol):
    """What records are read from: a binary file or anything with its `read`."""

    def read(self, size: int, /) -> bytes: ...


class Stream:
    """A window on a source: at least `n` bytes from the current place, or all that are left.

    `more`: the source has run dry for now and is fed by somebody; what is not whole yet is waited for.
    """

    def __init__(self, source: Source, *, more: bool = False) -> None:
        self.source = source
        self.more = more
        self.buffer = b""
        self.place = 0  # of the next byte in the buffer
        self.passed = 0  # bytes of the source before the buffer
        self.began = 0  # position of the record that was taken last

    @property
    def position(self) -> int:
        return self.passed + self.place

    def have(self, count: int) -> int:
        """Read on until `count` bytes are in the window or the source ends; returns how many there are."""
        while len(self.buffer) - self.place < count:
            more = self.source.read(max(CHUNK, count))
            if not more:
                break
            self.passed += self.place
            self.buffer = self.buffer[self.place :] + more
            self.place = 0
        return len(self.buffer) - self.place

    def record(self, count: int) -> bytes:
        """The next bytes, which are a record."""
        self.began = self.position
        return self.take(count)

    def take(self, count: int) -> bytes:
        taken = self.buffer[self.place : self.place + count]
        self.place += count
        return taken


def wait(stream: Stream, count: int) -> Generator[None, None, int]:
    """Yields None until `count` bytes are in the window or no more will come; returns how many there are."""
    while (there := stream.have(count)) < count and stream.more:
        yield None
    return there


def records(
    stream: Stream,
    form: RecordFormat,
    longest: int,
    page: CodePage,
    length_of: tuple[int, Callable[[bytes], int]] | None = None,
) -> Iterator[bytes | None]:
    """The records of a stream, without their framing. Raises RecordError where the framing does not hold.

    None stands for a wait: more of the stream has to come first.

    `length_of` belongs to `length:FIELD`: how many bytes it needs to see, and the function that reads the field.
    """
    match form.kind:
        case "fixed":
            yield from _fixed(stream, longest)
        case "rdw":
            yield from _rdw(stream, form, None)
        case "bdw":
            yield from _blocks(stream)
        case "length":
            assert length_of is not None, "the caller compiles the length field"
            yield from _by_length(stream, longest, *length_of)
        case "delimiter":
            yield from _delimited(stream, delimiter_bytes(form.delimiter, page), longest)
        case _:
            raise AssertionError("odo records end where their fields do")


def _cut_short(stream: Stream, wanted: int, there: int) -> RecordError:
    return RecordError(f"the data ends in the middle of a record: {there} of {wanted} bytes", offset=there)


def _fixed(stream: Stream, length: int) -> Iterator[bytes | None]:
    while True:
        if stream.have(length) < length:
            there = yield from wait(stream, length)
            if not there:
                return
            if there < length:
                raise _cut_short(stream, length, there)
        yield stream.record(length)


def rdw_length(header: bytes, form: RecordFormat) -> int:
    """Data bytes after a record descriptor word. Raises RecordError when it is none."""
    one, other = header[:2], header[2:]
    if form.little and one == b"\0\0":
        one, other = other, one  # a whole word with its bytes turned round has the length behind
    length = int.from_bytes(one, "little" if form.little else "big")
    if other != b"\0\0":
        # Bits of the third byte mark segments of a spanned record.
        raise RecordError(
            "a record descriptor whose last two bytes are not zero: a spanned record, or no descriptor at all",
            raw=header,
        )
    if form.inclusive:
        if length < 4:
            raise RecordError(f"a record descriptor that gives {length} bytes and counts its own 4", raw=header)
        length -= 4
    return length


def _rdw(stream: Stream, form: RecordFormat, end: int | None) -> Iterator[bytes | None]:
    """Records up to position `end` of the source, or all."""
    while end is None or stream.position < end:
        if stream.have(4) < 4:
            there = yield from wait(stream, 4)
            if not there and end is None:
                return
            if there < 4:
                raise _cut_short(stream, 4, there)
        length = rdw_length(stream.buffer[stream.place : stream.place + 4], form)
        if end is not None and stream.position + 4 + length > end:
            raise RecordError("a record descriptor that reaches beyond its block")
        if stream.have(4 + length) < 4 + length:
            there = yield from wait(stream, 4 + length)
            if there < 4 + length:
                raise _cut_short(stream, 4 + length, there)
        stream.place += 4
        yield stream.record(length)


def _blocks(stream: Stream) -> Iterator[bytes | None]:
    while there := (yield from wait(stream, 4)):
        if there < 4:
            raise _cut_short(stream, 4, there)
        header = stream.take(4)
        length = int.from_bytes(header, "big")
        if length >> 31:  # "Extended block descriptor word": 31 bits of length
            length &= 0x7FFF_FFFF
        elif length & 0xFFFF:
            raise RecordError("a block descriptor whose last two bytes are not zero", raw=header)
        else:
            length >>= 16
        if length < 4:
            raise RecordError(f"a block descriptor that gives {length} bytes and counts its own 4", raw=header)
        yield from _rdw(stream, RecordFormat("rdw"), stream.position + length - 4)


def _by_length(stream: Stream, longest: int, needed: int, read: Callable[[bytes], int]) -> Iterator[bytes | None]:
    while there := (yield from wait(stream, needed)):
        if there < needed:
            raise _cut_short(stream, needed, there)
        length = read(stream.buffer[stream.place : stream.place + needed])
        if not needed <= length <= longest:
            raise RecordError(f"a length field that says {length}; a record has {needed} to {longest} bytes", offset=0)
        there = yield from wait(stream, length)
        if there < length:
            raise _cut_short(stream, length, there)
        yield stream.record(length)


def _delimited(stream: Stream, delimiter: bytes, longest: int) -> Iterator[bytes | None]:
    """The last record may end with the data."""
    window = longest + len(delimiter)
    while (there := stream.have(window)) or stream.more:
        end = stream.buffer.find(delimiter, stream.place, stream.place + window)
        if end < 0 and there < window and stream.more:
            yield None
            continue
        if end < 0:
            if there > longest:
                raise RecordError(f"no delimiter within {longest} bytes", offset=longest)
            yield stream.record(there)
            return
        record = stream.record(end - stream.place)
        stream.place += len(delimiter)
        yield record


def delimiter_bytes(text: str, page: CodePage) -> bytes:
    r"""The bytes of a delimiter: `\n`, `\r`, `\t` are characters of the page, `\x15` is the byte itself."""
    out = b""
    for literal, byte, letter in re.findall(r"([^\\]+|\\\\)|\\x([0-9A-Fa-f]{2})|\\([nrt])", text):
        if byte:
            out += bytes.fromhex(byte)
        else:
            out += page.encode({"n": "\n", "r": "\r", "t": "\t"}[letter] if letter else literal.replace("\\\\", "\\"))
    return out


def framed(record: bytes, form: RecordFormat, page: CodePage) -> bytes:
    """One record with its framing; blocks are `blocked`'s. Raises RecordError when it does not fit."""
    if form.kind == "rdw":
        length = len(record) + (4 if form.inclusive else 0)
        if length > MAX_RDW:
            raise RecordError(f"a record of {len(record)} bytes does not fit a record descriptor")
        return length.to_bytes(2, "little" if form.little else "big") + b"\0\0" + record
    if form.kind == "delimiter":
        delimiter = delimiter_bytes(form.delimiter, page)
        if delimiter in record:
            raise RecordError("the record contains the delimiter", offset=record.find(delimiter))
        return record + delimiter
    return record


def blocked(framed_records: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks of records that have their descriptors, each as full as it gets."""
    block = bytearray(4)
    for record in framed_records:
        if len(record) + 4 > MAX_BLOCK:
            raise RecordError(f"a record of {len(record) - 4} bytes does not fit a block")
        if len(block) + len(record) > MAX_BLOCK:
            yield _closed(block)
            block = bytearray(4)
        block += record
    if len(block) > 4:
        yield _closed(block)


def _closed(block: bytearray) -> bytes:
    block[:2] = len(block).to_bytes(2, "big")
    return bytes(block)
