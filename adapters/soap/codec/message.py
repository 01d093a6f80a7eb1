"""The elements of a message: what stands in the Body, what in the Header (WSDL 1.1 §3). Reads and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.soap.schema.model import ComplexType, Element, Group, Particle
from adapters.soap.schema.service_model import Message, Part


def body_elements(message: Message) -> tuple[Element, ...]:
    """The elements in the Body, rpc parts gathered under their wrapper, which is one element like any other then."""
    if message.style == "document":
        return tuple(part.element or Element(part.name, part.type) for part in message.parts)
    return (Element(message.wrapper, gathered(message.parts, encoded=message.encoded)),)


def gathered(parts: Iterable[Part], *, encoded: bool = False) -> ComplexType:
    """Parts as a type of their own: one member each, in order (WSDL 1.1 §3.5: rpc accessors are unqualified)."""
    particles = tuple(
        Particle(part.element or Element(part.name, part.type, nillable=encoded, place=part.place)) for part in parts
    )
    return ComplexType("", content=Particle(Group("sequence", particles)) if particles else None)


def header_elements(message: Message | None) -> tuple[Element, ...]:
    """The declared header blocks of a message."""
    if message is None:
        return ()
    return tuple(part.element or Element(part.name, part.type) for part in message.headers)
