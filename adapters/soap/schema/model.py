"""What a compiled XML Schema and WSDL consist of. Knows no XML syntax, no JSON and no files.

Names are Clark notation throughout: `{namespace}local`, or `local` without a namespace. Components are
linked by identity and may be cyclic (recursive types), so they are filled in place and compared by identity.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

XSD = "http://www.w3.org/2001/XMLSchema"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SOAP_ENC_11 = "http://schemas.xmlsoap.org/soap/encoding/"
SOAP_ENC_12 = "http://www.w3.org/2003/05/soap-encoding"

UNBOUNDED: int = 1 << 62
"""maxOccurs="unbounded" as a number, so that bounds can be added and multiplied."""


def split(name: str) -> tuple[str, str]:
    """Namespace and local part of a Clark name; the namespace is "" when there is none."""
    if name.startswith("{"):
        namespace, _, local = name[1:].partition("}")
        return namespace, local
    return "", name


def clark(namespace: str, local: str) -> str:
    return f"{{{namespace}}}{local}" if namespace else local


def local_name(name: str) -> str:
    return name.rpartition("}")[2]


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` for a Clark name that is not among the known ones, or where else its local name stands; or ""."""
    by_local: dict[str, str] = {}
    for other in known:
        by_local.setdefault(local_name(other), split(other)[0])
    close = difflib.get_close_matches(local_name(name), by_local, 1)
    if not close:
        return ""
    if close[0] != local_name(name):
        return f"; did you mean {close[0]}?"
    return f"; it is in namespace {by_local[close[0]]}" if by_local[close[0]] else "; it is in no namespace"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a component stands."""

    file: str = ""
    line: int = 0


@dataclass(slots=True)
class Facets:
    """Constraining facets of one restriction step (XSD 1.0 part 2 §4.3); whitespace and bounds are inherited merged."""

    enumeration: tuple[str, ...] | None = None
    patterns: tuple[tuple[str, ...], ...] = ()  # each step's alternatives; every step must match
    length: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_inclusive: str | None = None
    max_inclusive: str | None = None
    min_exclusive: str | None = None
    max_exclusive: str | None = None
    total_digits: int | None = None
    fraction_digits: int | None = None

    @property
    def empty(self) -> bool:
        return self == _NO_FACETS


_NO_FACETS = Facets()


@dataclass(slots=True, eq=False)
class SimpleType:
    """A simple type. `builtin` is the nearest built-in ancestor's local name, e.g. `token` or `int`."""

    name: str
    builtin: str = "anySimpleType"
    variety: Literal["atomic", "list", "union"] = "atomic"
    base: SimpleType | None = None
    facets: Facets = field(default_factory=Facets)
    item: SimpleType | None = None
    members: tuple[SimpleType, ...] = ()
    place: Place = Place()
    doc: str = ""
    derived: list[AnyType] = field(default_factory=list)  # types that name this one as their base


@dataclass(slots=True, eq=False)
class Attribute:
    name: str
    type: SimpleType
    required: bool = False
    prohibited: bool = False
    default: str | None = None
    fixed: str | None = None
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Wildcard:
    """xs:any or xs:anyAttribute. `namespaces` None: any; `excluded` names what ##other leaves out."""

    namespaces: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()
    process: Literal["strict", "lax", "skip"] = "strict"

    def allows(self, namespace: str) -> bool:
        if self.namespaces is not None:
            return namespace in self.namespaces
        return namespace not in self.excluded


@dataclass(slots=True, eq=False)
class Element:
    """An element declaration. `substitutes` are the members of its substitution group, itself not among them."""

    name: str
    type: AnyType
    nillable: bool = False
    abstract: bool = False
    default: str | None = None
    fixed: str | None = None
    place: Place = Place()
    doc: str = ""
    substitutes: list[Element] = field(default_factory=list)
    binary: str = ""  # xmime:expectedContentTypes: what the octets are

    def candidates(self) -> Iterator[Element]:
        """The declarations that may stand where this one is named (XSD 1.0 part 1 §3.3.6)."""
        if not self.abstract:
            yield self
        for member in self.substitutes:
            if not member.abstract:
                yield member


@dataclass(slots=True, eq=False)
class Group:
    kind: Literal["sequence", "choice", "all"]
    particles: tuple[Particle, ...] = ()


Term: TypeAlias = "Element | Group | Wildcard"


@dataclass(slots=True, eq=False)
class Particle:
    term: Term
    min: int = 1
    max: int = 1


@dataclass(slots=True, eq=False, weakref_slot=True)
class ComplexType:
    """A complex type after derivation: `content` and `attributes` hold what it inherits too."""

    name: str
    abstract: bool = False
    mixed: bool = False
    base: AnyType | None = None
    derivation: Literal["", "extension", "restriction"] = ""
    content: Particle | None = None
    text: SimpleType | None = None
    attributes: dict[str, Attribute] = field(default_factory=dict)
    any_attribute: Wildcard | None = None
    array_item: Element | None = None  # soapenc:Array: the accessor of its items
    place: Place = Place()
    doc: str = ""
    derived: list[AnyType] = field(default_factory=list)


AnyType: TypeAlias = "SimpleType | ComplexType"


def descendants(kind: AnyType) -> Iterator[AnyType]:
    """The type itself and all that derive from it, each once."""
    seen: set[int] = set()
    waiting: list[AnyType] = [kind]
    while waiting:
        current = waiting.pop()
        if id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting.extend(reversed(current.derived))
