"""ELEMENT/PATH of the configuration: resolved against the schema once, walked in JSON afterwards."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.soap.codec.naming import attribute_keys
from adapters.soap.codec.shape import ANY, TEXT, shape_of
from adapters.soap.schema.model import ComplexType, Element
from adapters.soap.schema.schema import Schema


class BadPath(ValueError):
    """The path names nothing in the schema."""


@dataclass(frozen=True, slots=True)
class Step:
    key: str
    repeating: bool


def resolve(schema: Schema, root: Element, path: str) -> tuple[Step, ...]:
    """The steps of `path` from inside `root`. Raises BadPath, with what there is.

    Below xs:any, xs:anyType and types that are named only at run time nothing can be checked, so anything passes.
    """
    steps: list[Step] = []
    kind = root.type
    known = True
    for key in path.split("/"):
        if not key:
            raise BadPath("a path is written as NAME/NAME, without a slash at either end")
        if not known or kind is schema.anything or key == ANY:
            steps.append(Step(key, False))
            known = False
            continue
        if isinstance(kind, ComplexType) and kind.array_item is not None:
            raise BadPath(f"{steps[-1].key if steps else root.name} is an array; its items have no names")
        members = shape_of(kind).members if isinstance(kind, ComplexType) and kind.text is None else {}
        keys: list[str] = list(members)
        if isinstance(kind, ComplexType):
            keys += attribute_keys(kind).values()
            if kind.text is not None or kind.mixed:
                keys.append(TEXT)
        if key in members:
            member = members[key]
            steps.append(Step(key, member.repeating))
            kind = member.element.type
        elif key in keys or (
            isinstance(kind, ComplexType) and (kind.derived or kind.abstract) and not key.startswith("@")
        ):
            steps.append(Step(key, False))
            known = False
        else:
            close = difflib.get_close_matches(key, keys, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(keys[:12]) or 'none'}"
            raise BadPath(f"'{key}' is not in {steps[-1].key if steps else 'the message'}; {hint}")
    return tuple(steps)


def place(target: dict[str, object], steps: tuple[Step, ...], value: object) -> None:
    """Put `value` where the steps lead; a repeating element on the way gets one item, which paths share."""
    current = target
    for step in steps[:-1]:
        found = current.get(step.key)
        if step.repeating:
            if not isinstance(found, list) or not found:
                found = current[step.key] = [{}]
            found = found[0]
        elif not isinstance(found, dict):
            found = current[step.key] = {}
        if not isinstance(found, dict):
            return  # a placeholder put a whole value there; it stays
        current = found
    last = steps[-1]
    current[last.key] = [value] if last.repeating and not isinstance(value, list) else value


def select(value: object, steps: tuple[Step, ...]) -> object:
    """What the steps lead to; None where something on the way is absent. Of an array on the way, each item's."""
    for position, step in enumerate(steps):
        if isinstance(value, list):
            rest = steps[position:]
            return [select(entry, rest) for entry in value]
        value = value.get(step.key) if isinstance(value, Mapping) else None
    return value
