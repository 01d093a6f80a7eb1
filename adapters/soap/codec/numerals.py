"""Numbers of XML Schema, exact: digits in JSON and digits in XML are the same digits. Facets come ready-made."""

from __future__ import annotations

import re
from decimal import Decimal
from math import isinf
from typing import Final

import orjson

from adapters.soap.codec.errors import Misfit, Odd
from adapters.soap.codec.facets import Check, failed
from adapters.soap.codec.lexical_form import WHITE, Lexical, Numbers
from adapters.soap.schema.builtins import INTEGER_BOUNDS
from adapters.soap.schema.model import SimpleType

MAX_DIGITS: Final = 1000  # of one number; XSD asks for 18, the largest in practice are RSA moduli
_EASY: Final = 9
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")
_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_FLOAT_LIMIT: Final = {"float": Decimal("3.4028236E38"), "double": Decimal("1.7976931348623158E308")}


def number_text(value: object) -> str:
    """The digits of an int or Decimal without an exponent. Raises Misfit when there would be too many."""
    if type(value) is Decimal:
        if not value.is_finite() or abs(value.adjusted()) > MAX_DIGITS or len(value.as_tuple().digits) > MAX_DIGITS:
            raise Misfit("the number has too many digits")
        return format(value, "f")
    return str(value)


def integers(kind: SimpleType, checks: tuple[Check, ...]) -> Lexical:
    low, high = INTEGER_BOUNDS[kind.builtin]
    what = f"a whole number is expected ({kind.builtin})" if kind.builtin != "integer" else "a whole number is expected"

    # what nearly all integers are: few digits that no bound can exclude
    easy = not checks and (low is None or low <= 0) and (high is None or high >= 10**_EASY - 1)

    def bounded(number: int) -> str | None:
        if low is not None and number < low:
            return f"must not be less than {low} ({kind.builtin})"
        if high is not None and number > high:
            return f"must not be greater than {high} ({kind.builtin})"
        return failed(checks, str(number), number) if checks else None

    def write(value: object) -> str:
        if type(value) is int:
            number = value
        elif (type(value) is str and len(value) <= MAX_DIGITS and _INTEGER.fullmatch(value)) or (
            type(value) is Decimal and abs(value.adjusted()) <= MAX_DIGITS and value == value.to_integral_value()
        ):
            number = int(value)
        else:
            raise Misfit(what)
        problem = bounded(number)
        if problem is not None:
            raise Misfit(problem)
        return str(number)

    def read(text: str) -> object:
        if easy and len(text) <= _EASY and text.isdecimal() and text.isascii():
            return int(text)
        text = text.strip(WHITE)
        if len(text) > MAX_DIGITS or not _INTEGER.fullmatch(text):
            raise Odd(what)
        number = int(text)
        problem = bounded(number)
        if problem is not None:
            raise Odd(problem)
        # orjson writes 64 bits; beyond, the digits go out as they are
        return number if -(2**63) <= number < 2**64 else orjson.Fragment(str(number))

    return Lexical(write, read, plain=True)


def decimals(checks: tuple[Check, ...], numbers: Numbers) -> Lexical:
    what = "a decimal number is expected"

    def write(value: object) -> str:
        if type(value) is int or type(value) is Decimal:
            text = number_text(value)
        elif type(value) is str and len(value) <= MAX_DIGITS and _DECIMAL.fullmatch(value):
            text = value
        else:
            raise Misfit(what)
        problem = failed(checks, text, Decimal(text)) if checks else None
        if problem is not None:
            raise Misfit(problem)
        return text

    def read(text: str) -> object:
        text = text.strip(WHITE)
        if len(text) > MAX_DIGITS or not _DECIMAL.fullmatch(text):
            raise Odd(what)
        problem = failed(checks, text, Decimal(text)) if checks else None
        if problem is not None:
            raise Odd(problem)
        if numbers == "string":
            return text
        return orjson.Fragment(text if _JSON_NUMBER.fullmatch(text) else format(Decimal(text), "f"))

    return Lexical(write, read, plain=True)


def floats(primitive: str, checks: tuple[Check, ...]) -> Lexical:
    limit = _FLOAT_LIMIT[primitive]
    special = {"INF": Decimal("Infinity"), "-INF": Decimal("-Infinity"), "NaN": Decimal("NaN")}
    what = "a number is expected, or one of INF, -INF, NaN"

    def write(value: object) -> str:
        if type(value) is str and value in special:
            text, number = value, special[value]
        elif type(value) is int or type(value) is Decimal:
            number = Decimal(value)
            text = str(value)
        elif type(value) is str and len(value) <= MAX_DIGITS and _FLOAT.fullmatch(value):
            text, number = value, Decimal(value)
        else:
            raise Misfit(what)
        if number.is_finite() and abs(number) >= limit:
            raise Misfit(f"the number is out of the range of {primitive}")
        problem = failed(checks, text, number) if checks else None
        if problem is not None:
            raise Misfit(problem)
        return text

    def read(text: str) -> object:
        text = text.strip(WHITE)
        if text in special:
            problem = failed(checks, text, special[text]) if checks else None
            if problem is not None:
                raise Odd(problem)
            return text
        if len(text) > MAX_DIGITS or not _FLOAT.fullmatch(text):
            raise Odd(what)
        number = float(text)
        if isinf(number):
            raise Odd(f"the number is out of the range of {primitive}")
        problem = failed(checks, text, Decimal(text)) if checks else None
        if problem is not None:
            raise Odd(problem)
        return number

    return Lexical(write, read, plain=True)
