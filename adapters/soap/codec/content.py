"""Writes content models that are more than one sequence: choices, groups that repeat, substitution, wildcards, mixed text.

The members present decide; the schema orders them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from adapters.soap.codec.errors import Misfit
from adapters.soap.codec.generic import write_named
from adapters.soap.codec.markup import escape_text
from adapters.soap.codec.naming import attribute_keys
from adapters.soap.codec.shape import ANY, TEXT, Shape
from adapters.soap.schema.model import ComplexType, Element, Particle, Wildcard, split

if TYPE_CHECKING:
    from adapters.soap.codec.writing import Writers

Emit = Callable[[str], object]


def write_content(
    writers: Writers, kind: ComplexType, shape: Shape, value: dict[str, object], emit: Emit, used: int
) -> None:
    """Write the content of `value`; `used` members of it were attributes."""
    if kind.mixed and TEXT in value:
        _write_mixed(writers, shape, value, emit)
        if used + 1 != len(value):
            writers.check_unknown(value, set(attribute_keys(kind).values()) | {TEXT})
        return
    supply = _Supply(shape, value)
    if shape.content is not None:
        _Writing(writers, shape, supply, emit).particle(shape.content)
    supply.check_empty()
    if used + supply.members != len(value):
        known = set(shape.members) | set(attribute_keys(kind).values())
        writers.check_unknown(value, known | ({ANY} if shape.wildcards else set()) | ({TEXT} if kind.mixed else set()))


class _Supply:
    """The values still to be written, by member."""

    def __init__(self, shape: Shape, value: dict[str, object]) -> None:
        self._values: dict[str, list[object]] = {}
        self._next: dict[str, int] = {}
        self._single: set[str] = set()
        self.members = 0
        for key, member in shape.members.items():
            if key in value:
                self._add(key, value[key], member.repeating)
        if shape.wildcards and ANY in value:
            self._add(ANY, value[ANY], True)

    def _add(self, key: str, values: object, repeating: bool) -> None:
        self.members += 1
        if not repeating:
            values = [values]
            self._single.add(key)
        elif type(values) is not list:
            raise Misfit("an array is expected", key)
        assert isinstance(values, list), "made or checked above"
        if values:
            self._values[key] = values
            self._next[key] = 0

    def has(self, key: str) -> bool:
        return key in self._values

    def peek(self, key: str) -> object:
        return self._values[key][self._next[key]]

    def path(self, key: str) -> tuple[str | int, ...]:
        return (key,) if key in self._single else (self._next[key], key)

    def advance(self, key: str) -> None:
        self._next[key] += 1
        if self._next[key] == len(self._values[key]):
            del self._values[key]

    def total(self) -> int:
        return sum(len(values) - self._next[key] for key, values in self._values.items())

    def check_empty(self) -> None:
        for key in self._values:
            raise Misfit(
                "does not fit beside the other members: too many, or another alternative is taken", *self.path(key)
            )


class _Writing:
    def __init__(self, writers: Writers, shape: Shape, supply: _Supply, emit: Emit) -> None:
        self._writers = writers
        self._shape = shape
        self._supply = supply
        self._emit = emit

    def particle(self, particle: Particle) -> None:
        term = particle.term
        if isinstance(term, Element):
            self._element(particle, term)
        elif isinstance(term, Wildcard):
            self._wildcard(particle, term)
        else:
            count = 0
            while count < particle.max and (count < particle.min or self._present(particle)):
                before = self._supply.total()
                self._occurrence(particle)
                count += 1
                if self._supply.total() == before:
                    break  # an occurrence without content: more of the same change nothing

    def _occurrence(self, particle: Particle) -> None:
        group = particle.term
        assert not isinstance(group, Element | Wildcard), "elements and wildcards are written elsewhere"
        if group.kind != "choice":
            for inner in group.particles:
                self.particle(inner)
            return
        best, most = None, -1
        for inner in group.particles:  # the alternative that most members belong to, and which lacks nothing
            lacking = self._lacking(inner)
            score = 2 * self._matching(inner) + (0 if lacking else 1) if self._present(inner) else -1
            if score > most:
                best, most = inner, score
        if best is not None:
            self.particle(best)
        elif all(self._lacking(inner) for inner in group.particles):
            keys = [key for inner in group.particles for key in self._keys(inner)]
            raise Misfit(f"one of these members is required: {', '.join(keys[:12])}")

    def _element(self, particle: Particle, element: Element) -> None:
        count = 0
        for candidate in element.candidates():
            key = self._shape.by_tag[candidate.name].key
            write = self._writers.element(candidate)
            while count < particle.max and self._supply.has(key):
                try:
                    write(self._supply.peek(key), self._emit)
                except Misfit as misfit:
                    misfit.path.extend(self._supply.path(key))
                    raise
                self._supply.advance(key)
                count += 1
        if count < particle.min:
            keys = self._keys(particle)
            if len(keys) == 1:
                raise Misfit(
                    "the required member is missing" if not count else f"must have at least {particle.min} items",
                    keys[0],
                )
            raise Misfit(f"one of these members is required: {', '.join(keys[:12])}")

    def _wildcard(self, particle: Particle, wildcard: Wildcard) -> None:
        count = 0
        while count < particle.max and self._supply.has(ANY):
            entry = self._supply.peek(ANY)
            if type(entry) is not dict or len(entry) != 1:
                raise Misfit(
                    'an object with one member is expected: {"{namespace}name": value}', *self._supply.path(ANY)
                )
            (name,) = entry
            if not wildcard.allows(split(name)[0]) or name in self._shape.by_tag:
                break
            try:
                write_named(self._writers, name, entry[name], self._emit, wildcard.process)
            except Misfit as misfit:
                misfit.path.extend(self._supply.path(ANY))
                raise
            self._supply.advance(ANY)
            count += 1
        if count < particle.min:
            raise Misfit("the required content is missing", ANY)

    def _keys(self, particle: Particle) -> list[str]:
        term = particle.term
        if isinstance(term, Element):
            return [self._shape.by_tag[candidate.name].key for candidate in term.candidates()]
        if isinstance(term, Wildcard):
            return [ANY]
        return [key for inner in term.particles for key in self._keys(inner)]

    def _present(self, particle: Particle) -> bool:
        return any(self._supply.has(key) for key in self._keys(particle))

    def _matching(self, particle: Particle) -> int:
        return sum(self._supply.has(key) for key in self._keys(particle))

    def _lacking(self, particle: Particle) -> bool:
        """Whether this particle requires something that is not there."""
        if particle.min == 0:
            return False
        term = particle.term
        if isinstance(term, Element | Wildcard):
            return not self._present(particle)
        if term.kind == "choice":
            return all(self._lacking(inner) for inner in term.particles)
        return any(self._lacking(inner) for inner in term.particles)


def _write_mixed(writers: Writers, shape: Shape, value: dict[str, object], emit: Emit) -> None:
    """Mixed content, in order: {"$": ["text", {"b": "bold"}, "more"]}, or a string where there are no elements."""
    content = value[TEXT]
    entries = content if type(content) is list else [content]
    codes = ""
    for index, entry in enumerate(entries):
        try:
            if type(entry) is str:
                emit(escape_text(entry))
                continue
            if type(entry) is not dict or len(entry) != 1:
                raise Misfit("a string is expected, or an object with one member")
            (key,) = entry
            member = shape.members.get(key)
            tag = member.element.name if member is not None else key
            code = shape.order.code(tag) if shape.content is not None else None
            if code is None:
                raise Misfit("unknown member", key)
            codes += code
            try:
                if member is not None:
                    writers.element(member.element)(entry[key], emit)
                    continue
            except Misfit as misfit:
                misfit.path.append(key)
                raise
            write_named(writers, key, entry[key], emit, "lax")
        except Misfit as misfit:
            if type(content) is list:
                misfit.path.append(index)
            misfit.path.append(TEXT)
            raise
    if shape.content is not None and not shape.order.valid(codes):
        wrong, expected = shape.order.first_wrong(codes)
        raise Misfit(f"element {wrong + 1} of the content is not the one the schema wants here: {expected}", TEXT)
