"""The codec: records of one layout to JSON values and back, one at a time or as a stream. Thread-safe, no I/O of its own.

codec = RecordCodec(read_layout("customer.cpy"), Options(codepage="cp1047"))
value = codec.decode(record)
assert codec.encode(value) == record
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from adapters.fixed_width.codec.codepages import CodePage, code_page
from adapters.fixed_width.codec.framing import Source, Stream, blocked, framed, records
from adapters.fixed_width.codec.length_field import with_length
from adapters.fixed_width.codec.plan.decoding import Decode, compile_decode, compile_discriminator
from adapters.fixed_width.codec.plan.encoding import Encode, compile_encode
from adapters.fixed_width.codec.plan.literals import discriminator_values, is_number
from adapters.fixed_width.codec.shape import Node, Shaper, chosen_records, find_item
from adapters.fixed_width.errors import CopybookError, RecordError
from adapters.fixed_width.model import Item, Layout
from adapters.fixed_width.options import Options

WAIT: Final = object()
"""Stands for a value that is not there yet."""


@dataclass(frozen=True, slots=True)
class RecordPlan:
    """One record type, compiled. `key` is its name in JSON when there are several."""

    item: Item
    node: Node
    key: str
    decode: Decode
    encode: Encode


class RecordCodec:
    """Compiled once; raises CopybookError (or LookupError, ValueError for a code page) when layout and options do not fit.

    With several record types a value is an object with one member, named like the record.
    """

    def __init__(self, layout: Layout, options: Options) -> None:
        self.layout = layout
        self.options = options
        self.page: CodePage = code_page(options.codepage)
        chosen = chosen_records(layout, options)
        self.types = [item.name.upper() for item in chosen]
        used: set[tuple[str, str, str]] = {
            one for one in options.select if one[2].upper() in self.types and len(chosen) > 1
        }
        self.plans = [self._plan(item, used) for item in chosen]
        if unused := [one for one in options.select if one not in used]:
            name, value, group = unused[0]
            raise CopybookError(f"select {name}={value}:{group}: no alternative named {group} is there")
        self.longest = max(plan.item.total for plan in self.plans)
        self._pick = self._picker() if len(self.plans) > 1 else None
        self._length: Item | None = None
        self._length_of: tuple[int, Callable[[bytes], int]] | None = None
        if options.record_format.kind == "length":
            self._length = self._length_field(options.record_format.field)
            self._length_of = (
                self._length.offset + self._length.size,
                compile_discriminator(self._length, options, self.page),
            )

    def _plan(self, item: Item, used: set[tuple[str, str, str]]) -> RecordPlan:
        shaper = Shaper(item, self.options, plain=self.layout.plain)
        node = shaper.shape()
        used |= shaper.used
        return RecordPlan(
            item,
            node,
            node.key or "record",
            compile_decode(node, self.options, self.page),
            compile_encode(node, self.options, self.page),
        )

    def _picker(self) -> Callable[[bytes], RecordPlan]:
        selects = [one for one in self.options.select if one[2].upper() in self.types]
        names = {name.upper() for name, _, _ in selects}
        if len(names) != 1:
            raise CopybookError("select: record types are told apart by one field")
        item = self._constant_item(selects[0][0], [plan.item for plan in self.plans])
        read = compile_discriminator(item, self.options, self.page)
        by_value = {
            raw: self.plans[self.types.index(group.upper())]
            for _, value, group in selects
            if value != "*"
            for raw in discriminator_values(item, value, self.options)
        }
        otherwise = next(
            (self.plans[self.types.index(group.upper())] for _, value, group in selects if value == "*"), None
        )

        def pick(record: bytes) -> RecordPlan:
            plan = by_value.get(read(record), otherwise)
            if plan is None:
                raise RecordError("a value for which no record type is selected", field=item.path, offset=item.offset)
            return plan

        return pick

    def _constant_item(self, name: str, records_of: list[Item]) -> Item:
        problem: CopybookError | None = None
        for record in records_of:
            try:
                item = find_item(record, name)
            except CopybookError as exc:
                problem = problem or exc
                continue
            if any(other.occurs and other.occurs.depending and other.offset < item.offset for other in record.walk()):
                raise CopybookError(
                    f"{name}: its place depends on a table before it",
                    line=item.line,
                    column=item.column,
                    file=item.file,
                )
            return item
        assert problem is not None, "there is at least one record"
        raise problem

    def _length_field(self, name: str) -> Item:
        item = self._constant_item(name, [plan.item for plan in self.plans])
        if not is_number(item, self.options) or (item.picture and item.picture.scale):
            raise CopybookError(
                f"{name}: the length field must be an integer", line=item.line, column=item.column, file=item.file
            )
        return item

    def constant_field(self, name: str) -> tuple[Item, Callable[[bytes], Any]]:
        """An elementary item at a constant place, and a function that reads its raw value. Raises CopybookError."""
        item = self._constant_item(name, [plan.item for plan in self.plans])
        return item, compile_discriminator(item, self.options, self.page)

    # One record, without framing

    def decode(self, record: bytes) -> Any:
        """The value of one record. Raises RecordError."""
        if self.options.record_format.kind == "fixed" and len(record) != self.longest and not self.options.lenient:
            raise RecordError(
                f"the record has {len(record)} bytes, the layout {self.longest}", offset=min(len(record), self.longest)
            )
        return self._decoded(record)[0]

    def _decoded(self, record: bytes) -> tuple[Any, int]:
        if self._pick is None:
            return self.plans[0].decode(record)
        plan = self._pick(record)
        value, end = plan.decode(record)
        return {plan.key: value}, end

    def encode(self, value: Any) -> bytes:
        """The bytes of one record; a fixed one has the layout's longest length. Raises RecordError."""
        record = self._encoded(value)
        if self.options.record_format.kind == "fixed":
            return record.ljust(self.longest, self.page.blank)
        return record

    def _encoded(self, value: Any) -> bytes:
        plan, inner = self.plans[0], value
        if self._pick is not None:
            if (
                type(value) is not dict
                or len(value) != 1
                or (plan_of := {one.key: one for one in self.plans}.get(next(iter(value)))) is None
            ):
                raise RecordError(f"an object with one member is expected: {', '.join(one.key for one in self.plans)}")
            plan, inner = plan_of, value[plan_of.key]
        if self._length is None:
            return plan.encode(inner)
        return with_length(self._length, plan.node, plan.encode, inner)

    # Streams

    def read(self, source: Source) -> Iterator[Any]:
        """The values of all records, one after the other. RecordError carries record number and position."""
        return self.values(Stream(source))

    def values(self, stream: Stream) -> Iterator[Any]:
        """The same of a stream that may run dry; WAIT stands for a wait there."""
        number = 0
        walk = self._walk if self.options.record_format.kind == "odo" else self._framed
        try:
            for value in walk(stream):
                if value is not WAIT:
                    number += 1
                yield value
        except RecordError as exc:
            exc.record = number + 1
            if exc.position < 0:
                exc.position = stream.position
            raise

    def _walk(self, stream: Stream) -> Iterator[Any]:
        """Records that end where their fields do; the window shows the longest one, or what is left."""
        while there := stream.have(self.longest) or stream.more:
            if there < self.longest and stream.more:
                yield WAIT
                continue
            value, end = self._decoded(stream.buffer[stream.place : stream.place + min(there, self.longest)])
            yield value
            stream.place += end

    def _records(self, stream: Stream) -> Iterator[bytes | None]:
        return records(stream, self.options.record_format, self.longest, self.page, self._length_of)

    def _framed(self, stream: Stream) -> Iterator[Any]:
        for record in self._records(stream):
            if record is None:
                yield WAIT
                continue
            try:
                value = self._decoded(record)[0]
            except RecordError as exc:
                exc.position = stream.began  # the fault is the record's: point at its start
                raise
            yield value

    def only(self, data: bytes) -> bytes:
        """The single record that `data` is, without its framing. Raises RecordError."""
        if self.options.record_format.kind == "fixed" and len(data) == self.longest:
            return data
        stream = Stream(io.BytesIO(data))
        if self.options.record_format.kind == "odo":
            there = stream.have(self.longest + 1)
            record = stream.take(there)
            if self._decoded(record)[1] != there:
                raise RecordError("more bytes than one record has", offset=there)
            return record
        found = [record for record in islice(self._records(stream), 2) if record is not None]
        if len(found) != 1:
            raise RecordError(
                "one record is expected, there are more" if found else "one record is expected, there is none"
            )
        return found[0]

    def one(self, value: Any) -> bytes:
        """The bytes of a single record with its framing. Raises RecordError."""
        if self.options.record_format.kind in ("rdw", "bdw", "delimiter"):
            return b"".join(self.write((value,)))
        return self.encode(value)

    def write(self, values: Iterable[Any], first: int = 1) -> Iterator[bytes]:
        """The bytes of all records with their framing, in pieces. RecordError carries the number, counted from `first`."""
        pieces = self._pieces(values, first)
        return blocked(pieces) if self.options.record_format.kind == "bdw" else pieces

    def _pieces(self, values: Iterable[Any], first: int) -> Iterator[bytes]:
        form = self.options.record_format
        if form.kind == "bdw":
            form = type(form)("rdw")
        encode, page = self.encode, self.page
        framing = form.kind in ("rdw", "delimiter")
        for number, value in enumerate(values, first):
            try:
                yield framed(encode(value), form, page) if framing else encode(value)
            except RecordError as exc:
                exc.record = number
                raise
