"""JSON Schema (2020-12) of messages, by the same shapes that reading and writing go by."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from adapters.soap.codec.envelope import HEADERS
from adapters.soap.codec.lexical_form import Numbers
from adapters.soap.codec.message import body_elements, header_elements
from adapters.soap.codec.naming import attribute_keys, polymorphic, type_names
from adapters.soap.codec.shape import ANY, TEXT, TYPE, Shape, shape_of
from adapters.soap.description.simple_schema import Json, simple_schema
from adapters.soap.schema.model import (
    UNBOUNDED,
    AnyType,
    ComplexType,
    Element,
    Group,
    Particle,
    SimpleType,
    local_name,
)
from adapters.soap.schema.schema import Schema
from adapters.soap.schema.service_model import Message

MAX_VARIANTS: Final = 50  # of one polymorphic place; beyond, the schema would bury the reader


class JsonSchemas:
    """Schemas of one WSDL's messages. Named types are gathered in `definitions` and referred to under `prefix`."""

    def __init__(self, schema: Schema, prefix: str, *, numbers: Numbers = "string") -> None:
        self.definitions: dict[str, Json] = {}
        self._schema = schema
        self._prefix = prefix
        self._numbers = numbers
        self._names: dict[AnyType, str] = {}
        self._elements: dict[AnyType, str] = {}  # what an anonymous type is the type of
        self._inside: set[AnyType] = set()  # anonymous types that are being written
        self._queue: deque[tuple[str, ComplexType, str]] = deque()

    def message(self, message: Message) -> Json:
        """The JSON of a message, with its declared headers as `$headers`."""
        elements = body_elements(message)
        if len(elements) == 1:
            made = self.element(elements[0])
        else:
            members = {local_name(element.name): self.element(element) for element in elements}
            made = {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}
        headers = header_elements(message)
        if headers and "properties" in (inner := self._inline(made)):
            properties = inner["properties"]
            assert isinstance(properties, dict), "made so"
            found = {local_name(element.name): self.element(element) for element in headers}
            block = {
                "type": "object",
                "properties": found,
                "additionalProperties": False,
                "description": "SOAP header blocks.",
            }
            made = {**inner, "properties": {HEADERS: block, **properties}}
        self._drain()
        return made

    def element(self, element: Element) -> Json:
        if not element.type.name:
            self._elements.setdefault(element.type, element.name)
        made = self._type(element.type)
        if element.doc:
            made = {**made, "description": element.doc}
        if element.binary and "contentEncoding" in made:
            made = {**made, "contentMediaType": element.binary}
        if element.fixed is not None and isinstance(element.type, SimpleType):
            made = {"const": element.fixed, **made}
        return {"anyOf": [made, *self._nil(element.type)]} if element.nillable else made

    def _nil(self, kind: AnyType) -> Iterator[Json]:
        """null, or attributes beside a null `$`; the latter only where attributes are required (XSD 1.0 part 1 §3.4.4)."""
        if isinstance(kind, SimpleType) or not any(attribute.required for attribute in kind.attributes.values()):
            yield {"type": "null"}
        if isinstance(kind, ComplexType) and kind.attributes:
            keys = attribute_keys(kind)
            properties: Json = {
                keys[name]: simple_schema(attribute.type, self._numbers) for name, attribute in kind.attributes.items()
            }
            required = [keys[name] for name, attribute in kind.attributes.items() if attribute.required]
            yield {
                "type": "object",
                "properties": {**properties, TEXT: {"type": "null"}},
                "required": [*required, TEXT],
                "additionalProperties": False,
            }

    def elements(self, elements: tuple[Element, ...]) -> Json:
        made = {local_name(element.name): self.element(element) for element in elements}
        self._drain()
        return {"type": "object", "properties": made}

    def _inline(self, made: Json) -> Json:
        """A top-level reference resolved, so that members can be put beside its own."""
        reference = made.get("$ref")
        if not isinstance(reference, str):
            return made
        self._drain()
        return self.definitions[reference.removeprefix(self._prefix)]

    # --- types ---------------------------------------------------------------------------------------------

    def _type(self, kind: AnyType) -> Json:
        if isinstance(kind, SimpleType):
            return simple_schema(kind, self._numbers)
        if kind is self._schema.anything:
            return {"description": "Anything: a string, or an object with @attributes and $ for what is inside."}
        if kind.array_item is not None:
            return {"type": "array", "items": self.element(kind.array_item)}
        if not polymorphic(self._schema, kind):
            return self._reference(kind, "")
        names = type_names(self._schema, kind)
        concrete = [
            (name, other) for name, other in names.items() if isinstance(other, ComplexType) and not other.abstract
        ]
        variants = [] if kind.abstract else [self._reference(kind, "")]
        variants += [self._reference(other, name) for name, other in concrete[:MAX_VARIANTS] if other is not kind]
        return variants[0] if len(variants) == 1 else {"anyOf": variants}

    def _reference(self, kind: ComplexType, typed: str) -> Json:
        """A named type by reference, an anonymous one in place. `typed`: with `@xsi:type`, which must say this.

        An anonymous type that holds itself, by a reference to the element that it is the type of, goes by that element's name.
        """
        if not kind.name and not typed and kind not in self._inside and kind not in self._names:
            self._inside.add(kind)
            made = self._complex(kind, "")
            self._inside.remove(kind)
            return made
        name = self._name(kind) + (".typed" if typed else "")
        if name not in self.definitions:
            self.definitions[name] = {}
            self._queue.append((name, kind, typed))
        return {"$ref": self._prefix + name}

    def _name(self, kind: AnyType) -> str:
        name = self._names.get(kind)
        if name is None:
            base = name = "".join(
                char if char.isascii() and (char.isalnum() or char in "._-") else "_"
                for char in local_name(kind.name or self._elements.get(kind, "type"))
            )
            number = 2
            while name in self._names.values():
                name, number = f"{base}_{number}", number + 1
            self._names[kind] = name
        return name

    def _drain(self) -> None:
        while self._queue:
            name, kind, typed = self._queue.popleft()
            self.definitions[name] = self._complex(kind, typed)

    def _complex(self, kind: ComplexType, typed: str) -> Json:
        keys = attribute_keys(kind)
        properties: dict[str, Json] = {TYPE: {"const": typed}} if typed else {}
        required: list[str] = [TYPE] if typed else []
        for name, attribute in kind.attributes.items():
            properties[keys[name]] = simple_schema(attribute.type, self._numbers) | (
                {"description": attribute.doc} if attribute.doc else {}
            )
            if attribute.required:
                required.append(keys[name])
        if kind.text is not None:
            if not properties and kind.any_attribute is None:
                return simple_schema(kind.text, self._numbers)
            properties[TEXT] = simple_schema(kind.text, self._numbers)
            required.append(TEXT)
        made: Json = {"type": "object"}
        if kind.doc:
            made["description"] = kind.doc
        shape = shape_of(kind)
        if kind.mixed:
            inside = [{"type": "string"}] + [
                {
                    "type": "object",
                    "properties": {key: self.element(member.element)},
                    "required": [key],
                    "maxProperties": 1,
                }
                for key, member in shape.members.items()
            ]
            properties[TEXT] = {
                "type": "array",
                "items": {"anyOf": inside},
                "description": "Text and elements in order.",
            }
        else:
            self._members(shape, properties, required)
            alternatives = list(_alternatives(kind.content, shape))
            if alternatives:
                made["allOf"] = alternatives
        made["properties"] = properties
        if required:
            made["required"] = list(dict.fromkeys(required))
        if kind.any_attribute is not None:
            made["patternProperties"] = {_undeclared(keys.values()): {"type": "string"}}
        made["additionalProperties"] = False
        return made

    def _members(self, shape: Shape, properties: dict[str, Json], required: list[str]) -> None:
        for key, member in shape.members.items():
            value = self.element(member.element)
            if member.repeating:
                value = {"type": "array", "items": value}
                if member.min:
                    value["minItems"] = member.min
                if member.max < UNBOUNDED:
                    value["maxItems"] = member.max
            properties[key] = value
            if member.min:
                required.append(key)
        if shape.wildcards:
            entry = {"type": "object", "minProperties": 1, "maxProperties": 1}
            text = 'Elements that the schema leaves open, each as {"{namespace}name": value}.'
            properties[ANY] = {"type": "array", "items": entry, "description": text}


def _undeclared(keys: Iterable[str]) -> str:
    """Attributes that have no schema of their own: a pattern holds beside `properties` (JSON Schema core §10.3.2.2)."""
    declared = "|".join(re.sub(r"[][\\^$.*+?(){}|]", r"\\\g<0>", key[1:]) for key in keys)
    return f"^@(?!(?:{declared})$)" if declared else "^@"


def _alternatives(particle: Particle | None, shape: Shape) -> Iterator[Json]:
    """What `required` cannot say: exactly one alternative of a choice that must be made."""
    if particle is None or not isinstance(particle.term, Group) or particle.max > 1 or particle.min == 0:
        return
    if particle.term.kind != "choice":
        for inner in particle.term.particles:
            yield from _alternatives(inner, shape)
        return
    branches = [_needs(inner, shape) for inner in particle.term.particles]
    if branches and all(branches):
        yield {"oneOf": [{"required": branch} for branch in branches]}


def _needs(particle: Particle, shape: Shape) -> list[str]:
    if particle.min == 0:
        return []
    term = particle.term
    if isinstance(term, Element):
        candidates = list(term.candidates())
        return [shape.by_tag[candidates[0].name].key] if len(candidates) == 1 else []
    if isinstance(term, Group) and term.kind != "choice":
        return [key for inner in term.particles for key in _needs(inner, shape)]
    return []
