"""What the operations of one WSDL have in common: prefixes, writers and readers."""

from __future__ import annotations

from functools import cached_property

from adapters.soap.codec.compiling import MayCompile, always
from adapters.soap.codec.lexical_form import Numbers
from adapters.soap.codec.markup import Prefixes
from adapters.soap.codec.message import body_elements
from adapters.soap.codec.reachable import reachable_types
from adapters.soap.codec.reading import Readers
from adapters.soap.codec.shape import shape_of
from adapters.soap.codec.writing import Unknown, Writers
from adapters.soap.schema.model import UNBOUNDED, Element
from adapters.soap.schema.service_model import Message, Wsdl


class Shared:
    """Each is made once, when an operation first needs it."""

    def __init__(self, wsdl: Wsdl, may_compile: MayCompile = always) -> None:
        self.wsdl = wsdl
        self._may_compile = may_compile
        self.prefixes = Prefixes(wsdl.schema.namespaces)
        self._writers: dict[tuple[Unknown, bool], Writers] = {}
        self._readers: dict[tuple[Numbers, bool], Readers] = {}
        self._bodies: dict[Message, tuple[Element, ...]] = {}

    def body(self, message: Message) -> tuple[Element, ...]:
        """body_elements(), the same ones every time: writers and readers are remembered by them."""
        made = self._bodies.get(message)
        if made is None:
            made = self._bodies[message] = body_elements(message)
        return made

    @cached_property
    def lossy(self) -> bool:
        """Whether any type of the WSDL holds elements whose order JSON does not keep."""
        messages = (m for _, one in self.wsdl.operations() for m in (one.input, one.output) if m is not None)
        roots = [element for message in messages for element in self.body(message)]
        kinds = reachable_types(self.wsdl.schema, roots, UNBOUNDED)
        return any(shape_of(kind).lossy for kind in kinds if not kind.mixed)

    def writers(self, unknown: Unknown, encoded: bool) -> Writers:
        made = self._writers.get((unknown, encoded))
        if made is None:
            made = Writers(self.wsdl.schema, self.prefixes, self._may_compile, unknown=unknown, encoded=encoded)
            self._writers[unknown, encoded] = made
        return made

    def readers(self, numbers: Numbers, encoded: bool) -> Readers:
        made = self._readers.get((numbers, encoded))
        if made is None:
            made = Readers(self.wsdl.schema, self._may_compile, numbers=numbers, encoded=encoded)
            self._readers[numbers, encoded] = made
        return made
