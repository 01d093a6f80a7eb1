"""Hypothesis strategies for JSON that a compiled schema accepts, in its normal form (what reading gives back)."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from adapters.soap.codec.facets import facet_checks
from adapters.soap.codec.lexical import compile_lexical, family
from adapters.soap.codec.naming import attribute_keys, polymorphic, type_names
from adapters.soap.codec.patterns import NCNAME
from adapters.soap.codec.shape import ANY, TEXT, TYPE, Shape, shape_of
from adapters.soap.schema.builtins import INTEGER_BOUNDS
from adapters.soap.schema.model import AnyType, Attribute, ComplexType, Element, Group, Particle, SimpleType, Wildcard
from adapters.soap.schema.schema import Schema

Json = Any
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=12
)
WORDS = st.from_regex(r"[A-Za-zäß0-9]{1,8}", fullmatch=True)
MOMENTS = {
    "date": st.dates().map(lambda day: day.isoformat()),
    "dateTime": st.datetimes().map(lambda moment: moment.isoformat()),
    "time": st.times().map(lambda moment: moment.isoformat()),
    "duration": st.builds("P{}DT{}H{}S".format, *[st.integers(0, 99)] * 3),
    "gYear": st.integers(1, 9999).map("{:04}".format),
    "gYearMonth": st.dates().map(lambda day: day.isoformat()[:7]),
    "gMonthDay": st.dates().map(lambda day: "--" + day.isoformat()[5:]),
    "gMonth": st.integers(1, 12).map("--{:02}".format),
    "gDay": st.integers(1, 31).map("---{:02}".format),
}


class Values:
    """Strategies over one schema. `depth` bounds recursive types."""

    def __init__(self, schema: Schema, *, encoded: bool = False) -> None:
        self._schema = schema
        self._encoded = encoded

    def element(self, element: Element, depth: int = 3) -> st.SearchStrategy[Json]:
        if element.fixed is not None:
            return st.just(element.fixed)
        value = self.type(element.type, depth)
        kind = element.type
        if polymorphic(self._schema, kind) and isinstance(kind, ComplexType) and kind is not self._schema.anything:
            others = [
                self.type(other, depth).map(
                    lambda made, name=name: {TYPE: name, **(made if type(made) is dict else {TEXT: made})}
                )
                for name, other in type_names(self._schema, kind).items()
                if isinstance(other, ComplexType) and not other.abstract and other is not kind
            ]
            value = st.one_of(*([] if kind.abstract else [value]), *others)
        if not element.nillable:
            return value
        if isinstance(kind, ComplexType) and any(a.required for a in kind.attributes.values()):
            return st.one_of(self._attributes(kind).map(lambda found: {**found, TEXT: None}), value)
        return st.one_of(st.none(), value)

    def type(self, kind: AnyType, depth: int) -> st.SearchStrategy[Json]:
        if isinstance(kind, SimpleType):
            return simple(kind)
        if kind is self._schema.anything:
            return GENERIC
        if kind.array_item is not None:
            return st.lists(self.element(kind.array_item, depth - 1), max_size=3)
        attributes = self._attributes(kind)
        if kind.text is not None:
            text = simple(kind.text)
            if not kind.attributes and kind.any_attribute is None:
                return text
            return st.builds(lambda found, made: {**found, TEXT: made}, attributes, text)
        shape = shape_of(kind)
        content = self._mixed(shape, depth) if kind.mixed else self._content(kind.content, shape, depth)

        def whole(found: dict[str, Json], made: dict[str, Json]) -> Json:
            empty: dict[str, Json] = {} if kind.mixed else {m.key: [] for m in shape.members.values() if m.always}
            return {**empty, **found, **made}

        return st.builds(whole, attributes, content)

    def _attributes(self, kind: ComplexType) -> st.SearchStrategy[dict[str, Json]]:
        keys = attribute_keys(kind)
        made = {
            required: {keys[name]: _attribute(a) for name, a in kind.attributes.items() if a.required is required}
            for required in (True, False)
        }
        declared = st.fixed_dictionaries(made[True], optional=made[False])
        if kind.any_attribute is None:
            return declared
        free = st.dictionaries(st.sampled_from(["@{urn:free}a", "@{urn:free}b", "@{urn:loose}a"]), TEXTS, max_size=2)
        return st.builds(lambda one, two: {**one, **two}, declared, free)

    def _content(self, particle: Particle | None, shape: Shape, depth: int) -> st.SearchStrategy[dict[str, Json]]:
        if particle is None:
            return st.just({})
        term = particle.term
        low, high = particle.min, min(particle.max, particle.min + 2)
        if depth <= 0:
            high = low
            if not high:
                return st.just({})
        if isinstance(term, Element):
            made = [self._occurrences(candidate, shape, low, high, depth) for candidate in term.candidates()]
            return st.one_of(*made)
        if isinstance(term, Wildcard):
            entries = st.one_of(
                st.builds(lambda name, value: {name: value}, st.sampled_from(["{urn:free}x", "{urn:free}y"]), GENERIC),
                st.integers(-9, 9).map(lambda number: {"{urn:example:other}Extra": number})
                if "{urn:example:other}Extra" in self._schema.elements
                else st.nothing(),
            )
            return st.lists(entries, min_size=low, max_size=high).map(lambda found: {ANY: found} if found else {})
        assert isinstance(term, Group), "the last kind of term"
        if term.kind == "choice":
            once = st.one_of(*[self._content(inner, shape, depth) for inner in term.particles])
        else:
            once = st.tuples(*[self._content(inner, shape, depth) for inner in term.particles]).map(_merged)
        return st.lists(once, min_size=low, max_size=high).map(_merged)

    def _occurrences(self, element: Element, shape: Shape, low: int, high: int, depth: int) -> st.SearchStrategy[Json]:
        member = shape.by_tag[element.name]
        value = st.deferred(lambda: self.element(element, depth - 1))

        def placed(found: list[Json]) -> dict[str, Json]:
            if member.repeating:
                return {member.key: found} if found or member.always else {}
            return {member.key: found[0]} if found else {}

        return st.lists(value, min_size=low, max_size=high).map(placed)

    def _mixed(self, shape: Shape, depth: int) -> st.SearchStrategy[dict[str, Json]]:
        entries = [
            st.deferred(lambda member=member: self.element(member.element, depth - 1)).map(
                lambda v, k=member.key: {k: v}
            )
            for member in shape.members.values()
        ]
        return st.lists(st.one_of(TEXTS.filter(bool), *entries), max_size=5).map(lambda found: {TEXT: _joined(found)})


def _attribute(declared: Attribute) -> st.SearchStrategy[Json]:
    if declared.fixed is None:
        return simple(declared.type)
    return st.just(compile_lexical(declared.type, "string").read(declared.fixed))


def _joined(entries: list[Json]) -> list[Json]:
    """Texts that follow each other are one text."""
    out: list[Json] = []
    for entry in entries:
        if isinstance(entry, str) and out and isinstance(out[-1], str):
            out[-1] += entry
        else:
            out.append(entry)
    return out


def _merged(parts: list[dict[str, Json]] | tuple[dict[str, Json], ...]) -> dict[str, Json]:
    out: dict[str, Json] = {}
    for part in parts:
        for key, value in part.items():
            out[key] = out[key] + value if key in out and isinstance(value, list) else value
    return out


GENERIC = st.one_of(
    TEXTS,
    st.builds(lambda text, mark: {"@{urn:free}m": mark, TEXT: text}, TEXTS, TEXTS),
    st.lists(
        st.builds(lambda name, text: {name: text}, st.sampled_from(["a", "{urn:free}b"]), TEXTS), min_size=1, max_size=3
    ).map(lambda found: {TEXT: found}),
)


def simple(kind: SimpleType) -> st.SearchStrategy[Json]:
    if kind.variety == "list":
        assert kind.item is not None, "a list has items"
        sizes = _chain(kind)
        high = min([f.max_length for f in sizes if f.max_length is not None], default=4)
        low = max(
            [f.min_length for f in sizes if f.min_length], default=1 if kind.builtin in ("NMTOKENS", "IDREFS") else 0
        )
        return st.lists(simple(kind.item), min_size=low, max_size=high)
    if kind.variety == "union":
        return st.one_of(*[simple(member) for member in kind.members])
    facets = _chain(kind)
    primitive = family(kind.builtin)
    listed = next((f.enumeration for f in facets if f.enumeration is not None), None)
    if listed is not None:
        values = st.sampled_from(listed)
        return values.map(int) if primitive == "integer" else values
    patterns = next((f.patterns for f in facets if f.patterns), None)
    if patterns:
        return st.from_regex(patterns[0][0].replace(r"\d", "[0-9]"), fullmatch=True)
    checks = facet_checks(kind, primitive)

    def accepted(text: str, value: Json) -> bool:
        return all(check(text, value) is None for check in checks)

    if primitive == "integer":
        low, high = INTEGER_BOUNDS[kind.builtin]
        return st.integers(low, high).filter(
            lambda number: -(2**63) <= number < 2**64 and accepted(str(number), number)
        )
    if primitive == "decimal":
        low, high, places = -(10**8), 10**8, 2
        if any(f.min_inclusive == "0" for f in facets):
            low, high = 0, 99
        return (
            st.decimals(low, high, places=places)
            .map(lambda number: format(number, "f"))
            .filter(lambda t: accepted(t, Decimal(t)))
        )
    if primitive in ("float", "double"):
        return st.one_of(st.floats(-(2.0**90), 2.0**90, width=32).map(float), st.sampled_from(["INF", "-INF", "NaN"]))
    if primitive == "boolean":
        return st.booleans()
    if primitive in MOMENTS:
        return MOMENTS[primitive].filter(lambda text: accepted(text, text))
    if primitive in ("base64Binary", "hexBinary"):
        octets = st.binary(max_size=20)
        return octets.map(lambda b: base64.b64encode(b).decode() if primitive == "base64Binary" else b.hex())
    if primitive == "QName":
        return st.sampled_from(["{urn:q}name", "plain"])
    if kind.builtin == "language":
        return st.sampled_from(["en", "de-CH"])
    if kind.builtin in ("string", "anySimpleType"):
        low = max([f.min_length or f.length or 0 for f in facets], default=0)
        high = min([f.max_length or f.length for f in facets if f.max_length or f.length], default=12)
        return st.text(TEXTS_ALPHABET, min_size=low, max_size=high)
    return WORDS.filter(lambda text: NCNAME.fullmatch(text) is not None)


TEXTS_ALPHABET = st.characters(
    codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"
) | st.sampled_from("<>&\"'\t\n\r")


def _chain(kind: SimpleType) -> list[Any]:
    out = []
    current: SimpleType | None = kind
    while current is not None:
        out.append(current.facets)
        current = current.base
    return out
