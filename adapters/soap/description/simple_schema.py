"""JSON Schema of simple types: their primitive, narrowed by their facets. Knows no elements."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from adapters.soap.codec.lexical import family
from adapters.soap.codec.lexical_form import Numbers
from adapters.soap.codec.numerals import MAX_DIGITS
from adapters.soap.codec.patterns import translatable
from adapters.soap.schema.builtins import INTEGER_BOUNDS
from adapters.soap.schema.model import SimpleType

Json = dict[str, object]

_FORMATS: Final[dict[str, Json]] = {
    "date": {"type": "string", "format": "date"},
    "dateTime": {
        "type": "string",
        "description": "A date and time, as in 2031-01-31T12:00:00Z; the zone may be absent.",
    },
    "time": {"type": "string", "description": "A time, as in 12:00:00; the zone may be absent."},
    "duration": {"type": "string", "format": "duration"},
    "boolean": {"type": "boolean"},
    "base64Binary": {"type": "string", "contentEncoding": "base64"},
    "hexBinary": {"type": "string", "contentEncoding": "base16"},
    "anyURI": {"type": "string", "description": "A URI."},
    "QName": {"type": "string", "description": "A qualified name, as {namespace}local."},
}
_FLOAT: Final[Json] = {"anyOf": [{"type": "number"}, {"enum": ["INF", "-INF", "NaN"]}]}


def simple_schema(kind: SimpleType, numbers: Numbers) -> Json:
    """The schema of one value; `numbers` says how xs:decimal is written."""
    if kind.variety == "list":
        assert kind.item is not None, "a list has an item type"
        return {"type": "array", "items": simple_schema(kind.item, numbers)} | _sizes(kind, "Items")
    if kind.variety == "union":
        return {"anyOf": [simple_schema(member, numbers) for member in kind.members]}
    made = _primitive(kind, numbers)
    current: SimpleType | None = kind
    while current is not None:
        for word, value in _facets(current, made).items():
            made.setdefault(word, value)
        current = current.base
    if kind.doc:
        made["description"] = kind.doc
    return made


def _primitive(kind: SimpleType, numbers: Numbers) -> Json:
    primitive = family(kind.builtin)
    if primitive == "integer":
        low, high = INTEGER_BOUNDS[kind.builtin]
        return {"type": "integer", **_given("minimum", low), **_given("maximum", high)}
    if primitive == "decimal":
        if numbers == "number":
            return {"type": "number"}
        return {"type": "string", "format": "decimal", "pattern": r"^[+-]?(\d+(\.\d*)?|\.\d+)$"}
    if primitive in ("float", "double"):
        return dict(_FLOAT)
    if primitive in ("anySimpleType", "anyAtomicType"):
        return {"type": ["string", "number", "boolean"]}
    return dict(_FORMATS.get(primitive, {"type": "string"}))


def _facets(kind: SimpleType, made: Json) -> Json:
    facets = kind.facets
    found: Json = {}
    integer, text = made.get("type") == "integer", made.get("type") == "string"
    if facets.enumeration is not None:
        found["enum"] = [int(value) if integer else value for value in facets.enumeration]
    if text and "contentEncoding" not in made and "format" not in made:
        found |= _sizes(kind, "Length")
        if len(facets.patterns) == 1 and all(translatable(pattern) for pattern in facets.patterns[0]):
            found["pattern"] = f"^(?:{'|'.join(facets.patterns[0])})$"
    if made.get("type") in ("integer", "number"):
        for word, bound in (
            ("minimum", facets.min_inclusive),
            ("maximum", facets.max_inclusive),
            ("exclusiveMinimum", facets.min_exclusive),
            ("exclusiveMaximum", facets.max_exclusive),
        ):
            number = _number(bound)
            if number is not None:
                made.pop(word, None)  # a restriction only ever narrows
                found[word] = number
    return found


def _number(text: str | None) -> int | float | None:
    try:
        value = Decimal(text) if text is not None else None
    except InvalidOperation:
        return None
    if value is None or not value.is_finite() or value.adjusted() > MAX_DIGITS:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def _sizes(kind: SimpleType, unit: str) -> Json:
    facets = kind.facets
    low = facets.length if facets.length is not None else facets.min_length
    high = facets.length if facets.length is not None else facets.max_length
    return {**_given(f"min{unit}", low), **_given(f"max{unit}", high)}


def _given(word: str, value: object) -> Json:
    return {} if value is None else {word: value}
