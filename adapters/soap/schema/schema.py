"""A set of schema documents, compiled: what it declares, by name. Compiles nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, cast

from adapters.soap.schema.builtins import builtin_types
from adapters.soap.schema.documents import Findings
from adapters.soap.schema.model import XSD, AnyType, Attribute, ComplexType, Element, SimpleType

_X: Final = f"{{{XSD}}}"


@dataclass(slots=True)
class Schema:
    """Every component of a set of schema documents, by Clark name."""

    findings: Findings
    types: dict[str, AnyType] = field(default_factory=builtin_types)
    elements: dict[str, Element] = field(default_factory=dict)
    attributes: dict[str, Attribute] = field(default_factory=dict)
    namespaces: dict[str, None] = field(default_factory=dict)  # targets, in order of appearance

    @property
    def anything(self) -> ComplexType:
        return cast(ComplexType, self.types[_X + "anyType"])

    @property
    def any_simple(self) -> SimpleType:
        return cast(SimpleType, self.types[_X + "anySimpleType"])
