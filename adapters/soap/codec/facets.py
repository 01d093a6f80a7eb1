"""Constraining facets (XSD 1.0 part 2 §4.3) as checks. Each names what is wrong, never the value."""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from adapters.soap.codec.lexical_form import words
from adapters.soap.codec.moments import MOMENTS, instant
from adapters.soap.codec.patterns import compile_pattern
from adapters.soap.schema.model import Facets, SimpleType

Check = Callable[[str, Any], "str | None"]
"""Takes the normalised text and the value (a number, octets, list items or the text); returns what is wrong, or None."""

_NUMERIC: Final = frozenset(("integer", "decimal", "float", "double"))


def facet_checks(kind: SimpleType, primitive: str) -> tuple[Check, ...]:
    """The checks of a type and of all it is restricted from, the nearest first."""
    checks: list[Check] = []
    current: SimpleType | None = kind
    enumerated = False
    while current is not None and (current.variety == kind.variety or not current.facets.empty):
        facets = current.facets
        if not facets.empty:
            if facets.enumeration is not None and not enumerated:
                enumerated = True
                checks.append(_enumeration(facets.enumeration, primitive))
            checks.extend(_step(facets, primitive))
        current = current.base
    return tuple(checks)


def failed(checks: tuple[Check, ...], text: str, value: object) -> str | None:
    for check in checks:
        problem = check(text, value)
        if problem is not None:
            return problem
    return None


def comparable(primitive: str, text: str) -> Any:
    """A bound or an enumerated value in the value space (part 2 §4.2): 1.0 equals 1, but as strings they differ."""
    text = " ".join(words(text)) if primitive != "string" else text
    if primitive in _NUMERIC:
        return Decimal(text.replace("INF", "Infinity"))
    if primitive in MOMENTS:
        return instant(primitive, text)
    return text


def _enumeration(values: tuple[str, ...], primitive: str) -> Check:
    shown = ", ".join(values[:12]) + (", …" if len(values) > 12 else "")
    problem = f"is not one of the values that are allowed: {shown}"
    texts = frozenset(values) | frozenset(" ".join(words(value)) for value in values)
    if primitive not in _NUMERIC:
        return lambda text, value: None if text in texts else problem
    numbers = frozenset(comparable(primitive, value) for value in values)
    # part 2 §3.2.4.1: NaN equals itself, which Python's does not
    return lambda text, value: None if value in numbers or (text == "NaN" and text in texts) else problem


def _step(facets: Facets, primitive: str) -> list[Check]:
    checks: list[Check] = []
    for bound, holds, said in (
        (facets.length, operator.eq, "must have exactly"),
        (facets.min_length, operator.ge, "must have at least"),
        (facets.max_length, operator.le, "must have at most"),
    ):
        if bound is not None:
            checks.append(_length(bound, holds, said, primitive))
    for alternatives in facets.patterns:
        checks.append(_patterns(alternatives))
    for text, passes, said in (
        (facets.min_inclusive, operator.ge, "must not be less than"),
        (facets.max_inclusive, operator.le, "must not be greater than"),
        (facets.min_exclusive, operator.gt, "must be greater than"),
        (facets.max_exclusive, operator.lt, "must be less than"),
    ):
        if text is not None:
            checks.append(_bound(text, passes, said, primitive))
    if primitive in _NUMERIC and (facets.total_digits is not None or facets.fraction_digits is not None):
        checks.append(_digits(facets.total_digits, facets.fraction_digits))
    return checks


def _length(bound: int, holds: Callable[[Any, Any], bool], said: str, primitive: str) -> Check:
    if primitive in ("QName", "NOTATION"):  # part 2 §4.3.1: deprecated there, and every value passes
        return lambda text, value: None
    unit = {"list": "items", "hexBinary": "octets", "base64Binary": "octets"}.get(primitive, "characters")
    problem = f"{said} {bound} {unit}"
    return lambda text, value: None if holds(len(value if type(value) in (list, bytes) else text), bound) else problem


def _patterns(alternatives: tuple[str, ...]) -> Check:
    tests = [compile_pattern(alternative) for alternative in alternatives]
    problem = "does not match the pattern " + " or ".join(alternatives)
    return lambda text, value: None if any(test(text) for test in tests) else problem


def _bound(bound: str, passes: Callable[[Any, Any], bool], said: str, primitive: str) -> Check:
    limit = comparable(primitive, bound)
    problem = f"{said} {bound}"
    if primitive in MOMENTS:
        return lambda text, value: None if passes(instant(primitive, text), limit) else problem
    if primitive in ("float", "double"):  # part 2 §3.2.4.1: NaN is neither less nor greater than anything
        return lambda text, value: None if text != "NaN" and passes(value, limit) else problem
    return lambda text, value: None if passes(value, limit) else problem


def _digits(total: int | None, fraction: int | None) -> Check:
    def check(text: str, value: Any) -> str | None:
        _, digits, exponent = Decimal(value).normalize().as_tuple()
        scale = exponent if isinstance(exponent, int) else 0
        if fraction is not None and -scale > fraction:
            return f"must have at most {fraction} digits after the point"
        if total is not None and max(len(digits), -scale) + max(scale, 0) > total:
            return f"must have at most {total} digits"
        return None

    return check
