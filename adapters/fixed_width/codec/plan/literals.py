"""What a layout says of values, as JSON values: VALUE clauses, level-88 names, discriminators. Emits no code."""

from __future__ import annotations

from typing import Final

from adapters.fixed_width.codec.codepages import code_page
from adapters.fixed_width.codec.edited import edited_picture
from adapters.fixed_width.codec.numbers import Misfit, as_number, presenter, scaled
from adapters.fixed_width.errors import CopybookError
from adapters.fixed_width.model import Item, Kind, Literal
from adapters.fixed_width.names import json_name
from adapters.fixed_width.options import Options

MAX_RANGE: Final = 1000  # values of one level-88 range that `select` names


def is_number(item: Item, options: Options) -> bool:
    """Whether the item's JSON value is an integer scaled by its picture."""
    if item.kind is Kind.EDITED:
        return options.edited == "number"
    return item.kind in (Kind.ZONED, Kind.NATIONAL_ZONED, Kind.PACKED, Kind.UNSIGNED_PACKED, Kind.BINARY, Kind.NUMBER)


def pad_character(item: Item, options: Options) -> str:
    """What fills a text item and is trimmed from it."""
    if item.pad is not None:
        return item.pad
    if item.kind is Kind.DBCS:
        return "\u3000"
    return "\0" if options.pad == "low-values" and item.kind is Kind.TEXT else " "


def condition_names(item: Item, options: Options) -> dict[object, str]:
    """JSON value to level-88 name, for conditions that stand for exactly one value."""
    if options.conditions == "value":
        return {}
    names: dict[object, str] = {}
    for condition in item.conditions:
        if len(condition.values) == 1 and condition.values[0][1] is None:
            value = literal_value(item, condition.values[0][0], options)
            if value is not None:
                names.setdefault(value, json_name(condition.name, options.names))
    return names


def literal_value(item: Item, literal: Literal, options: Options) -> object | None:
    """A VALUE as the JSON value of its item; None where it has none (HIGH-VALUE in a number, octets that the code page lacks)."""
    numeric = is_number(item, options) or item.kind in (Kind.FLOAT, Kind.DOUBLE)
    fill = {"zero": "0", "space": " ", "quote": '"', "low": "\0", "all": literal.text}
    if numeric:
        text = "0" if literal.kind == "zero" else literal.text if literal.kind in ("number", "text") else ""
        try:
            if item.picture is None:
                return as_number(text)
            _, show = presenter(item.picture.scale, item.picture.digits, options.numbers)
            value = _edited(item, text) if item.kind is Kind.EDITED and literal.kind == "text" else None
            if value is None:
                value = scaled(text.strip(), item.picture.scale)
            return show(value) if show else value
        except Misfit:
            return None
    length = item.size // 2 if item.kind in (Kind.NATIONAL, Kind.DBCS) else item.size
    pad = pad_character(item, options)
    if literal.kind in fill:
        text = (fill[literal.kind] * length)[:length]
    elif (raw := literal_octets(item, literal)) is not None:
        national = item.kind is Kind.NATIONAL or literal.kind == "national hex"
        try:
            text = raw.decode("utf-16-be") if national else code_page(options.codepage).decode(raw)
        except UnicodeError:
            return None
    else:
        text = literal.text
    return text.rstrip(pad) if options.trim != "none" else text.ljust(length, pad)


def _edited(item: Item, text: str) -> int | None:
    """The number that is written so; "VALUE clause": the literal of an edited item is already edited."""
    assert item.picture is not None, "edited items have a picture"
    picture = edited_picture(item.picture.symbols, blank_when_zero=item.blank_when_zero)
    try:
        return picture.read(text.ljust(picture.size))
    except Misfit:
        return None


def literal_octets(item: Item, literal: Literal) -> bytes | None:
    """What a VALUE that is given as octets puts into its item; HIGH-VALUE is X'FF', or NX'FFFF' ("Figurative constants")."""
    if literal.kind == "high":
        return b"\xff" * item.size
    return bytes.fromhex(literal.text) if literal.kind in ("hex", "national hex") else None


def discriminator_values(item: Item, text: str, options: Options) -> tuple[object, ...]:
    """A `select` value as raw values of its field: those of a level-88 name, a number, or text. Raises CopybookError."""
    condition = next((one for one in item.conditions if one.name.upper() == text.upper()), None)
    if condition is None:
        return (_raw(item, text, options, text),)
    found: list[object] = []
    for first, last in condition.values:
        ends = [literal_value(item, literal, options) for literal in (first, last or first)]
        low, high = (_raw(item, None if end is None else str(end), options, text) for end in ends)
        if last is None:
            found.append(low)
        elif isinstance(low, int) and isinstance(high, int) and 0 <= high - low < MAX_RANGE:
            found.extend(range(low, high + 1))
        else:
            raise _no_select(item, f"{text} is a range; name its values")
    return tuple(found)


def _raw(item: Item, text: str | None, options: Options, named: str) -> object:
    problem = f"{named} is no value of {item.path}"
    if text is None:
        raise _no_select(item, problem)
    if not is_number(item, options):
        return text.rstrip(" \0")
    assert item.picture is not None, "numbers have a picture"
    try:
        return scaled(text, item.picture.scale)
    except Misfit as exc:
        raise _no_select(item, problem) from exc


def _no_select(item: Item, problem: str) -> CopybookError:
    return CopybookError(f"select: {problem}", line=item.line, column=item.column, file=item.file)
