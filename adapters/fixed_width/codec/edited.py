"""Numeric-edited pictures, both ways: an integer of digits to its edited text and back. Knows nothing of bytes.

Rules: Language Reference, "PICTURE clause editing": simple, special, fixed and floating insertion, zero suppression.
Reading is strict: the digits are taken out, edited again, and must give the same text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from adapters.fixed_width.codec.numbers import Misfit

_TOKEN = re.compile(r"CR|DB|.", re.S)


@dataclass(frozen=True, slots=True)
class EditedPicture:
    """One compiled picture. `edit` raises Misfit at too many digits, `read` at text that the picture cannot give."""

    size: int
    digits: int
    edit: Callable[[int], str]
    read: Callable[[str], int]


def edited_picture(symbols: str, *, blank_when_zero: bool = False) -> EditedPicture:
    """Compile the written-out symbols of a numeric-edited picture."""
    symbols_in_order = [symbol for symbol in _TOKEN.findall(symbols) if symbol != "V"]
    floating = next((one for one in "+-$" if symbols_in_order.count(one) > 1), "")
    signed = any(one in symbols_in_order for one in ("+", "-", "CR", "DB"))
    suppressing = next((one for one in "Z*" if one in symbols_in_order), "")
    positions = [
        index for index, symbol in enumerate(symbols_in_order) if symbol in ("9", "Z", "*") or symbol == floating
    ]
    if floating:
        positions = positions[1:]  # "Floating insertion editing": the first symbol only inserts
    all_suppressed = all(symbols_in_order[index] != "9" for index in positions)
    size = len(symbols.replace("V", ""))
    point = _point(symbols)
    blank_zero = blank_when_zero or (all_suppressed and suppressing != "*")

    def edit(value: int) -> str:
        digits = f"{abs(value):0{len(positions)}d}"
        if len(digits) > len(positions):
            raise Misfit("the number has more digits than the picture")
        if value < 0 and not signed:
            raise Misfit("a negative number, and the picture has no sign")
        if value == 0 and blank_zero:
            return " " * size
        if value == 0 and all_suppressed:  # asterisks replace all but the decimal point
            return "".join("." if symbol == "." else "*" * len(symbol) for symbol in symbols_in_order)
        return _edited(symbols_in_order, set(positions), digits, value < 0, floating, suppressing, point)

    def read(text: str) -> int:
        if not text.strip(" ") and blank_zero:
            return 0
        digits = []
        for index, place in _places(symbols_in_order):
            one = text[place : place + 1]
            if index in kept:
                digits.append(one if one in "0123456789" and one else "0")
        value = int("".join(digits) or "0")
        marked = signed and any(mark in text for mark in ("-", "CR", "DB"))
        for candidate in (-value, value) if marked else (value,):
            if edit(candidate) == text:
                return candidate
        raise Misfit("the text is not what the picture gives for any number")

    kept = set(positions)
    return EditedPicture(size, len(positions), edit, read)


def _point(symbols: str) -> int:
    """Index, among the symbols_in_order without V, of the decimal point or where it is assumed; past the end when there is none."""
    symbols_in_order = _TOKEN.findall(symbols)
    return next((index for index, symbol in enumerate(symbols_in_order) if symbol in (".", "V")), len(symbols_in_order))


def _places(symbols_in_order: list[str]) -> list[tuple[int, int]]:
    places, at = [], 0
    for index, symbol in enumerate(symbols_in_order):
        places.append((index, at))
        at += len(symbol)
    return places


def _edited(
    symbols_in_order: list[str],
    positions: set[int],
    digits: str,
    negative: bool,
    floating: str,
    suppressing: str,
    point: int,
) -> str:
    """Left to right: `blank` holds until the first significant digit, a 9 or the decimal point ends suppression."""
    out: list[str] = []
    sign = {"+": "-" if negative else "+", "-": "-" if negative else " ", "$": "$"}
    fill = "*" if suppressing == "*" else " "
    significant = False
    inserted = not floating  # whether the floating symbol has been put
    digit = iter(digits)
    first_float = next((index for index, symbol in enumerate(symbols_in_order) if symbol == floating), -1)
    region = False  # inside of the run of suppressed or floating positions
    for index, symbol in enumerate(symbols_in_order):
        if index >= point and not significant and (floating or suppressing):
            # Digits after the point are never suppressed unless all are, which the caller has dealt with.
            significant = True
            if not inserted:
                _float(out, sign[floating], fill)
                inserted = True
        if index in positions:
            one = next(digit)
            if not significant and (symbol == "9" or one != "0"):
                significant = True
                if not inserted:
                    _float(out, sign[floating], fill)
                    inserted = True
            out.append(one if significant else fill)
            region = region or symbol in ("Z", "*") or symbol == floating
        elif index == first_float:
            out.append(" ")
            region = True
        elif symbol in (",", "B", "0", "/"):
            shown = " " if symbol == "B" else symbol
            out.append(fill if region and not significant else shown)
        elif symbol in ("CR", "DB"):
            out.append(symbol if negative else "  ")
        elif symbol in sign:
            out.append(sign[symbol])
        else:
            out.append(symbol)
    return "".join(out)


def _float(out: list[str], symbol: str, fill: str) -> None:
    """Put the floating symbol in the last position that was left blank."""
    assert out, "a floating string has at least one symbol before its first digit"
    for index in range(len(out) - 1, -1, -1):
        if out[index] == fill:
            out[index] = symbol
            return
