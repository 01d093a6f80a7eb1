"""What `@xsi:type` may say at a place, and what attributes are called in JSON. Shared by both directions."""

from __future__ import annotations

from adapters.soap.schema.model import AnyType, ComplexType, descendants, local_name
from adapters.soap.schema.schema import Schema


def type_names(schema: Schema, declared: AnyType) -> dict[str, AnyType]:
    """The named types that may stand where `declared` does, by their name in JSON: local where that is unambiguous."""
    found: dict[str, AnyType] = {}
    clashes: set[str] = set()
    universe = schema.types.values() if declared is schema.anything else descendants(declared)
    for kind in universe:
        if not kind.name:
            continue
        local = local_name(kind.name)
        if local in found and found[local] is not kind:
            clashes.add(local)
        found[local] = kind
    named = {local: kind for local, kind in found.items() if local not in clashes}
    if clashes:
        universe = schema.types.values() if declared is schema.anything else descendants(declared)
        named |= {kind.name: kind for kind in universe if local_name(kind.name) in clashes}
    return named


def polymorphic(schema: Schema, declared: AnyType) -> bool:
    """Whether a value here may name a type of its own: derived types exist in this schema, or anything goes."""
    if declared is schema.anything or declared is schema.any_simple:
        return True
    if isinstance(declared, ComplexType) and declared.array_item is not None:
        return False
    if declared.name.startswith("{http://www.w3.org/2001/XMLSchema}"):
        return False  # every schema derives from string; nobody means it
    return any(kind.name for kind in descendants(declared) if kind is not declared)


def attribute_keys(kind: ComplexType) -> dict[str, str]:
    """JSON member by attribute name: `@local`, or `@{namespace}local` where two share a local name."""
    locals_seen: dict[str, int] = {}
    for name in kind.attributes:
        locals_seen[local_name(name)] = locals_seen.get(local_name(name), 0) + 1
    return {name: "@" + (local_name(name) if locals_seen[local_name(name)] == 1 else name) for name in kind.attributes}
