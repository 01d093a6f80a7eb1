"""What a copybook or a plain layout says once it is understood: a tree of items with offsets.

Knows neither COBOL's syntax nor how bytes become values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """How the bytes of an elementary item are to be read; one member for each form in storage."""

    TEXT = "text"  # PIC X, A: bytes of the code page, shifts included
    NATIONAL = "national"  # PIC N: UTF-16 big-endian
    DBCS = "dbcs"  # PIC G, DISPLAY-1: double bytes without shifts
    ZONED = "zoned"
    NATIONAL_ZONED = "national zoned"  # PIC 9 USAGE NATIONAL
    PACKED = "packed"  # COMP-3
    UNSIGNED_PACKED = "unsigned packed"  # COMP-6
    BINARY = "binary"
    FLOAT = "float"  # COMP-1, 4 bytes
    DOUBLE = "double"  # COMP-2, 8 bytes
    EDITED = "edited"
    NUMBER = "number"  # plain layouts: a written number, padded
    DATE = "date"  # plain layouts


class Sign(Enum):
    """Where a zoned number keeps its sign. IBM Language Reference, "SIGN clause"."""

    NONE = "none"
    TRAILING = "trailing"
    LEADING = "leading"
    TRAILING_SEPARATE = "trailing separate"
    LEADING_SEPARATE = "leading separate"


@dataclass(frozen=True, slots=True)
class Picture:
    """A PICTURE character-string, understood.

    `digits` counts digit positions that are stored; `scale` is the number of decimal places: the value is the
    stored integer times 10**-scale, so PIC 9PP has scale -2. `symbols` is the string with repetitions written out.
    """

    category: str  # alphabetic, alphanumeric, alphanumeric-edited, numeric, numeric-edited, national, dbcs
    symbols: str
    size: int  # character positions
    digits: int = 0
    scale: int = 0
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Literal:
    """A VALUE: text, a number as written, or a figurative constant that fills its item."""

    text: str
    kind: str  # text | number | hex | national hex | zero | space | high | low | quote | all


@dataclass(frozen=True, slots=True)
class Condition:
    """A level-88 name; each value is one literal or a range."""

    name: str
    values: tuple[tuple[Literal, Literal | None], ...]


@dataclass(frozen=True, slots=True)
class Occurs:
    """A table: `least` to `most` times; `depending` is the item that holds the number, when it varies."""

    least: int
    most: int
    depending: Item | None = None


@dataclass(slots=True, eq=False)
class Item:
    """A group or an elementary item. Built once by the parser, then only read.

    `offset` counts from the start of the record, every table before it at its longest. `size` is the length of
    one occurrence at its longest. `slack_after` is what SYNCHRONIZED adds at the end of each occurrence.
    """

    name: str  # "" is FILLER
    level: int
    line: int = 0
    column: int = 0
    file: str = ""
    kind: Kind | None = None  # None is a group
    picture: Picture | None = None
    sign: Sign = Sign.NONE
    size: int = 0
    offset: int = 0
    little_endian: bool = False
    full_range: bool = False  # COMP-5: the storage decides, not the picture
    justified: bool = False
    blank_when_zero: bool = False
    align: int = 1  # SYNCHRONIZED
    occurs: Occurs | None = None
    redefines: Item | None = None
    value: Literal | None = None
    conditions: tuple[Condition, ...] = ()
    children: list[Item] = field(default_factory=list)
    parent: Item | None = None
    slack_after: int = 0
    pad: str | None = None  # plain layouts
    align_right: bool = False  # plain layouts
    written_point: bool = False  # plain layouts: the decimal point is in the data
    date_format: str | None = None  # plain layouts

    @property
    def is_group(self) -> bool:
        return self.kind is None

    @property
    def total(self) -> int:
        """Bytes of all occurrences at their most."""
        return (self.size + self.slack_after) * (self.occurs.most if self.occurs else 1)

    @property
    def path(self) -> str:
        """Qualified name from the record down, `FILLER` for what has none."""
        name = self.name or "FILLER"
        return name if self.parent is None else f"{self.parent.path}.{name}"

    def ancestors(self) -> list[Item]:
        """The groups that it is in, the innermost first."""
        above = []
        group = self.parent
        while group is not None:
            above.append(group)
            group = group.parent
        return above

    def walk(self) -> Iterator[Item]:
        """This item and all below it, in the order of the source."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def varies(self) -> bool:
        """Whether a DEPENDING ON below (not on) this item changes its length."""
        return any(
            child.varies or (child.occurs is not None and child.occurs.depending is not None) for child in self.children
        )


@dataclass(frozen=True, slots=True)
class Rename:
    """Level 66: another name for a run of items. It takes no storage and has no place in JSON."""

    name: str
    first: Item
    last: Item


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything one copybook (or layout file) describes.

    `records` are the level 01 and 77 items in order; `files` every file that was read, for watching.
    `codepage` and `record_format` are what a plain layout says of itself; None where it says nothing.
    """

    records: tuple[Item, ...]
    renames: tuple[Rename, ...] = ()
    files: tuple[str, ...] = ()
    plain: bool = False
    codepage: str | None = None
    record_format: str | None = None

    def record(self, name: str) -> Item | None:
        """The record of that name, in any case."""
        return next((item for item in self.records if item.name.upper() == name.upper()), None)
