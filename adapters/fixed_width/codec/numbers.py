"""Numbers between JSON and COBOL: exact integers scaled by a power of ten. Knows no bytes.

A number that does not fit raises Misfit with a reason in words; nothing is ever rounded unless told so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_DOWN, Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final

# Beyond the digits of any field; what has more is refused by the trap, never rounded.
_EXACT: Final = Context(prec=120, traps=[Inexact, InvalidOperation, Overflow])
_CUT: Final = Context(prec=200, rounding=ROUND_DOWN)
multiply = _EXACT.multiply
_WRITTEN = re.compile(r"[+-]?(\d{1,60}(\.\d{0,60})?|\.\d{1,60})([eE][+-]?\d{1,3})?", re.ASCII)
_FARTHEST = 100  # powers of ten; the largest item has 38 digits, a float 76


class Misfit(Exception):
    """A value that its field cannot hold, or bytes that are no value of the field; the reason is for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def as_number(value: object) -> int | Decimal:
    """What JSON gave as an exact number. Raises Misfit for anything that is none, floats of Python included.

    Octets are a number as JSON has it written (jsontext.loads_raw).
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, bytes):
        try:
            value = Decimal(value.decode("ascii"))
        except InvalidOperation as exc:
            raise Misfit("the number does not fit") from exc
    if isinstance(value, str):
        if len(value) <= 60 and value.isascii() and value.removeprefix("-").isdigit():
            return int(value)
        if not _WRITTEN.fullmatch(value):
            raise Misfit("a number is expected, not this text")
        value = Decimal(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise Misfit("a finite number is expected")
        if value and not -_FARTHEST < value.adjusted() < _FARTHEST:
            raise Misfit("the number does not fit")
        return value
    raise Misfit(f"a number is expected, not {json_type(value)}")


def json_type(value: object) -> str:
    """The JSON name of a value's type, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return {str: "a string", dict: "an object", list: "an array", float: "a binary float"}.get(type(value), "a number")


def scaled(value: object, scale: int) -> int:
    """The integer that stands for `value` with `scale` decimal places. Raises Misfit when places would be lost.

    Raises ArithmeticError for numbers with more digits than any field has.
    """
    if type(value) is bytes and scale > 0 and value[-1 - scale : -scale] == b".":
        # as many places as the field has: 0.5 µs, by way of a Decimal 2.0 (loadtests/fixed_width.py)
        try:
            return int(value[: -1 - scale] + value[-scale:])
        except ValueError:  # there is an exponent, or more digits than int() likes
            pass
    if type(value) is Decimal:
        moved = _EXACT.scaleb(value, scale)
        if moved.adjusted() > 60:  # int() would write out every digit of 1e999999
            raise Misfit("the number does not fit")
        whole = int(moved)
        if whole != moved:
            raise _lost(scale)
        return whole
    number = as_number(value)
    if not isinstance(number, int):
        return scaled(number, scale)
    if scale >= 0:
        return number * int(10**scale)
    whole, rest = divmod(number, int(10**-scale))
    if rest:
        raise _lost(scale)
    return whole


def _lost(scale: int) -> Misfit:
    if scale == 0:
        return Misfit("a whole number is expected")
    return Misfit(
        f"the number has more than {scale} decimal places"
        if scale > 0
        else "the number is not a multiple of the field's unit"
    )


def truncated(value: object, scale: int, digits: int, signed: bool) -> int:
    """What MOVE would keep of `value`: low places and high digits are cut off, an unsigned field loses the sign."""
    number = as_number(value)
    kept = abs(int(_CUT.scaleb(Decimal(number), scale))) % int(10**digits)
    return -kept if signed and number < 0 else kept


def text_of(value: int, scale: int) -> str:
    """The integer with its decimal point written: 1230 and 2 give 12.30."""
    if scale <= 0:
        return str(value * int(10**-scale))
    digits = f"{abs(value):0{scale + 1}d}"
    return f"{'-' if value < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


def presenter(scale: int, digits: int, style: str) -> tuple[str, Callable[[int], object] | None]:
    """How a decoded integer is shown: `plain` (the integer), `decimal`, `power` or `text`, and the function for it.

    auto gives a JSON number where the picture has at most 15 digits (what a double holds), else a string.
    """
    if style == "string" or (style == "auto" and digits > 15):
        return "text", lambda value: text_of(value, scale)
    if scale > 0:
        unit = Decimal(1).scaleb(-scale)
        return "decimal", lambda value: multiply(value, unit)
    if scale < 0:
        factor = 10**-scale
        return "power", lambda value: value * factor
    return "plain", None
