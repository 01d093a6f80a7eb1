"""From an exception inside of generated code to a RecordError with field and offset. Runs only when things went wrong.

Generated code keeps the number of the field it is at in the local `f`; everything else is worked out here.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import Any, Final

from adapters.fixed_width.codec.numbers import Misfit, json_type
from adapters.fixed_width.errors import RecordError
from adapters.fixed_width.model import Item, Kind

# What generated code can raise over bad input; anything else is a bug and passes.
FAULTS: Final = (Misfit, ValueError, TypeError, KeyError, IndexError, OverflowError, ArithmeticError, struct.error)

_SANE_KEY = re.compile(r"[\w.-]{1,64}", re.ASCII)
_READ = {
    Kind.TEXT: "bytes that the code page does not have",
    Kind.NATIONAL: "bytes that are not UTF-16",
    Kind.DBCS: "bytes that are not double-byte characters of the code page",
    Kind.ZONED: "digits are expected, and a valid sign where the picture has one",
    Kind.NATIONAL_ZONED: "digits are expected",
    Kind.PACKED: "not a packed decimal: a nibble is no digit or no sign",
    Kind.UNSIGNED_PACKED: "not a packed decimal: a nibble is no digit",
    Kind.BINARY: "not a binary number of the picture",
    Kind.FLOAT: "not a floating-point number",
    Kind.DOUBLE: "not a floating-point number",
    Kind.EDITED: "not an edited number of the picture",
    Kind.NUMBER: "a number is expected",
    Kind.DATE: "a date is expected",
}


class Short(Misfit):
    """The record ends inside of a region; the number says which."""

    def __init__(self, region: int, base: int) -> None:
        super().__init__("the record ends before the field does")
        self.region = region
        self.base = base


class UnknownMember(Misfit):
    """A member that the layout does not have; `key` is its name."""

    def __init__(self, key: str) -> None:
        super().__init__("unknown member")
        self.key = key


@dataclass(slots=True)
class Place:
    """Where one field is: base local (None is the record's start) and distance, and the tables around it.

    `tables` pairs each table with the local list of the occurrences that are done.
    """

    item: Item
    base: str | None
    relative: int
    tables: tuple[tuple[Item, str], ...]
    pointer: tuple[str, ...] = ()  # members and, for a table's occurrence, the local list


@dataclass(slots=True)
class Places:
    """All fields of one plan by number, and the regions whose length is checked at once."""

    fields: list[Place] = field(default_factory=list)
    regions: list[list[tuple[Item, int, int]]] = field(default_factory=list)
    runs: list[list[tuple[int, int]]] = field(default_factory=list)  # characters and field number, one list a run


def _name(place: Place, env: dict[str, Any]) -> str:
    """COBOL's name with subscripts: REC.LINES(3).QTY."""
    done = {id(table): len(env.get(local, ())) + 1 for table, local in place.tables}
    parts: list[str] = []
    item: Item | None = place.item
    while item is not None:
        parts.append((item.name or "FILLER") + (f"({done[id(item)]})" if id(item) in done else ""))
        item = item.parent
    return ".".join(reversed(parts))


def _pointer(place: Place, env: dict[str, Any]) -> str:
    parts = [
        str(len(env.get(part[1:], ()))) if part.startswith("\0") else part.replace("~", "~0").replace("/", "~1")
        for part in place.pointer
    ]
    return "".join(f"/{part}" for part in parts)


def reading_fault(exc: Exception, places: Places, env: dict[str, Any], record: bytes) -> RecordError:
    """What decoding could not read."""
    place = places.fields[env["f"]]
    base = env.get(place.base, 0) if place.base else 0
    item, offset = place.item, base + place.relative
    if isinstance(exc, Short):
        found = [entry for entry in places.regions[exc.region] if exc.base + entry[1] + entry[2] > len(record)]
        if found:
            item, offset = found[0][0], exc.base + found[0][1]
        return RecordError(f"{exc.reason}: it has {len(record)} bytes", field=item.path, offset=offset)
    raw = record[offset : offset + item.size]
    reason = exc.reason if isinstance(exc, Misfit) else _READ[item.kind] if item.kind else "not readable"
    return RecordError(reason, field=_name(place, env), offset=offset, pointer=_pointer(place, env), raw=raw)


def writing_fault(exc: Exception, places: Places, env: dict[str, Any]) -> RecordError:
    """What encoding could not fit. The offset is that of the layout, tables at their longest."""
    if isinstance(exc, RecordError):
        return exc  # from reading back what was just written: it knows its own place
    number: int = env["f"]
    if number < 0:  # a run of characters was being encoded
        run = places.runs[-1 - number]
        at = exc.start if isinstance(exc, UnicodeEncodeError) else 0
        for characters, inside in run:
            number = inside
            if at < characters:
                break
            at -= characters
    place = places.fields[number]
    offset = place.item.offset
    for table, local in place.tables:
        offset += len(env.get(local, ())) * (table.size + table.slack_after)
    if isinstance(exc, Misfit):
        reason = exc.reason
    elif isinstance(exc, KeyError):
        reason = "missing"
    elif isinstance(exc, UnicodeError):
        reason = "a character that the code page does not have"
    elif isinstance(exc, struct.error | OverflowError):
        reason = "the number does not fit"
    else:
        reason = f"{json_type(env.get('v'))} does not fit"
    pointer = _pointer(place, env)
    if isinstance(exc, UnknownMember) and _SANE_KEY.fullmatch(exc.key):
        pointer += f"/{exc.key}"  # a name that is none is the caller's own text and goes no further
    return RecordError(reason, field=_name(place, env), offset=offset, pointer=pointer)
