"""xs:simpleType definitions: restriction with facets, list, union (XSD 1.0 part 1 §3.14). Resolves no names itself."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final

from lxml import etree

from adapters.soap.codec.patterns import BadPattern, compile_pattern
from adapters.soap.schema.documents import Findings, place
from adapters.soap.schema.model import XSD, Facets, Place, SimpleType, local_name

_X: Final = f"{{{XSD}}}"
_COUNTS: Final = {
    "length": "length",
    "minLength": "min_length",
    "maxLength": "max_length",
    "totalDigits": "total_digits",
    "fractionDigits": "fraction_digits",
}
_BOUNDS: Final = {
    "minInclusive": "min_inclusive",
    "maxInclusive": "max_inclusive",
    "minExclusive": "min_exclusive",
    "maxExclusive": "max_exclusive",
}
_WITHOUT_EFFECT: Final = ("whiteSpace", "annotation", "simpleType", "attribute", "attributeGroup", "anyAttribute")

Lookup = Callable[[etree._Element, str], list[SimpleType]]
"""The types that an attribute names or that are written inside, filled."""


def simple_definition(
    made: SimpleType, node: etree._Element, file: str, lookup: Lookup, findings: Findings, any_simple: SimpleType
) -> None:
    for child in node:
        if child.tag == _X + "restriction":
            bases = lookup(child, "base")
            if not bases:
                findings.error(place(child, file), "a restriction needs a base")
            _restrict_into(made, bases[0] if bases else any_simple, child, file, findings)
            return
        if child.tag == _X + "list":
            items = lookup(child, "itemType")
            if not items:
                findings.error(place(child, file), "a list needs an itemType")
            made.variety, made.item, made.base = "list", items[0] if items else any_simple, any_simple
            return
        if child.tag == _X + "union":
            made.variety, made.members, made.base = "union", tuple(lookup(child, "memberTypes")), any_simple
            if not made.members:
                findings.error(place(child, file), "a union needs memberTypes")
            return
    findings.error(place(node, file), "a simple type needs a restriction, a list or a union")
    made.base = any_simple


def restrict(base: SimpleType, step: etree._Element, file: str, findings: Findings) -> SimpleType:
    """An anonymous restriction of `base` by the facets inside `step`; `base` itself when there are none."""
    made = SimpleType("", place=place(step, file))
    _restrict_into(made, base, step, file, findings, register=False)
    return base if made.facets.empty else made


def _restrict_into(
    made: SimpleType, base: SimpleType, step: etree._Element, file: str, findings: Findings, *, register: bool = True
) -> None:
    made.base, made.builtin, made.variety = base, base.builtin, base.variety
    made.item, made.members = base.item, base.members
    if register:
        base.derived.append(made)
    facets = made.facets = Facets()
    enumeration: list[str] = []
    patterns: list[str] = []
    for child in step:
        if not isinstance(child.tag, str):
            continue
        kind, value, here = local_name(child.tag), child.get("value"), place(child, file)
        if kind in _WITHOUT_EFFECT:
            # whiteSpace only ever repeats or narrows what the built-in type does; see _whitespace
            if kind == "whiteSpace" and base.builtin in ("string", "normalizedString"):
                made.builtin = {"collapse": "token", "replace": "normalizedString"}.get(value or "", base.builtin)
        elif value is None:
            findings.error(here, f"{kind} needs a value")
        elif kind == "enumeration":
            enumeration.append(value)
        elif kind == "pattern":
            try:
                compile_pattern(value)
                patterns.append(value)
            except BadPattern as exc:
                findings.error(here, str(exc))
        elif kind in _COUNTS:
            if value.strip().isdigit():
                setattr(facets, _COUNTS[kind], int(value))
            else:
                findings.error(here, f"{kind} is a whole number")
        elif kind in _BOUNDS:
            if _comparable(base, value, here, findings):
                setattr(facets, _BOUNDS[kind], value.strip())
        else:
            findings.warning(here, f"the facet {kind} is not checked")
    facets.enumeration = tuple(enumeration) if enumeration else None
    facets.patterns = (tuple(patterns),) if patterns else ()  # XSD part 2 §4.3.4: patterns of one step are alternatives


def _comparable(base: SimpleType, value: str, here: Place, findings: Findings) -> bool:
    """Bounds of numbers must be numbers; those of dates are compared as text of the same form."""
    ancestor: SimpleType | None = base
    while ancestor is not None and ancestor.builtin not in ("decimal", "float", "double"):
        ancestor = ancestor.base
    if ancestor is None:
        return True
    try:
        Decimal(value.strip().replace("INF", "Infinity"))
    except InvalidOperation:
        findings.error(here, "the bound of a number is a number")
        return False
    return True
