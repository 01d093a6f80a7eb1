"""`values` of a request: fields filled from placeholders and literals. Knows where each value came from, for blame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.codec.shape import Node, nodes_of
from adapters.fixed_width.errors import CopybookError, RecordError
from adapters.fixed_width.model import Item
from gateway.api.exchange import Exchange
from gateway.api.placeholder import ROOTS, Placeholder, Template, compile_template


@dataclass(frozen=True, slots=True)
class Assignment:
    """One line of `values`: the members that lead to its field, and what goes there."""

    field: str
    keys: tuple[str, ...]
    template: Template | None
    literal: object = None

    def value(self, exchange: Exchange, body: object) -> object:
        return self.literal if self.template is None else self.template.value(exchange, body)

    @property
    def source(self) -> str | None:
        """The JSON pointer into the caller's body, when the value is taken from there as it is."""
        part = self.template.parts[0] if self.template is not None and len(self.template.parts) == 1 else None
        return part.name if isinstance(part, Placeholder) and part.root == "body" else None


def compile_assignment(codec: RecordCodec, field: str, value: object) -> Assignment:
    """Raises CopybookError for a field that is not there, PlaceholderError for what is no template."""
    keys = keys_to(codec, field)
    if isinstance(value, str):
        template = compile_template(value, ROOTS)
        constant = template.constant
        return Assignment(field, keys, template) if constant is None else Assignment(field, keys, None, constant)
    return Assignment(field, keys, None, _exact(value))


def _exact(value: object) -> object:
    """YAML's floats as the decimals that were written."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {str(key): _exact(inner) for key, inner in value.items()}
    return [_exact(inner) for inner in value] if isinstance(value, list | tuple) else value


def keys_to(codec: RecordCodec, field: str) -> tuple[str, ...]:
    """Where `field` (a COBOL name, dotted where it is not the only one) is in the value."""
    wanted = field.upper().split(".")
    found = [
        (plan, way) for plan in codec.plans for way in _ways(plan.node, ()) if _path(way[1])[-len(wanted) :] == wanted
    ]
    if len(found) != 1:
        raise CopybookError(
            f"{field}: {'no such field' if not found else 'several fields of that name; write it as GROUP.FIELD'}"
        )
    plan, (keys, _) = found[0]
    return (plan.key, *keys) if len(codec.plans) > 1 else keys


def _ways(node: Node, keys: tuple[str, ...]) -> list[tuple[tuple[str, ...], Item]]:
    """Members of the value with their items, down to tables, which are filled as a whole."""
    ways: list[tuple[tuple[str, ...], Item]] = []
    for member in node.members:
        for inner in nodes_of(member):
            below = keys if inner.key is None else (*keys, inner.key)
            if inner.key is not None:
                ways.append((below, inner.item))
            if not inner.item.occurs:
                ways.extend(_ways(inner, below))
    return ways


def _path(item: Item) -> list[str]:
    return item.path.upper().split(".")


def assign(assignments: tuple[Assignment, ...], exchange: Exchange, body: object) -> dict[str, Any]:
    """The value that the assignments make. A placeholder without a value leaves its field out."""
    made: dict[str, Any] = {}
    for assignment in assignments:
        value = assignment.value(exchange, body)
        if value is None:
            continue
        *groups, last = assignment.keys
        inside = made
        for group in groups:
            inside = inside.setdefault(group, {})
        inside[last] = value
    return made


def blame(assignments: tuple[Assignment, ...], fault: RecordError) -> tuple[str, str]:
    """Detail and pointer for the caller: the member that the field's value came from, or what else it was."""
    for assignment in assignments:
        way = "".join(f"/{key}" for key in assignment.keys)
        if fault.pointer == way or fault.pointer.startswith(way + "/"):
            if assignment.source is not None:
                return fault.reason, assignment.source + fault.pointer[len(way) :]
            origin = "the configuration" if assignment.template is None else assignment.template.source
            return f"{assignment.field}, from {origin}: {fault.reason}", ""
    return f"{fault.field}: {fault.reason}", ""
