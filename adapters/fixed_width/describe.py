"""A layout for people and for programs: one row an item, with offset and length. Knows no output device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapters.fixed_width.model import Item, Layout


@dataclass(frozen=True, slots=True)
class Row:
    """One item: `offset` from 0 with every table before it at its longest, `length` of one occurrence."""

    level: int
    name: str
    offset: int
    length: int
    form: str
    notes: str
    depth: int


def rows(layout: Layout) -> Iterator[Row]:
    """All items of all records in the order of the source; level 66 at the end."""
    for record in layout.records:
        yield from _rows(record, 0)
    for rename in layout.renames:
        length = rename.last.offset + rename.last.total - rename.first.offset
        yield Row(
            66,
            rename.name,
            rename.first.offset,
            length,
            "",
            f"renames {rename.first.name} through {rename.last.name}",
            1,
        )


def _rows(item: Item, depth: int) -> Iterator[Row]:
    yield Row(item.level, item.name or "FILLER", item.offset, item.size, _form(item), _notes(item), depth)
    for child in item.children:
        yield from _rows(child, depth + 1)


def _form(item: Item) -> str:
    if item.kind is None:
        return "group"
    parts = [item.kind.value]
    if item.picture is not None and item.kind.value not in ("text", "national", "dbcs"):
        parts.append(f"{item.picture.digits} digits")
        if item.picture.scale:
            parts.append(f"scale {item.picture.scale}")
        if item.picture.signed:
            parts.append("signed" if item.sign.value in ("none", "trailing") else f"sign {item.sign.value}")
    return ", ".join(parts)


def _notes(item: Item) -> str:
    notes = []
    if item.occurs:
        times = (
            str(item.occurs.most)
            if item.occurs.depending is None
            else f"{item.occurs.least} to {item.occurs.most} by {item.occurs.depending.name}"
        )
        notes.append(f"occurs {times}")
    if item.redefines:
        notes.append(f"redefines {item.redefines.name}")
    if item.justified:
        notes.append("justified right")
    if item.blank_when_zero:
        notes.append("blank when zero")
    if item.slack_after:
        notes.append(f"{item.slack_after} slack bytes after each")
    notes.extend(f"88 {condition.name}" for condition in item.conditions)
    return "; ".join(notes)
