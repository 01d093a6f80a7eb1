"""A message's content as one element, so that paths and mappings have one root to start from."""

from __future__ import annotations

from adapters.soap.codec.envelope import HEADERS
from adapters.soap.schema.model import ComplexType, Element, Group, Particle


def content_root(elements: tuple[Element, ...]) -> Element:
    """One element whose inside is the message's content, also where a document body has none or several."""
    return elements[0] if len(elements) == 1 else _around("", elements, 1)


def headers_root(elements: tuple[Element, ...]) -> Element:
    return _around(HEADERS, elements, 0)


def _around(name: str, elements: tuple[Element, ...], least: int) -> Element:
    particles = tuple(Particle(element, least) for element in elements)
    return Element(name, ComplexType("", content=Particle(Group("sequence", particles)) if particles else None))
