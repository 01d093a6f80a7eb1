"""How a complex type looks in JSON: which member stands for which element, which repeat, which order is valid.

Reading, writing and JSON Schema all go by the same shape, so they cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final
from weakref import WeakKeyDictionary

from adapters.soap.schema.model import (
    UNBOUNDED,
    ComplexType,
    Element,
    Group,
    Particle,
    Wildcard,
    local_name,
    split,
)

ANY: Final = "$any"
TEXT: Final = "$"
TYPE: Final = "@xsi:type"


@dataclass(frozen=True, slots=True)
class Member:
    """One element as a JSON member. `always`: an array that is there even when empty."""

    key: str
    element: Element
    min: int
    max: int
    always: bool

    @property
    def repeating(self) -> bool:
        return self.max > 1


@dataclass(slots=True)
class _Count:
    element: Element
    min: int
    max: int
    choice: bool


@dataclass
class Shape:
    """The shape of one complex type's content."""

    content: Particle | None
    members: dict[str, Member] = field(default_factory=dict)  # by key
    by_tag: dict[str, Member] = field(default_factory=dict)
    wildcards: tuple[Wildcard, ...] = ()
    plain: bool = True
    """Each element at most once in one sequence or all group: no choice, no wildcard, no substitution."""
    ordered: bool = True

    @cached_property
    def order(self) -> Order:
        return Order(self)

    @cached_property
    def lossy(self) -> list[str]:
        """Members whose order among each other JSON does not keep: they repeat together, as in (A|B)*."""
        return sorted({key for particle in particles_of(self.content) for key in self._interleaved(particle)})

    def _interleaved(self, particle: Particle) -> Iterator[str]:
        term = particle.term
        if particle.max > 1 and isinstance(term, Group):
            keys = [member.key for member in self.members.values() if _holds(particle, member.element)]
            if len(keys) > 1:
                yield from keys
        elif particle.max > 1 and isinstance(term, Element) and term.substitutes:
            yield from (self.by_tag[candidate.name].key for candidate in term.candidates())


_SHAPES: Final[WeakKeyDictionary[ComplexType, Shape]] = WeakKeyDictionary()


def shape_of(kind: ComplexType) -> Shape:
    """The shape of a compiled type, made once."""
    shape = _SHAPES.get(kind)
    if shape is None:
        shape = _SHAPES[kind] = _shape_of(kind)
    return shape


def _shape_of(kind: ComplexType) -> Shape:
    shape = Shape(kind.content)
    if kind.content is None:
        return shape
    counts: dict[str, _Count] = _count(kind.content)
    locals_seen: dict[str, int] = {}
    for tag in counts:
        local = local_name(tag)
        locals_seen[local] = locals_seen.get(local, 0) + 1
    for tag, count in counts.items():
        local = local_name(tag)
        # two namespaces, one local name: only the full names tell them apart
        key = local if locals_seen[local] == 1 else tag
        member = Member(key, count.element, count.min, count.max, count.max > 1 and not count.choice)
        shape.members[key] = member
        shape.by_tag[tag] = member
    particles = list(particles_of(kind.content))
    shape.wildcards = tuple(particle.term for particle in particles if isinstance(particle.term, Wildcard))
    groups = [particle for particle in particles if isinstance(particle.term, Group)]
    elements = [particle.term for particle in particles if isinstance(particle.term, Element)]
    everything = len(groups) == 1 and isinstance(kind.content.term, Group) and kind.content.term.kind == "all"
    shape.ordered = not everything
    shape.plain = (
        not shape.wildcards
        and len(elements) == len(shape.members)
        and not any(element.substitutes or element.abstract for element in elements)
        and all((particle.min, particle.max) == (1, 1) for particle in groups if not everything)
        and all(isinstance(p.term, Group) and (p.term.kind == "sequence" or everything) for p in groups)
    )
    if everything and kind.content.min == 0:  # <all minOccurs="0">: nothing inside is required
        for key, member in shape.members.items():
            shape.members[key] = shape.by_tag[member.element.name] = Member(
                key, member.element, 0, member.max, member.always
            )
    return shape


def is_bare(kind: ComplexType) -> bool:
    """Text and nothing beside it: in JSON the value itself, as if the type were simple."""
    return kind.text is not None and not kind.attributes and kind.any_attribute is None


def particles_of(particle: Particle | None) -> Iterator[Particle]:
    if particle is not None:
        yield particle
        if isinstance(particle.term, Group):
            for inner in particle.term.particles:
                yield from particles_of(inner)


def _holds(particle: Particle, element: Element) -> bool:
    return any(
        isinstance(inner.term, Element) and (inner.term.name == element.name or element in inner.term.substitutes)
        for inner in particles_of(particle)
    )


def _count(particle: Particle) -> dict[str, _Count]:
    """The least and greatest number of times each element may occur in all."""
    term = particle.term
    counts: dict[str, _Count] = {}
    if isinstance(term, Element):
        candidates = list(term.candidates())
        for candidate in candidates:
            low = particle.min if len(candidates) == 1 else 0
            counts[candidate.name] = _Count(candidate, low, particle.max, len(candidates) > 1)
    elif isinstance(term, Group):
        choice = term.kind == "choice"
        for inner in term.particles:
            for tag, count in _count(inner).items():
                known = counts.get(tag)
                if known is None:
                    known = counts[tag] = _Count(count.element, count.min, count.max, count.choice)
                elif choice:
                    known.max = max(known.max, count.max)
                else:
                    known.min, known.max = known.min + count.min, _times(known.max + count.max, 1)
                if choice:
                    known.choice = True
        for count in counts.values():
            count.min = 0 if choice and len(term.particles) > 1 else count.min * particle.min
            if choice and particle.max > 1:
                count.choice = False
            count.max = _times(count.max, particle.max)
    return counts


def _times(left: int, right: int) -> int:
    return UNBOUNDED if left >= UNBOUNDED or right >= UNBOUNDED else left * right


class Order:
    """Which sequences of children a content model accepts, as a regular expression over one character per element.

    Models are deterministic (XSD 1.0 part 1 §3.8.6, unique particle attribution), so repetition is possessive: time is linear.
    """

    def __init__(self, shape: Shape) -> None:
        self._codes = {tag: chr(0x4E00 + number) for number, tag in enumerate(shape.by_tag)}
        self._names = {code: local_name(tag) for tag, code in self._codes.items()}
        self._wildcards = [(wildcard, chr(0xAC00 + number)) for number, wildcard in enumerate(shape.wildcards)]
        self._content = shape.content
        self._whole = re.compile(self._pattern(shape.content) if shape.content is not None else "")

    def code(self, tag: str) -> str | None:
        """The character for an element; None when it cannot occur here at all."""
        code = self._codes.get(tag)
        if code is None:
            namespace = split(tag)[0]
            code = next((code for wildcard, code in self._wildcards if wildcard.allows(namespace)), None)
        return code

    def valid(self, codes: str) -> bool:
        return self._whole.fullmatch(codes) is not None

    def first_wrong(self, codes: str) -> tuple[int, str]:
        """For an invalid sequence: where it goes wrong (its length when something is missing at the end), and what was expected."""
        low, high = 0, min(len(codes), 1000)  # beyond, saying where is not worth the search
        while low < high:  # the longest beginning that can still become valid
            middle = (low + high + 1) // 2
            if self._prefix.fullmatch(codes[:middle]):
                low = middle
            else:
                high = middle - 1
        expected = [name for code, name in self._names.items() if self._prefix.fullmatch(codes[:low] + code)]
        return low, ", ".join(expected[:8])

    @cached_property
    def _prefix(self) -> re.Pattern[str]:
        assert self._content is not None, "an empty model has no wrong order"
        return re.compile(self._beginning(self._content))

    def _pattern(self, particle: Particle) -> str:
        return self._once(particle) + _quantifier(particle.min, particle.max)

    def _once(self, particle: Particle) -> str:
        term = particle.term
        if isinstance(term, Element):
            codes = "".join(self._codes[candidate.name] for candidate in term.candidates())
            return f"[{codes}]" if codes else "(?!)"
        if isinstance(term, Wildcard):
            return next(code for wildcard, code in self._wildcards if wildcard is term)
        parts = [self._pattern(inner) for inner in term.particles]
        if term.kind == "sequence":
            return f"(?:{''.join(parts)})"
        if not parts:
            return "(?!)" if term.kind == "choice" else ""
        empty = any(_emptiable(inner) for inner in term.particles)
        if empty:  # such an alternative would match nothing before the next one is looked at: the first element decides
            parts = [f"(?={self._first(inner)}){part}" for inner, part in zip(term.particles, parts, strict=True)]
        if term.kind == "all":  # any order: each at most once is what reading checks itself
            return f"(?:(?:{'|'.join(parts)})*+)"
        return f"(?:{'|'.join(parts)}{'|' if empty else ''})"

    def _first(self, particle: Particle) -> str:
        """Matches what `particle` can start with."""
        term = particle.term
        if not isinstance(term, Group):
            return self._once(particle)
        starts: list[str] = []
        for inner in term.particles:
            starts.append(self._first(inner))
            if term.kind == "sequence" and not _emptiable(inner):
                break
        return f"(?:{'|'.join(starts)})" if starts else "(?!)"

    def _beginning(self, particle: Particle) -> str:
        """Matches every beginning of what `particle` matches."""
        term = particle.term
        if isinstance(term, Group) and term.kind == "all":
            return self._once(particle)
        if not isinstance(term, Group):
            return self._once(particle) + _quantifier(0, particle.max).removesuffix("+")
        if term.kind == "choice":
            partial = "|".join(self._beginning(inner) for inner in term.particles)
        else:
            partial = ""
            for inner in reversed(term.particles):
                rest = f"|{self._pattern(inner).removesuffix('+')}(?:{partial})" if partial else ""
                partial = f"{self._beginning(inner)}{rest}"
        whole = _quantifier(0, particle.max - 1 if particle.max < UNBOUNDED else UNBOUNDED).removesuffix("+")
        return f"(?:{self._once(particle)}{whole}(?:{partial}))"


def _emptiable(particle: Particle) -> bool:
    """Whether no element at all is an occurrence of `particle` (XSD 1.0 part 1 §3.9.6)."""
    term = particle.term
    if particle.min == 0 or not isinstance(term, Group):
        return particle.min == 0
    return (any if term.kind == "choice" else all)(_emptiable(inner) for inner in term.particles)


def _quantifier(low: int, high: int) -> str:
    if (low, high) == (1, 1):
        return ""
    if (low, high) == (0, 1):
        return "?+"
    return f"{{{low},{'' if high >= UNBOUNDED else high}}}+"
