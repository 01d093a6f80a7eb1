"""Simple types: JSON values to XML text and back, facets included, exact throughout. Knows no elements.

Nothing passes through a binary float but xs:float and xs:double on their way back, which are binary floats.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from adapters.soap.codec.errors import Misfit, Odd
from adapters.soap.codec.facets import Check, comparable, facet_checks, failed
from adapters.soap.codec.lexical_form import WHITE, Lexical, Numbers, Qualified, words
from adapters.soap.codec.markup import free_name
from adapters.soap.codec.moments import MOMENTS
from adapters.soap.codec.numerals import decimals, floats, integers, number_text
from adapters.soap.codec.patterns import NAME, NCNAME, NMTOKEN
from adapters.soap.schema.builtins import BASES
from adapters.soap.schema.model import SimpleType

_LANGUAGE: Final = re.compile(r"[a-zA-Z]{1,8}(?:-[a-zA-Z0-9]{1,8})*")
_SHAPES: Final = {
    "language": (_LANGUAGE, "a language tag is expected, as in en or de-CH"),
    "Name": (NAME, "an XML name is expected"),
    "NMTOKEN": (NMTOKEN, "a name token is expected"),
    **dict.fromkeys(("NCName", "ID", "IDREF", "ENTITY"), (NCNAME, "an XML name without a colon is expected")),
}


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


def equals(kind: SimpleType, fixed: str) -> Callable[[str], bool]:
    """Whether a valid text is the fixed value, as a value (XSD 1.0 part 1 §3.3.4): 1.5 is 1.50, but not as a string."""
    primitive = family(kind.builtin) if kind.variety == "atomic" else kind.variety
    if primitive in ("QName", "NOTATION"):
        return lambda text: True  # what its prefix means is known where it stands alone
    if primitive == "boolean":
        return lambda text: (text.strip(WHITE) in ("1", "true")) == (fixed.strip(WHITE) in ("1", "true"))
    if kind.builtin not in ("string", "normalizedString"):
        try:
            wanted = comparable(primitive, fixed.strip(WHITE))
        except (ArithmeticError, ValueError):  # the schema's mistake: nothing is that value
            return lambda text: False
        return lambda text: bool(comparable(primitive, text.strip(WHITE)) == wanted)
    return lambda text: text == fixed


def _atomic(kind: SimpleType, numbers: Numbers) -> Lexical:
    primitive = family(kind.builtin)
    checks = facet_checks(kind, primitive)
    if primitive == "integer":
        return integers(kind, checks)
    if primitive == "decimal":
        return decimals(checks, numbers)
    if primitive in ("float", "double"):
        return floats(primitive, checks)
    if primitive == "boolean":
        return _booleans(checks)
    if primitive in MOMENTS:
        return _shaped(*MOMENTS[primitive], checks, plain=True)
    if primitive in ("base64Binary", "hexBinary"):
        return _binary(primitive, checks)
    if primitive in ("QName", "NOTATION"):
        return Lexical(_write_qname, _read_qname, qname=True)
    if primitive in ("anySimpleType", "anyAtomicType"):
        return Lexical(_anything, _same)
    write, read = _strings(kind.builtin, checks)
    return Lexical(write, read)


def _same(text: str) -> str:
    return text


def _anything(value: object) -> str:
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int or type(value) is Decimal:
        return number_text(value)
    raise Misfit("a string, a number or a boolean is expected")


def _strings(builtin: str, checks: tuple[Check, ...]) -> tuple[Callable[[object], str], Callable[[str], object]]:
    shape = _SHAPES.get(builtin)
    collapse = builtin not in ("string", "normalizedString")  # XSD part 2 §4.3.6
    replace = builtin == "normalizedString"

    def normal(text: str) -> str:
        if collapse:
            return " ".join(words(text))
        return text.replace("\t", " ").replace("\n", " ").replace("\r", " ") if replace else text

    def write(value: object) -> str:
        if type(value) is not str:
            raise Misfit("a string is expected")
        text = normal(value)
        if shape is not None and not shape[0].fullmatch(text):
            raise Misfit(shape[1])
        problem = failed(checks, text, text)
        if problem is not None:
            raise Misfit(problem)
        return text

    def read(text: str) -> object:
        text = normal(text)
        if shape is not None and not shape[0].fullmatch(text):
            raise Odd(shape[1])
        problem = failed(checks, text, text)
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


def _write_qname(value: object) -> str:
    if type(value) is not str:
        raise Misfit("a qualified name is expected, as {namespace}local")
    free_name(value)
    return Qualified(value)


def _read_qname(text: str) -> object:
    text = text.strip(WHITE)
    if not all(NCNAME.fullmatch(part) for part in text.split(":", 1)):  # part 2 §3.2.18
        raise Odd("a qualified name is expected")
    return Qualified(text)


def _booleans(checks: tuple[Check, ...]) -> Lexical:
    what = "true or false is expected"
    # XSD part 2 §3.2.2.3: the only facet is pattern; where it has no room for a word there may be one for the digit
    allowed = [text for text in ("true", "1", "false", "0") if failed(checks, text, text) is None]
    values = {text: text in ("true", "1") for text in allowed}
    texts = {value: next((text for text in allowed if values[text] is value), None) for value in (True, False)}

    def write(value: object) -> str:
        text = texts[value] if type(value) is bool else value
        if type(text) is not str or text not in values:
            raise Misfit(what)
        return text

    def read(text: str) -> object:
        value = values.get(text)
        if value is None:
            value = values.get(text.strip(WHITE))
        if value is None:
            raise Odd(what)
        return value

    return Lexical(write, read, plain=True)


def _shaped(valid: Callable[[str], bool], what: str, checks: tuple[Check, ...], *, plain: bool) -> Lexical:
    def write(value: object) -> str:
        if type(value) is not str or not valid(value):
            raise Misfit(what)
        wrong = failed(checks, value, value) if checks else None
        if wrong is not None:
            raise Misfit(wrong)
        return value

    def read(text: str) -> object:
        text = text.strip(WHITE)
        if not valid(text):
            raise Odd(what)
        wrong = failed(checks, text, text) if checks else None
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
        text = "".join(words(text))
        decoded = octets(text)
        problem = failed(checks, text, decoded)
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
            if words(text) != [text]:
                raise Misfit("an entry of a list must be neither empty nor hold white space", index)
            texts.append(text)
        problem = failed(checks, " ".join(texts), texts)
        if problem is not None:
            raise Misfit(problem)
        return Qualified(" ".join(texts)) if all(type(text) is Qualified for text in texts) else " ".join(texts)

    def read(text: str) -> object:
        texts = words(text)
        problem = failed(checks, " ".join(texts), texts)
        if problem is not None:
            raise Odd(problem)
        return [item.read(entry) for entry in texts]

    return Lexical(write, read, plain=item.plain, qname=item.qname)


def _union(kind: SimpleType, numbers: Numbers) -> Lexical:
    members = [compile_lexical(member, numbers) for member in kind.members]
    checks = facet_checks(kind, "union")

    def write(value: object) -> str:
        for member in members:
            try:
                text = member.write(value)
            except Misfit:
                continue
            problem = failed(checks, text, text)
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
            problem = failed(checks, text.strip(WHITE), text.strip(WHITE))
            if problem is not None:
                raise Odd(problem)
            return value
        raise Odd("fits none of the types that are allowed here")

    return Lexical(
        write,
        read,
        plain=bool(members) and all(member.plain for member in members),
        qname=any(member.qname for member in members),
    )
