"""The encoding function of one record: members, tables, alternatives. Leaves each item to `writing`.

Statements that read and check the values come first, in the order of the record; the pieces they leave behind are
joined at the end, so that a record is either whole or not there. One class, longer than most: its methods call each
other all the way down and share which objects are open.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any

from adapters.fixed_width.codec.codepages import CodePage
from adapters.fixed_width.codec.numbers import Misfit
from adapters.fixed_width.codec.plan.decoding import compile_discriminator
from adapters.fixed_width.codec.plan.faults import FAULTS, Place, Places, writing_fault
from adapters.fixed_width.codec.plan.fillers import filler
from adapters.fixed_width.codec.plan.literals import discriminator_values, is_number
from adapters.fixed_width.codec.plan.pieces import Joiner, Piece, constant
from adapters.fixed_width.codec.plan.runtime import count, no_array, no_object, unknown
from adapters.fixed_width.codec.plan.writer import Writer
from adapters.fixed_width.codec.plan.writing import ItemWriter
from adapters.fixed_width.codec.shape import Family, Gap, Node, descendants, keys_of
from adapters.fixed_width.errors import CopybookError
from adapters.fixed_width.model import Item
from adapters.fixed_width.options import Options

Encode = Callable[[Any], bytes]
_EMPTY: dict[str, Any] = {}
_MISSING = object()


def compile_encode(record: Node, options: Options, page: CodePage) -> Encode:
    """A function from a record's value to its bytes. It raises RecordError and then nothing has been written."""
    return _Encoder(options, page).compile(record)


def constant_bytes(item: Item, value: object, options: Options, page: CodePage) -> bytes:
    """One occurrence of an elementary item with a known value."""
    return _Encoder(options, page).compile(Node(item, ""))(value)


class _Encoder:
    def __init__(self, options: Options, page: CodePage) -> None:
        self.options = options
        self.page = page
        self.w = Writer()
        self.places = Places()
        self.joiner = Joiner(self.w, page, self.places)
        self.items = ItemWriter(self.w, options, page, self.joiner)
        self.tables: list[tuple[Item, str]] = []
        self.pointer: list[str] = []
        self.counts: dict[int, list[Node]] = {}  # tables by the item that counts them
        self.open: dict[int, str] = {}  # groups that are being written: the local with their object
        self.known: dict[int, str] = {}  # locals with counts and discriminators
        self.prepared: dict[int, list[Piece]] = {}  # items written before their turn, for a discriminator behind
        self.later: list[tuple[Item, str, int]] = []  # counts to be compared in the finished record
        self.incomplete: set[str] = set()  # locals of objects that may lack a member
        self.varies = options.record_format.varies and options.record_format.kind != "odo"

    def compile(self, record: Node) -> Encode:
        for node in descendants(record):
            if node.item.occurs and node.item.occurs.depending:
                self.counts.setdefault(id(node.item.occurs.depending), []).append(node)
        self.discriminators = {id(family.discriminator) for family in _families(record) if family.discriminator}
        self.w.line("f = 0")
        with self.w.block("try:"):
            self.w.line("v = d")
            pieces = self._value(record, tail=True)
            self.w.line(f"r = {self.joiner.joined(pieces)}")
            for counted, rows, number in self.later:
                self.w.line(f"f = {number}")
                read = self.w.constant(compile_discriminator(counted, self.options, self.page))
                with self.w.block(f"if {read}(r) != {rows}:"):
                    self.w.line(f"raise Misfit({_miscounted(counted)!r})")
            self.w.line("return r")
        with self.w.block("except FAULTS as exc:"):
            self.w.line("raise FAULT(exc, PLACES, locals()) from None")
        self.w.constants.update(
            Misfit=Misfit, FAULTS=FAULTS, FAULT=writing_fault, PLACES=self.places, FROMHEX=bytes.fromhex, EMPTY=_EMPTY, MISSING=_MISSING, COUNT=count,
            NO_OBJECT=no_object, NO_ARRAY=no_array, UNKNOWN=unknown, ENCODE=codecs.charmap_encode, ERRORS="replace" if self.options.lenient else "strict",
        )  # fmt: skip
        if self.page.table:
            self.w.constants["MAP"] = codecs.charmap_build(self.page.table)
        encode: Encode = self.w.function("encode(d)", f"encode {record.item.name}")
        return encode

    def _place(self, item: Item) -> int:
        self.places.fields.append(Place(item, None, item.offset, tuple(self.tables), tuple(self.pointer)))
        return len(self.places.fields) - 1

    @property
    def forgiving(self) -> bool:
        """Whether a member that is not there takes its initial value."""
        return self.options.missing == "initial" or self.options.lenient

    # Values: each method expects the JSON value in `v` and returns pieces

    def _value(self, node: Node, *, tail: bool) -> list[Piece]:
        if node.item.is_group:
            return self._group(node, tail=tail)
        number = self._place(node.item)
        self.w.line(f"f = {number}")
        return self._leaf(node, number)

    def _leaf(self, node: Node, number: int) -> list[Piece]:
        item = node.item
        if id(item) in self.counts:
            self._implied_count(node)
        if id(item) in self.discriminators and not is_number(item, self.options):
            local = self.w.name("k")
            self.w.line(f"{local} = v.rstrip(' \\0') if type(v) is str else v")
            self.known[id(item)] = local
        pieces = self.items.write(item, number)
        if id(item) in self.counts or (id(item) in self.discriminators and is_number(item, self.options)):
            local = self.w.name("k")
            self.w.line(f"{local} = i")
            self.known[id(item)] = local
        return pieces

    def _implied_count(self, node: Node) -> None:
        """A count that nobody gave is the length of its table."""
        table = self.counts[id(node.item)][0]
        common, keys = table, []
        while id(common.item) not in self.open or common is table:
            if common.key is not None:
                keys.append(common.key)
            assert common.parent is not None, "the record's own group is always open"
            common = common.parent
        with self.w.block("if v is MISSING:"):
            fallback = table.item.occurs.least if self.forgiving and table.item.occurs else None
            self.w.line(f"v = COUNT({self.open[id(common.item)]}, {tuple(reversed(keys))!r}, {fallback})")

    def _group(self, node: Node, *, tail: bool) -> list[Piece]:
        item = node.item
        self.w.line(f"f = {self._place(item)}")
        local = self.w.name("d")
        self.w.line(f"{local} = v")
        with self.w.block(f"if type({local}) is not dict:"):
            self.w.line(f"raise NO_OBJECT({local})")
        self.open[id(item)] = local
        pieces = self._members(node, local, tail=tail)
        if self.options.unknown == "reject" and not self.options.lenient:
            self._reject_unknown(node, local)
        del self.open[id(item)]
        if item.slack_after:
            pieces.append(constant(bytes(item.slack_after)))
        return pieces

    def _reject_unknown(self, node: Node, local: str) -> None:
        keys = keys_of(node)
        number = self._place(node.item)
        families = any(isinstance(member, Family) and len(member.alternatives) > 1 for member in node.members)
        simple = not families and local not in self.incomplete  # then the number of members tells all
        check = (
            f"len({local}) != {len(keys)}" if simple else f"not {local}.keys() <= {self.w.constant(frozenset(keys))}"
        )
        with self.w.block(f"if {check}:"):
            self.w.line(f"f = {number}; UNKNOWN({local}, {self.w.constant(frozenset(keys))})")

    def _members(self, node: Node, local: str, *, tail: bool) -> list[Piece]:
        pieces: list[Piece] = []
        for index, member in enumerate(node.members):
            last = tail and index == len(node.members) - 1 and not node.item.slack_after
            match member:
                case Gap():
                    pieces.append(constant(bytes(member.size)))
                case Family() if len(member.alternatives) == 1:
                    inner = member.alternatives[0]
                    pieces.extend(self._member(inner, local, tail=False))
                    if inner.item.total < member.size:
                        pieces.append(constant(self.page.blank * (member.size - inner.item.total)))
                case Family():
                    pieces.extend(self._family(member, node, local, tail=last and self.varies))
                case Node():
                    pieces.extend(self._member(member, local, tail=last))
        return pieces

    def _member(self, node: Node, local: str, *, tail: bool) -> list[Piece]:
        """One member of the object in `local`; FILLER is constant."""
        item = node.item
        if (ready := self.prepared.pop(id(item), None)) is not None:
            return ready
        if node.key is None:
            if not any(below.key is not None for below in descendants(node)[1:]):
                return [constant(filler(node, self.options, self.page, self.items.initial, constant_bytes))]
            self.w.line(f"v = {local}")  # an alternative without a name: its members are the object's
            self.open[id(item)] = local
            return self._members(node, local, tail=tail)
        self.pointer.append(node.key)
        number = self._place(item)
        self.w.line(f"f = {number}")
        default = self._default(node)
        if default is not None:
            self.incomplete.add(local)
        self.w.line(f"v = {local}[{node.key!r}]" if default is None else f"v = {local}.get({node.key!r}, {default})")
        if item.occurs:
            pieces = self._table(node, number)
        elif item.is_group:
            pieces = self._group(node, tail=tail)
        else:
            pieces = self._leaf(node, number)
        self.pointer.pop()
        return pieces

    def _default(self, node: Node) -> str | None:
        """The expression for a member that is not there, or None when it must be."""
        item = node.item
        if id(item) in self.counts:
            return "MISSING"
        if not item.is_group and not self.items.has_initial(item):
            return None
        if item.occurs and self.forgiving:
            one = "EMPTY" if item.is_group else self.w.constant(self.items.initial(item))
            return f"[{one}] * {item.occurs.least}"
        if item.is_group:
            return "EMPTY" if self.forgiving else None
        if item.occurs is None and (item.value is not None or self.forgiving):
            return self.w.constant(self.items.initial(item))
        return None

    def _table(self, node: Node, number: int) -> list[Piece]:
        item = node.item
        assert item.occurs is not None, "tables have OCCURS"
        rows, done, row = self.w.name("t"), self.w.name("l"), self.w.name("w")
        self.w.line(f"{rows} = v")
        with self.w.block(f"if type({rows}) is not list:"):
            self.w.line(f"raise NO_ARRAY({rows})")
        if item.occurs.depending:
            self.w.line(f"n = len({rows})")
            with self.w.block(f"if not {item.occurs.least} <= n <= {item.occurs.most}:"):
                self.w.line(f"raise Misfit('{item.occurs.least} to {item.occurs.most} items are possible')")
            if id(item.occurs.depending) not in self.known:
                self._check_later(item.occurs.depending, number)
            else:
                with self.w.block(f"if n != {self.known[id(item.occurs.depending)]}:"):
                    self.w.line(f"raise Misfit({_miscounted(item.occurs.depending)!r})")
        else:
            with self.w.block(f"if len({rows}) != {item.occurs.most}:"):
                self.w.line(f"raise Misfit('exactly {item.occurs.most} items are expected')")
        self.w.line(f"{done} = []")
        self.tables.append((item, done))
        self.pointer.append("\0" + done)
        with self.w.block(f"for {row} in {rows}:"):
            self.w.line(f"v = {row}")
            pieces = self._group(node, tail=False) if item.is_group else self._row(node)
            self.w.line(f"{done}.append({self.joiner.joined(pieces)})")
        self.pointer.pop()
        self.tables.pop()
        result = self.w.name("b")
        self.w.line(f"{result} = b''.join({done})")
        if item.occurs.depending and not self.options.slides:
            self.w.line(f"{result} = {result}.ljust({item.total}, {self.page.blank!r})")
        return [Piece("bytes", result)]

    def _check_later(self, counted: Item, number: int) -> None:
        """A count inside of one of several alternatives is only known from the finished record."""
        if self.tables:
            problem = f"DEPENDING ON {counted.name}: it lies in one of several alternatives of a table"
            raise CopybookError(problem, line=counted.line, column=counted.column, file=counted.file)
        rows = self.w.name("n")
        self.w.line(f"{rows} = n")
        self.later.append((counted, rows, number))

    def _row(self, node: Node) -> list[Piece]:
        number = self._place(node.item)
        self.w.line(f"f = {number}")
        pieces = self.items.write(node.item, number)
        if node.item.slack_after:
            pieces.append(constant(bytes(node.item.slack_after)))
        return pieces

    # Alternatives

    def _family(self, family: Family, parent: Node, local: str, *, tail: bool) -> list[Piece]:
        result = self.w.name("b")
        branches = self._by_value(family, parent, local) if family.discriminator else self._by_presence(family, local)
        head = "if"
        for condition, node in branches:
            with self.w.block(f"{head} {condition}:" if condition else "else:"):
                if family.discriminator and not family.every:
                    self._refuse_others(family, node, local)
                known = dict(self.known)
                expression = self.joiner.joined(self._member(node, local, tail=tail))
                self.known = known  # what one branch has written is not there in the others
                padding = "" if tail else f".ljust({family.size}, {self.page.blank!r})"
                self.w.line(f"{result} = {f'({expression})' if padding else expression}{padding}")
            head = "elif"
        if not branches or branches[-1][0]:
            with self.w.block("else:"):
                self.w.line(f"f = {self._place(family.alternatives[0].item)}")
                self.w.line(
                    "raise Misfit('a value for which no alternative is selected')"
                    if family.discriminator
                    else "raise Misfit('missing')"
                )
        return [Piece("bytes", result)]

    def _refuse_others(self, family: Family, chosen: Node, local: str) -> None:
        others = frozenset(
            key for node in family.alternatives if node is not chosen for key in _own_keys(node)
        ) - frozenset(_own_keys(chosen))
        if others and self.options.unknown == "reject" and not self.options.lenient:
            with self.w.block(f"if not {local}.keys().isdisjoint({self.w.constant(others)}):"):
                self.w.line(f"f = {self._place(chosen.item)}; raise Misfit('members of another alternative are there')")

    def _by_value(self, family: Family, parent: Node, local: str) -> list[tuple[str, Node]]:
        item = family.discriminator
        assert item is not None, "checked by the caller"
        if id(item) not in self.known:
            node = next((member for member in parent.members if isinstance(member, Node) and member.item is item), None)
            if node is None:
                raise CopybookError(
                    f"select: {item.path} must stand before {family.alternatives[0].item.path} or beside it",
                    line=item.line,
                    column=item.column,
                    file=item.file,
                )
            self.prepared[id(item)] = self._member(node, local, tail=False)
        known = self.known[id(item)]
        branches: dict[int, list[object]] = {}
        for value, index in family.choose:
            branches.setdefault(index, []).extend(discriminator_values(item, value, self.options))
        found = [(f"{known} in {tuple(values)!r}", family.alternatives[index]) for index, values in branches.items()]
        otherwise = family.otherwise if family.otherwise is not None else 0 if self.options.lenient else None
        return found if otherwise is None else [*found, ("", family.alternatives[otherwise])]

    def _by_presence(self, family: Family, local: str) -> list[tuple[str, Node]]:
        branches = []
        for node in family.alternatives:
            keys = _own_keys(node)
            if keys:
                branches.append(
                    (
                        f"{keys[0]!r} in {local}"
                        if len(keys) == 1
                        else f"not {local}.keys().isdisjoint({tuple(keys)!r})",
                        node,
                    )
                )
        return [*branches, ("", family.alternatives[0])] if self.forgiving else branches


def _miscounted(counted: Item) -> str:
    return f"the number of items is not what {counted.name} says"


def _own_keys(node: Node) -> list[str]:
    """The members by which an alternative is there."""
    return [node.key] if node.key is not None else keys_of(node)


def _families(node: Node) -> list[Family]:
    return [member for inner in descendants(node) for member in inner.members if isinstance(member, Family)]
