"""Simple types: JSON values to XML text and back, facets included, exact throughout. Knows no elements.

Nothing passes through a binary float but xs:float and xs:double on their way back, which are binary floats.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from math import isinf
from typing import Final, Literal

import orjson

from adapters.soap.codec.errors import Misfit, Odd
from adapters.soap.codec.facets import Check, facet_checks
from adapters.soap.codec.moments import MOMENTS
from adapters.soap.codec.patterns import NAME, NCNAME, NMTOKEN
from adapters.soap.schema.builtins import BASES, INTEGER_BOUNDS
from adapters.soap.schema.model import SimpleType

Numbers = Literal["string", "number"]

MAX_DIGITS: Final = 1000  # of one number; XSD asks for 18, the largest in practice are RSA moduli
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")
_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_LANGUAGE: Final = re.compile(r"[a-zA-Z]{1,8}(?:-[a-zA-Z0-9]{1,8})*")
_FLOAT_LIMIT: Final = {"float": Decimal("3.4028236E38"), "double": Decimal("1.7976931348623158E308")}
_SHAPES: Final = {
    "language": (_LANGUAGE, "a language tag is expected, as in en or de-CH"),
    "Name": (NAME, "an XML name is expected"),
    "NMTOKEN": (NMTOKEN, "a name token is expected"),
    **dict.fromkeys(("NCName", "ID", "IDREF", "ENTITY"), (NCNAME, "an XML name without a colon is expected")),
}


@dataclass(frozen=True, slots=True)
class Lexical:
    """One simple type, compiled. `plain`: its text never needs escaping."""

    write: Callable[[object], str]  # raises Misfit
    read: Callable[[str], object]  # raises Odd
    plain: bool = False
    qname: bool = False  # its text is a QName, whose prefix only the element around it can resolve


def compile_lexical(kind: SimpleType, numbers: Numbers) -> Lexical:
    match kind.variety:
        case "list":
            return _list(kind, numbers)
        case "union":
            return _union(kind, numbers)
        case "atomic":
            return _atomic(kind, numbers)


def family(builtin: str) -> str:
    """The primitive that decides the JSON form: `integer` stands for itself, else XSD's primitive type."""
    while (
        builtin not in ("integer", "anySimpleType", "anyAtomicType")
        and BASES.get(builtin, "anySimpleType") != "anySimpleType"
    ):
        builtin = BASES[builtin]
    return builtin


def _atomic(kind: SimpleType, numbers: Numbers) -> Lexical:
    primitive = family(kind.builtin)
    checks = facet_checks(kind, primitive)
    if primitive == "integer":
        return _integers(kind, checks)
    if primitive == "decimal":
        return _decimals(checks, numbers)
    if primitive in ("float", "double"):
        return _floats(primitive, checks)
    if primitive == "boolean":
        return _booleans(checks)
    if primitive in MOMENTS:
        return _shaped(*MOMENTS[primitive], checks, plain=True)
    if primitive in ("base64Binary", "hexBinary"):
        return _binary(primitive, checks)
    if primitive in ("QName", "NOTATION"):
        return Lexical(_strings("QName", ())[0], lambda text: " ".join(text.split()), qname=True)
    if primitive in ("anySimpleType", "anyAtomicType"):
        return Lexical(_anything, _same)
    write, read = _strings(kind.builtin, checks)
    return Lexical(write, read)


def _failed(checks: tuple[Check, ...], text: str, value: object) -> str | None:
    for check in checks:
        problem = check(text, value)
        if problem is not None:
            return problem
    return None


def _same(text: str) -> str:
    return text


def _anything(value: object) -> str:
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int or type(value) is Decimal:
        return _number_text(value)
    raise Misfit("a string, a number or a boolean is expected")


def _number_text(value: object) -> str:
    """The digits of an int or Decimal without an exponent. Raises Misfit when there would be too many."""
    if type(value) is Decimal:
        if not value.is_finite() or abs(value.adjusted()) > MAX_DIGITS or len(value.as_tuple().digits) > MAX_DIGITS:
            raise Misfit("the number has too many digits")
        return format(value, "f")
    return str(value)


def _strings(builtin: str, checks: tuple[Check, ...]) -> tuple[Callable[[object], str], Callable[[str], object]]:
    shape = _SHAPES.get(builtin)
    collapse = builtin not in ("string", "normalizedString")  # XSD part 2 §4.3.6
    replace = builtin == "normalizedString"

    def normal(text: str) -> str:
        if collapse:
            return " ".join(text.split())
        return text.replace("\t", " ").replace("\n", " ").replace("\r", " ") if replace else text

    def write(value: object) -> str:
        if type(value) is not str:
            raise Misfit("a string is expected")
        text = normal(value)
        if shape is not None and not shape[0].fullmatch(text):
            raise Misfit(shape[1])
        problem = _failed(checks, text, text)
        if problem is not None:
            raise Misfit(problem)
        return text

    def read(text: str) -> object:
        text = normal(text)
        if shape is not None and not shape[0].fullmatch(text):
            raise Odd(shape[1])
        problem = _failed(checks, text, text)
        if problem is not None:
            raise Odd(problem)
        return text

    if builtin == "string" and not checks:
        return _plain_string, _same
    return write, read


def _plain_string(value: object) -> str:
    if type(value) is not str:
        raise Misfit("a string is expected")
    return value


def _integers(kind: SimpleType, checks: tuple[Check, ...]) -> Lexical:
    low, high = INTEGER_BOUNDS[kind.builtin]
    what = f"a whole number is expected ({kind.builtin})" if kind.builtin != "integer" else "a whole number is expected"

    def bounded(number: int) -> str | None:
        if low is not None and number < low:
            return f"must not be less than {low} ({kind.builtin})"
        if high is not None and number > high:
            return f"must not be greater than {high} ({kind.builtin})"
        return _failed(checks, str(number), number) if checks else None

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
        text = text.strip(" \t\r\n")
        if len(text) > MAX_DIGITS or not _INTEGER.fullmatch(text):
            raise Odd(what)
        number = int(text)
        problem = bounded(number)
        if problem is not None:
            raise Odd(problem)
        # orjson writes 64 bits; beyond, the digits go out as they are
        return number if -(2**63) <= number < 2**64 else orjson.Fragment(str(number))

    return Lexical(write, read, plain=True)


def _decimals(checks: tuple[Check, ...], numbers: Numbers) -> Lexical:
    what = "a decimal number is expected"

    def write(value: object) -> str:
        if type(value) is int or type(value) is Decimal:
            text = _number_text(value)
        elif type(value) is str and len(value) <= MAX_DIGITS and _DECIMAL.fullmatch(value):
            text = value
        else:
            raise Misfit(what)
        problem = _failed(checks, text, Decimal(text)) if checks else None
        if problem is not None:
            raise Misfit(problem)
        return text

    def read(text: str) -> object:
        text = text.strip(" \t\r\n")
        if len(text) > MAX_DIGITS or not _DECIMAL.fullmatch(text):
            raise Odd(what)
        problem = _failed(checks, text, Decimal(text)) if checks else None
        if problem is not None:
            raise Odd(problem)
        if numbers == "string":
            return text
        return orjson.Fragment(text if _JSON_NUMBER.fullmatch(text) else format(Decimal(text), "f"))

    return Lexical(write, read, plain=True)


def _floats(primitive: str, checks: tuple[Check, ...]) -> Lexical:
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
        problem = _failed(checks, text, number) if checks else None
        if problem is not None:
            raise Misfit(problem)
        return text

    def read(text: str) -> object:
        text = text.strip(" \t\r\n")
        if text in special:
            return text
        if len(text) > MAX_DIGITS or not _FLOAT.fullmatch(text):
            raise Odd(what)
        number = float(text)
        if isinf(number):
            raise Odd(f"the number is out of the range of {primitive}")
        problem = _failed(checks, text, Decimal(text)) if checks else None
        if problem is not None:
            raise Odd(problem)
        return number

    return Lexical(write, read, plain=True)


def _booleans(checks: tuple[Check, ...]) -> Lexical:
    texts = {"true": "true", "false": "false", "1": "1", "0": "0"}
    values = {"true": True, "1": True, "false": False, "0": False}

    def write(value: object) -> str:
        if value is True:
            return "true"
        if value is False:
            return "false"
        if type(value) is str and value in texts:
            return texts[value]
        raise Misfit("true or false is expected")

    def read(text: str) -> object:
        value = values.get(text.strip(" \t\r\n"))
        if value is None:
            raise Odd("true or false is expected")
        return value

    return Lexical(write, read, plain=True)


def _shaped(valid: Callable[[str], bool], what: str, checks: tuple[Check, ...], *, plain: bool) -> Lexical:
    def problem(text: str) -> str | None:
        return _failed(checks, text, text) if valid(text) else what

    def write(value: object) -> str:
        if type(value) is not str:
            raise Misfit(what)
        wrong = problem(value)
        if wrong is not None:
            raise Misfit(wrong)
        return value

    def read(text: str) -> object:
        text = text.strip(" \t\r\n")
        wrong = problem(text)
        if wrong is not None:
            raise Odd(wrong)
        return text

    return Lexical(write, read, plain=plain)


def _binary(primitive: str, checks: tuple[Check, ...]) -> Lexical:
    base64 = primitive == "base64Binary"
    what = "base64 is expected" if base64 else "an even number of hexadecimal digits is expected"

    def octets(text: str) -> bytes:
        try:
            return binascii.a2b_base64(text, strict_mode=True) if base64 else binascii.unhexlify(text)
        except ValueError as exc:
            raise Odd(what) from exc

    def write(value: object) -> str:
        if type(value) is not str:
            raise Misfit(what)
        try:
            return read(value)
        except Odd as exc:
            raise Misfit(exc.detail) from exc

    def read(text: str) -> str:
        text = "".join(text.split())
        decoded = octets(text)
        problem = _failed(checks, text, decoded)
        if problem is not None:
            raise Odd(problem)
        return text

    return Lexical(write, read, plain=True)


def _list(kind: SimpleType, numbers: Numbers) -> Lexical:
    assert kind.item is not None, "a list type has an item type"
    item = compile_lexical(kind.item, numbers)
    checks = facet_checks(kind, "list")

    def write(value: object) -> str:
        if type(value) is not list:
            raise Misfit("an array is expected")
        texts = []
        for index, entry in enumerate(value):
            try:
                text = item.write(entry)
            except Misfit as misfit:
                misfit.path.append(index)
                raise
            if not text or len(text.split()) != 1:
                raise Misfit("an entry of a list must be neither empty nor hold white space", index)
            texts.append(text)
        problem = _failed(checks, " ".join(texts), texts)
        if problem is not None:
            raise Misfit(problem)
        return " ".join(texts)

    def read(text: str) -> object:
        texts = text.split()
        problem = _failed(checks, " ".join(texts), texts)
        if problem is not None:
            raise Odd(problem)
        return [item.read(entry) for entry in texts]

    return Lexical(write, read, plain=item.plain)


def _union(kind: SimpleType, numbers: Numbers) -> Lexical:
    members = [compile_lexical(member, numbers) for member in kind.members]
    checks = facet_checks(kind, "union")

    def write(value: object) -> str:
        for member in members:
            try:
                text = member.write(value)
            except Misfit:
                continue
            problem = _failed(checks, text, text)
            if problem is not None:
                raise Misfit(problem)
            return text
        raise Misfit("fits none of the types that are allowed here")

    def read(text: str) -> object:
        for member in members:
            try:
                value = member.read(text)
            except Odd:
                continue
            problem = _failed(checks, text.strip(), text.strip())
            if problem is not None:
                raise Odd(problem)
            return value
        raise Odd("fits none of the types that are allowed here")

    return Lexical(write, read, plain=bool(members) and all(member.plain for member in members))
