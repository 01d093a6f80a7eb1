"""What a message can hold: the namespaces and types that its elements lead to. Knows neither JSON nor XML text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from adapters.soap.codec.shape import particles_of
from adapters.soap.schema.model import XSD, AnyType, ComplexType, Element, Group, Particle, descendants, split
from adapters.soap.schema.schema import Schema

MAX_REACHED: Final = 3000  # components; beyond, declaring every namespace is cheaper than knowing which


def reachable_types(schema: Schema, roots: Iterable[Element], limit: int) -> Iterator[ComplexType]:
    """The complex types that a message can hold, derived ones too, each once; at most about `limit` components are looked at."""
    seen: set[int] = set()
    waiting: list[Element | AnyType] = list(roots)
    while waiting and len(seen) < limit:
        component = waiting.pop()
        if id(component) in seen or component is schema.anything:
            continue
        seen.add(id(component))
        if isinstance(component, Element):
            waiting.append(component.type)
            waiting.extend(component.substitutes)
        elif isinstance(component, ComplexType):
            yield component
            waiting.extend(descendants(component))
            if component.array_item is not None:
                waiting.append(component.array_item)
            waiting.extend(p.term for p in particles_of(component.content) if isinstance(p.term, Element))


def reach(schema: Schema, roots: Iterable[Element], reached: set[str]) -> bool:
    """Add to `reached` the namespaces of all elements and types below; True when anything at all may appear."""
    seen: set[int] = set()
    waiting: deque[Element | AnyType] = deque(roots)  # the nearest first: most messages use most namespaces soon
    everything = False
    known = {XSD, *schema.namespaces}
    while waiting and not everything and not known <= reached:
        if len(seen) > MAX_REACHED:
            return True
        component = waiting.popleft()
        if id(component) in seen:
            continue
        seen.add(id(component))
        reached.add(split(component.name)[0])
        if isinstance(component, Element):
            waiting.append(component.type)
            waiting.extend(component.substitutes)
        elif component is schema.anything or component is schema.any_simple:
            everything = True
        elif isinstance(component, ComplexType):
            everything = any(_elements(component.content, waiting)) or everything
            reached.update(split(name)[0] for name in component.attributes)
            if component.array_item is not None:
                waiting.append(component.array_item)
            waiting.extend(descendants(component))
        elif split(component.name)[0] != XSD:
            waiting.extend(component.derived)
    return everything


def _elements(particle: Particle | None, found: deque[Element | AnyType]) -> Iterator[bool]:
    """Collect the elements of a content model; yields True for each wildcard."""
    if particle is None:
        return
    if isinstance(particle.term, Element):
        found.append(particle.term)
    elif isinstance(particle.term, Group):
        for inner in particle.term.particles:
            yield from _elements(inner, found)
    else:
        yield True
