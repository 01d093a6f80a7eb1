"""The decoding function of one record: offsets, tables, alternatives. Leaves each item to `reading`.

A cursor is a local (or the record's start) and a distance; only tables that vary start a new local, so most
positions are constants. Lengths are checked once for each stretch of constant positions. One class, longer than
most: its methods call each other all the way down and share where the cursor is.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adapters.fixed_width.codec.codepages import CodePage
from adapters.fixed_width.codec.numbers import Misfit, multiply
from adapters.fixed_width.codec.plan.faults import FAULTS, Place, Places, Short, reading_fault
from adapters.fixed_width.codec.plan.literals import discriminator_values, is_number
from adapters.fixed_width.codec.plan.reading import ItemReader
from adapters.fixed_width.codec.plan.writer import Writer
from adapters.fixed_width.codec.shape import Family, Gap, Node, descendants
from adapters.fixed_width.errors import CopybookError
from adapters.fixed_width.model import Item
from adapters.fixed_width.options import Options

Decode = Callable[[bytes], tuple[Any, int]]


@dataclass(slots=True)
class _Cursor:
    base: str | None
    relative: int

    def at(self, distance: int = 0) -> str:
        total = self.relative + distance
        if self.base is None:
            return str(total)
        return f"{self.base} + {total}" if total else self.base


def compile_decode(record: Node, options: Options, page: CodePage) -> Decode:
    """A function from the bytes of one record to its value and the length that was read.

    It raises RecordError, whose `record` number is left to the caller. With a fixed format the caller sees to the
    length, otherwise bytes that the layout does not account for are an error.
    """
    return _Decoder(options, page).compile(record)


def compile_discriminator(item: Item, options: Options, page: CodePage) -> Callable[[bytes], Any]:
    """A function from a record to the raw value of one item at a constant place: text without blanks, or an integer."""
    decoder = _Decoder(options, page)
    w = decoder.w
    w.line("f = 0")
    with w.block("try:"):
        prologue = w.reserve()
        decoder.places.regions.append([(item, item.offset, item.size)])
        decoder.places.fields.append(Place(item, None, item.offset, ()))
        w.line(f"if len(r) < {item.offset + item.size}: raise Short(0, 0)")
        decoder.reader.raw(item, _Cursor(None, item.offset).at)
        w.line("return v" if is_number(item, options) else "return v.rstrip(' \\0')")
    discriminate: Callable[[bytes], Any] = decoder.finish("discriminate", item, prologue)
    return discriminate


class _Decoder:
    def __init__(self, options: Options, page: CodePage) -> None:
        self.options = options
        self.page = page
        self.w = Writer()
        self.reader = ItemReader(self.w, options, page)
        self.places = Places()
        self.tables: list[tuple[Item, str]] = []
        self.pointer: list[str] = []
        self.position: dict[int, tuple[str | None, int]] = {}  # items whose place is known, by identity
        self.raw: dict[int, str] = {}  # locals that hold counts
        self.region: tuple[int, int] | None = None  # reserved line and number of the open stretch
        self.region_end = 0
        self.counts: frozenset[int] = frozenset()  # items that a DEPENDING ON names
        self.checks_end = options.record_format.kind not in ("fixed", "odo") and not options.lenient

    def compile(self, record: Node) -> Decode:
        self.w.line("f = 0")
        with self.w.block("try:"):
            prologue = self.w.reserve()
            cursor = _Cursor(None, 0)
            self.w.line("e = None")
            self._open(cursor)
            value = self._value(record, cursor, tail=self.checks_end)
            self._close(cursor)
            self.w.line(f"n = {cursor.at()}")
            if self.checks_end:
                with self.w.block("if len(r) != n and len(r) != e:"):
                    self.w.line("raise Misfit(f'the record has {len(r)} bytes, the layout {n if e is None else e}')")
            self.w.line(f"return {value}, n")
        if not self.places.fields:
            raise CopybookError(
                f"{record.item.name}: nothing in it but FILLER",
                line=record.item.line,
                column=record.item.column,
                file=record.item.file,
            )
        decode: Decode = self.finish("decode", record.item, prologue)
        return decode

    def finish(self, name: str, item: Item, prologue: int) -> Any:
        """The handler of faults, the constants, and the function itself."""
        with self.w.block("except FAULTS as exc:"):
            self.w.line("raise FAULT(exc, PLACES, locals(), r) from None")
        self._prologue(prologue)
        self.w.constants.update(
            Misfit=Misfit, Short=Short, FAULTS=FAULTS, FAULT=reading_fault, PLACES=self.places, MULTIPLY=multiply, SIGN=self.reader.sign_table
        )  # fmt: skip
        return self.w.function(f"{name}(r)", f"{name} {item.name}")

    def _prologue(self, reserved: int) -> None:
        """The record in the forms that the items read from, each made once."""
        forms = []
        if "s" in self.reader.needs:
            self.w.constants.update(DECODE=codecs.charmap_decode, TABLE=self.page.table)
            forms.append("s = DECODE(r, 'strict', TABLE)[0]")
        if "z" in self.reader.needs:
            self.w.constants.update(DIGITS=self.reader.digit_table)
            forms.append("z = r.translate(DIGITS).decode('latin-1')")
        if "h" in self.reader.needs:
            forms.append("h = r.hex()")
        self.w.fill(reserved, "; ".join(forms))

    # Stretches of constant positions

    def _open(self, cursor: _Cursor) -> None:
        self.places.regions.append([])
        self.region = (self.w.reserve(), len(self.places.regions) - 1)
        self.region_end = cursor.relative

    def _close(self, cursor: _Cursor) -> None:
        assert self.region is not None, "stretches are opened before they are closed"
        line, number = self.region
        if self.places.regions[number] and not self.options.lenient:
            end = _Cursor(cursor.base, self.region_end).at()
            self.w.fill(line, f"if len(r) < {end}: raise Short({number}, {cursor.base or 0})")

    def _cover(self, item: Item, cursor: _Cursor, size: int) -> None:
        assert self.region is not None, "items lie in a stretch"
        self.places.regions[self.region[1]].append((item, cursor.relative, size))
        self.region_end = max(self.region_end, cursor.relative + size)

    # Values; each method returns the name of a local and moves the cursor

    def _value(self, node: Node, cursor: _Cursor, *, tail: bool = False) -> str:
        """One occurrence."""
        if node.item.is_group:
            return self._group(node, cursor, tail=tail)
        self.position[id(node.item)] = (cursor.base, cursor.relative)
        self._cover(node.item, cursor, node.item.size)
        number = self._place(node.item, cursor)
        self.w.line(f"f = {number}")
        if id(node.item) in self.counts:
            self.reader.raw(node.item, cursor.at)
            name = self.w.name("c")
            self.w.line(f"{name} = v")
            self.raw[id(node.item)] = name
        self.reader.read(node.item, cursor.at)
        local = self.w.name("v")
        self.w.line(f"{local} = v")
        cursor.relative += node.item.size
        return local

    def _place(self, item: Item, cursor: _Cursor) -> int:
        self.places.fields.append(Place(item, cursor.base, cursor.relative, tuple(self.tables), tuple(self.pointer)))
        return len(self.places.fields) - 1

    def _group(self, node: Node, cursor: _Cursor, *, tail: bool) -> str:
        """A dictionary display; alternatives contribute through `**`."""
        shown: list[str] = []
        if node.parent is None:
            self.counts = frozenset(
                id(item.occurs.depending) for item in node.item.walk() if item.occurs and item.occurs.depending
            )
        for index, member in enumerate(node.members):
            last = tail and index == len(node.members) - 1 and not node.item.slack_after
            match member:
                case Gap():
                    cursor.relative += member.size
                case Family() if len(member.alternatives) == 1:
                    start = _Cursor(cursor.base, cursor.relative)
                    shown.extend(self._member(member.alternatives[0], start, tail=False))
                    cursor.relative += member.size
                    self.region_end = max(self.region_end, cursor.relative)
                case Family():
                    shown.append(f"**{self._family(member, cursor, tail=last)}")
                case Node():
                    shown.extend(self._member(member, cursor, tail=last))
        local = self.w.name("g")
        self.w.line(f"{local} = {{{', '.join(shown)}}}")
        return local

    def _member(self, node: Node, cursor: _Cursor, *, tail: bool) -> list[str]:
        if node.key is None and not any(below.key is not None for below in descendants(node)):
            cursor.relative += node.item.total  # FILLER: bytes that nobody looks at
            self._cover(node.item, _Cursor(cursor.base, cursor.relative), 0)
            self.region_end = max(self.region_end, cursor.relative)
            return []
        self.pointer.append(node.key or "")
        local = self._table(node, cursor) if node.item.occurs else self._value(node, cursor, tail=tail)
        self.pointer.pop()
        return [f"**{local}" if node.key is None else f"{node.key!r}: {local}"]

    def _table(self, node: Node, cursor: _Cursor) -> str:
        item = node.item
        assert item.occurs is not None, "tables have OCCURS"
        slides = self.options.slides
        counted = item.occurs.depending
        times = str(item.occurs.most)
        if counted is not None:
            times = self.raw.get(id(counted)) or self._peek(counted)
            self.w.line(f"f = {self._place(item, cursor)}")
            with self.w.block(f"if not {item.occurs.least} <= {times} <= {item.occurs.most}:"):
                self.w.line(f"raise Misfit('{counted.name} is not between {item.occurs.least} and {item.occurs.most}')")
        stride = item.size + item.slack_after
        done = self.w.name("l")
        self.w.line(f"{done} = []")
        moves = item.varies and slides
        outer = (self.region, self.region_end)
        if not moves and (counted is None or not slides):
            self._cover(item, cursor, item.total)
            outer = (self.region, self.region_end)
        self.tables.append((item, done))
        self.pointer.append("\0" + done)
        local = self.w.name("o")
        if moves:
            self.w.line(f"{local} = {cursor.at()}")
            with self.w.block(f"for _ in range({times}):"):
                inside = _Cursor(local, 0)
                self._open(inside)
                value = self._value(node, inside)
                self._close(inside)
                self.w.line(f"{local} = {_Cursor(inside.base, inside.relative + item.slack_after).at()}")
                self.w.line(f"{done}.append({value})")
            end = local
        else:
            end = self.w.name("o")
            self.w.line(f"{end} = {cursor.at()} + {times} * {stride}")
            if counted is not None and slides and not self.options.lenient:
                self.places.regions.append([(item, cursor.relative, stride)])
                self.w.line(f"if len(r) < {end}: raise Short({len(self.places.regions) - 1}, {cursor.base or 0})")
            with self.w.block(f"for {local} in range({cursor.at()}, {end}, {stride}):"):
                inside = _Cursor(local, 0)
                self._open(inside)  # covered as a whole above: closed only where an alternative needs its own check
                value = self._value(node, inside)
                self.w.line(f"{done}.append({value})")
        self.pointer.pop()
        self.tables.pop()
        self.region, self.region_end = outer
        if moves or (counted is not None and slides):
            self._close(cursor)
            cursor.base, cursor.relative = end, 0
            self._open(cursor)
        else:
            cursor.relative += item.total
        return done

    # Alternatives

    def _family(self, family: Family, cursor: _Cursor, *, tail: bool) -> str:
        result = self.w.name("x")
        self._close(cursor)
        if family.discriminator is not None:
            self._choose(family, cursor)
        if family.every:
            self._every(family, cursor, result)
        else:
            self._chosen(family, cursor, result, tail=tail)
        cursor.relative += family.size
        self._open(cursor)
        if not tail:
            self._cover(family.alternatives[0].item, _Cursor(cursor.base, cursor.relative), 0)
        return result

    def _choose(self, family: Family, cursor: _Cursor) -> None:
        """The discriminator's value in `k`; it may stand behind the alternatives when nothing between them varies."""
        item = family.discriminator
        assert item is not None, "checked by the caller"
        base, relative = self.position.get(
            id(item), (cursor.base, cursor.relative + item.offset - family.alternatives[0].item.offset)
        )
        place = _Cursor(base, relative)
        if id(item) not in self.position:
            first = family.alternatives[0].item
            between = [other for other in _root(item).walk() if first.offset <= other.offset < item.offset]
            if item.offset < first.offset or any(other.occurs and other.occurs.depending for other in between):
                raise CopybookError(
                    f"select: {item.path} must stand before {first.path}",
                    line=first.line,
                    column=first.column,
                    file=first.file,
                )
        self.w.line(f"f = {self._place(item, place)}")
        self.places.regions.append([(item, relative, item.size)])
        self.w.line(f"if len(r) < {place.at(item.size)}: raise Short({len(self.places.regions) - 1}, {base or 0})")
        self.reader.raw(item, place.at)
        self.w.line("k = v" if is_number(item, self.options) else "k = v.rstrip(' \\0')")

    def _chosen(self, family: Family, cursor: _Cursor, result: str, *, tail: bool) -> None:
        assert family.discriminator is not None, "without one, all alternatives are tried"
        branches: dict[int, list[object]] = {}
        for value, index in family.choose:
            branches.setdefault(index, []).extend(discriminator_values(family.discriminator, value, self.options))
        head = "if"
        for index, values in branches.items():
            with self.w.block(f"{head} k in {tuple(values)!r}:"):
                self._alternative(family.alternatives[index], cursor, result, tail=tail)
            head = "elif"
        with self.w.block("else:"):
            if family.otherwise is not None:
                self._alternative(family.alternatives[family.otherwise], cursor, result, tail=tail)
            elif self.options.lenient:
                self._alternative(family.alternatives[0], cursor, result, tail=tail)
            else:
                self.w.line("raise Misfit('a value for which no alternative is selected')")

    def _peek(self, item: Item) -> str:
        """A count inside of an alternative that is not (or not always) read: read it where it is known to lie."""
        before = [other for other in _root(item).walk() if other.offset < item.offset and other is not item]
        if self.options.slides and any(other.occurs and other.occurs.depending for other in before):
            problem = f"DEPENDING ON {item.name}: it lies in one of several alternatives, behind a table that varies"
            raise CopybookError(problem, line=item.line, column=item.column, file=item.file)
        place = _Cursor(None, item.offset)
        self.w.line(f"f = {self._place(item, place)}")
        self.reader.raw(item, place.at)
        local = self.w.name("c")
        self.w.line(f"{local} = v")
        return local

    def _alternative(self, node: Node, cursor: _Cursor, result: str, *, tail: bool) -> None:
        raw, position = dict(self.raw), dict(self.position)
        self._branch(node, cursor, result, tail=tail)
        self.raw, self.position = raw, position  # what one branch has read is not there in the others

    def _branch(self, node: Node, cursor: _Cursor, result: str, *, tail: bool) -> None:
        start = _Cursor(cursor.base, cursor.relative)
        self._open(start)
        shown = self._member(node, start, tail=tail)
        self._close(start)
        self.w.line(f"{result} = {{{', '.join(shown)}}}")
        if tail:
            self.w.line(f"e = {start.at()} if e is None else e")

    def _every(self, family: Family, cursor: _Cursor, result: str) -> None:
        """Each alternative that can be read; the first one's fault when none can."""
        fault, part = self.w.name("y"), self.w.name("x")
        self.w.line(f"{result} = {{}}; {fault} = None")
        for node in family.alternatives:
            with self.w.block("try:"):
                self._alternative(node, cursor, part, tail=False)
                self.w.line(f"{result}.update({part})")
            with self.w.block("except FAULTS as exc:"):
                self.w.line(f"{fault} = {fault} or (exc, f)")
        with self.w.block(f"if not {result} and {fault}:"):
            self.w.line(f"f = {fault}[1]; raise {fault}[0]")


def _root(item: Item) -> Item:
    while item.parent is not None:
        item = item.parent
    return item
