"""Plain layouts: fixed-width records described in YAML, for systems without COBOL. Knows the form, no records.

    record: PAYMENT
    codepage: ascii
    record_format: "delimiter:\\n"
    fields:
      - {name: account, length: 10, type: integer}              # right-aligned, padded with zeros
      - {name: holder, length: 20}                              # text, left-aligned, padded with blanks
      - {name: amount, length: 9, type: decimal, scale: 2}      # the point is implied; `point: true` writes it
      - {name: due, start: 40, length: 8, type: date, format: "%Y%m%d"}
      - name: lines
        occurs: 3
        fields: [{name: sku, length: 6}, {name: quantity, length: 3, type: integer}]

`start` counts from 1, inside of a group from the group's start; left out, a field follows the one before. `zoned`,
`packed` and `binary` are the types of COBOL's DISPLAY, COMP-3 and COMP.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final

import yaml

from adapters.fixed_width.errors import CopybookError
from adapters.fixed_width.model import Item, Kind, Layout, Occurs, Picture, Sign
from adapters.fixed_width.options import parse_record_format

_TYPES: Final = {
    "text": Kind.TEXT, "integer": Kind.NUMBER, "decimal": Kind.NUMBER, "date": Kind.DATE,
    "zoned": Kind.ZONED, "packed": Kind.PACKED, "binary": Kind.BINARY,
}  # fmt: skip
_TOP = ("record", "codepage", "record_format", "length", "fields")
_FIELD = (
    "name", "start", "length", "type", "pad", "align", "scale", "point", "signed", "little_endian", "format", "occurs", "fields",
)  # fmt: skip
MAX_LENGTH = 1 << 20


@dataclass(frozen=True, slots=True)
class _Map:
    """A mapping of the file, each value with its place."""

    node: yaml.MappingNode
    values: dict[str, yaml.Node]
    file: str

    def error(self, message: str, key: str = "") -> CopybookError:
        mark = (self.values.get(key) or self.node).start_mark
        return CopybookError(message, line=mark.line + 1, column=mark.column + 1, file=self.file)

    def text(self, key: str, default: str = "") -> str:
        node = self.values.get(key)
        if node is None:
            return default
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(f"{key}: text is expected", key)
        return str(node.value)

    def number(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        text = self.text(key)
        if not text and default is not None:
            return default
        if not re.fullmatch(r"\d{1,7}", text) or not least <= int(text) <= MAX_LENGTH:
            raise self.error(f"{key}: a whole number from {least} to {MAX_LENGTH} is expected", key)
        return int(text)

    def truth(self, key: str, default: bool) -> bool:
        text = self.text(key, "true" if default else "false")
        if text not in ("true", "false"):
            raise self.error(f"{key}: true or false is expected", key)
        return text == "true"


def parse_layout(source: str, *, file: str = "") -> Layout:
    """The layout that the YAML describes. Raises CopybookError with line and column."""
    try:
        node = yaml.compose(source, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        raise CopybookError(
            f"not YAML: {exc.problem}",
            line=mark.line + 1 if mark else 0,
            column=mark.column + 1 if mark else 0,
            file=file,
        ) from exc
    if node is None:
        raise CopybookError("the layout is empty", file=file)
    top = _mapping(node, file, _TOP)
    record = Item(top.text("record", "RECORD"), 1, 1, 1, file)
    _group(record, top, 0)
    if "length" in top.values:
        length = top.number("length")
        if length < record.size:
            raise top.error(f"length: the fields need {record.size}", "length")
        if length > record.size:
            record.children.append(
                Item("", 2, 1, 1, file, Kind.TEXT, size=length - record.size, offset=record.size, parent=record)
            )
            record.size = length
    if form := top.text("record_format"):
        try:
            parse_record_format(form)
        except ValueError as exc:
            raise top.error(str(exc), "record_format") from exc
    return Layout(
        (record,),
        files=(file,) if file else (),
        plain=True,
        codepage=top.text("codepage") or None,
        record_format=form or None,
    )


def _mapping(node: yaml.Node, file: str, allowed: tuple[str, ...]) -> _Map:
    mark = node.start_mark
    if not isinstance(node, yaml.MappingNode):
        raise CopybookError("a mapping is expected", line=mark.line + 1, column=mark.column + 1, file=file)
    values: dict[str, yaml.Node] = {}
    for key, value in node.value:
        at = key.start_mark
        name = str(key.value)
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            raise CopybookError(
                f"unknown key '{name}'" + (f"; did you mean '{near[0]}'?" if near else ""),
                line=at.line + 1,
                column=at.column + 1,
                file=file,
            )
        if name in values:
            raise CopybookError(f"'{name}' stands twice", line=at.line + 1, column=at.column + 1, file=file)
        values[name] = value
    return _Map(node, values, file)


def _group(item: Item, source: _Map, offset: int) -> None:
    """Place the fields of a group one after the other; gaps become FILLER, overlaps are errors."""
    fields = source.values.get("fields")
    if not isinstance(fields, yaml.SequenceNode) or not fields.value:
        raise source.error("fields: a list of fields is expected", "fields")
    end = offset
    seen: set[str] = set()
    for node in fields.value:
        field = _mapping(node, source.file, _FIELD)
        name = field.text("name")
        if name in seen and name:
            raise field.error(f"{name} stands twice", "name")
        seen.add(name)
        start = offset + field.number("start", end - offset + 1) - 1
        if start < end:
            raise field.error(
                f"{name or 'the field'} starts at {start - offset + 1}, the field before it ends at {end - offset}",
                "start",
            )
        if start > end:
            item.children.append(Item("", item.level + 1, kind=Kind.TEXT, size=start - end, offset=end, parent=item))
        child = _field(field, name, item, start)
        item.children.append(child)
        end = start + child.total
    item.size = end - offset
    if item.size > MAX_LENGTH:
        raise source.error(f"the record has more than {MAX_LENGTH} bytes")


def _field(source: _Map, name: str, parent: Item, offset: int) -> Item:
    mark = source.node.start_mark
    item = Item(name, parent.level + 1, mark.line + 1, mark.column + 1, source.file, offset=offset, parent=parent)
    if "occurs" in source.values:
        times = source.number("occurs")
        item.occurs = Occurs(times, times)
    if "fields" in source.values:
        for key in ("length", "type", "pad", "align", "scale", "point", "format"):
            if key in source.values:
                raise source.error(f"{key} does not go with fields", key)
        _group(item, source, offset)
        return item
    kind = source.text("type", "text")
    if kind not in _TYPES:
        near = difflib.get_close_matches(kind, _TYPES, n=1)
        raise source.error(
            f"unknown type '{kind}'" + (f"; did you mean '{near[0]}'?" if near else f"; one of {', '.join(_TYPES)}"),
            "type",
        )
    item.kind, item.size = _TYPES[kind], source.number("length")
    _details(item, source, kind)
    return item


def _details(item: Item, source: _Map, kind: str) -> None:
    """Alignment, padding, scale and format, as far as they go with the type."""
    numeric = kind in ("integer", "decimal")
    scale = source.number("scale", 0, least=0)
    if scale and kind not in ("decimal", "zoned", "packed", "binary"):
        raise source.error(f"scale goes with type decimal, not with {kind}", "scale")
    item.pad = source.text("pad", "0" if numeric else " ")
    if len(item.pad) != 1:
        raise source.error("pad: one character is expected", "pad")
    align = source.text("align", "right" if numeric else "left")
    if align not in ("left", "right"):
        raise source.error("align: left or right is expected", "align")
    item.align_right = align == "right"
    if numeric and not item.align_right and item.pad == "0":
        raise source.error("align: a number on the left cannot be padded with zeros", "align")
    item.written_point = source.truth("point", False)
    signed = source.truth("signed", kind != "zoned")
    if kind == "date":
        item.date_format = source.text("format", "%Y%m%d")
    elif "format" in source.values:
        raise source.error(f"format goes with type date, not with {kind}", "format")
    if kind in ("text", "date"):
        return
    digits = 2 * item.size - 1 if kind == "packed" else item.size - (item.written_point and scale > 0)
    if kind == "binary":
        if item.size not in (1, 2, 4, 8):
            raise source.error("length: a binary field has 1, 2, 4 or 8 bytes", "length")
        digits, item.full_range = (3, 5, 10, 19)[(1, 2, 4, 8).index(item.size)], True
        item.little_endian = source.truth("little_endian", False)
    if digits > 60 or scale >= 60:
        raise source.error("length: a number has at most 60 digits", "length")
    if kind == "zoned" and signed:
        item.sign = Sign.TRAILING
    item.picture = Picture("numeric", "", item.size, digits, scale, signed)
