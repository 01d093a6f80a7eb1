"""XML elements to JSON values, compiled from the schema: one function per type, dispatch by tag.

What is not by the schema is a Deviation that names the element; a lenient Answer notes it and goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lxml import etree

from adapters.soap.codec.answers import Answer
from adapters.soap.codec.compiling import MayCompile, NotCompiled
from adapters.soap.codec.errors import Odd
from adapters.soap.codec.generic import read_anything
from adapters.soap.codec.lexical import compile_lexical, equals, family
from adapters.soap.codec.lexical_form import WHITE, Lexical, Numbers
from adapters.soap.codec.naming import polymorphic, type_names
from adapters.soap.codec.reading_attributes import attributes_reader, check_undeclared
from adapters.soap.codec.reading_content import general_reader, mixed_reader, plain_reader
from adapters.soap.codec.references import dereference, expanded, included
from adapters.soap.codec.shape import TEXT, TYPE, is_bare, shape_of
from adapters.soap.schema.model import (
    SOAP_ENC_11,
    SOAP_ENC_12,
    XSI,
    AnyType,
    ComplexType,
    Element,
    SimpleType,
    clark,
    local_name,
    split,
)
from adapters.soap.schema.schema import Schema

NIL: Final = clark(XSI, "nil")
XSI_TYPE: Final = clark(XSI, "type")
_INCLUDE: Final = "{http://www.w3.org/2004/08/xop/include}Include"


ReadElement = Callable[[etree._Element, Answer], object]


@dataclass(slots=True)
class TypeReader:
    read: ReadElement


class Readers:
    """All readers of one schema for one way of writing decimals."""

    def __init__(
        self, schema: Schema, may_compile: MayCompile, *, numbers: Numbers = "string", encoded: bool = False
    ) -> None:
        self.schema = schema
        self._may_compile = may_compile
        self.encoded = encoded
        self._numbers = numbers
        self._types: dict[AnyType, TypeReader] = {}
        self._elements: dict[Element, ReadElement] = {}
        self._lexicals: dict[SimpleType, Lexical] = {}
        self._cold: deque[AnyType] = deque()

    def element(self, element: Element) -> ReadElement:
        read = self._elements.get(element)
        if read is None:
            read = self._elements[element] = self._element(element)
        return read

    def type(self, kind: AnyType) -> TypeReader:
        """The type's reader; it is compiled when it is first used, or by warm().

        A large schema's types all refer to each other: compiling ahead what one operation reaches takes seconds and
        most of it is never used. Two threads may compile the same type; either result serves.
        """
        known = self._types.get(kind)
        if known is not None:
            return known

        def first(node: etree._Element, answer: Answer) -> object:
            if not self._may_compile():
                raise NotCompiled
            made.read = self._compile(kind)
            return made.read(node, answer)

        made = TypeReader(first)
        self._types[kind] = made
        self._cold.append(kind)
        return made

    def warm(self, limit: int) -> None:
        """Compile up to `limit` types ahead of their first use, those nearest to what was asked for first."""
        while self._cold and limit:
            kind = self._cold.popleft()
            if kind in self._types:
                self._types[kind].read = self._compile(kind)
                limit -= 1

    def lexical(self, kind: SimpleType) -> Lexical:
        lexical = self._lexicals.get(kind)
        if lexical is None:
            lexical = self._lexicals[kind] = compile_lexical(kind, self._numbers)
        return lexical

    # --- elements ------------------------------------------------------------------------------------------

    def _element(self, element: Element) -> ReadElement:
        kind = element.type
        choices: dict[AnyType, str] = {}
        if polymorphic(self.schema, kind):
            choices = {other: name for name, other in type_names(self.schema, kind).items()}
        content = self._leaf(element, kind) if isinstance(kind, SimpleType) else None
        inner = self.type(kind)
        nillable = element.nillable or self.encoded
        abstract = isinstance(kind, ComplexType) and kind.abstract

        def read_marked(node: etree._Element, answer: Answer) -> object:
            """An element that has attributes, or whose type must be named."""
            if self.encoded:
                node = dereference(node, answer)
            nil = node.get(NIL)
            if nil is not None and nil.strip() in ("true", "1"):
                return self._nil(node, kind, nillable, answer)
            named = node.get(XSI_TYPE)
            if named is not None:
                other = self._named(node, named, answer)
                if other is not None and other is not kind:
                    return self._read_as(node, other, choices, kind, inner, answer)
            elif abstract:
                answer.deviate(node, "its type is abstract, and no xsi:type says which it is")
            if content is not None:
                check_undeclared(node, answer)
                return content(node, answer)
            return inner.read(node, answer)

        def read(node: etree._Element, answer: Answer) -> object:
            if node.keys():
                return read_marked(node, answer)
            return content(node, answer) if content is not None else inner.read(node, answer)

        return read_marked if abstract else read

    def _nil(self, node: etree._Element, kind: AnyType, nillable: bool, answer: Answer) -> object:
        if not nillable:
            answer.deviate(node, "is nil, which the schema does not allow")
        if len(node) or (node.text and node.text.strip(WHITE)):
            answer.deviate(node, "is nil but has content")
        if isinstance(kind, ComplexType) and (kind.attributes or kind.any_attribute):
            attributes: dict[str, object] = {}
            attributes_reader(self, kind)(node, answer, attributes)
            if attributes:
                return {**attributes, TEXT: None}
        return None

    def _named(self, node: etree._Element, text: str, answer: Answer) -> AnyType | None:
        prefix, colon, local = text.strip().partition(":")
        namespace = node.nsmap.get(prefix if colon else None) or ""
        kind = self.schema.types.get(clark(namespace, local if colon else prefix))
        if kind is None:
            answer.deviate(node, "its xsi:type is not declared in the WSDL")
        return kind

    def _read_as(
        self,
        node: etree._Element,
        kind: AnyType,
        choices: dict[AnyType, str],
        declared_type: AnyType,
        declared: TypeReader,
        answer: Answer,
    ) -> object:
        """An element whose xsi:type names another type than the declared one."""
        name = choices.get(kind)
        if local_name(kind.name) == "Array" and split(kind.name)[0] in (SOAP_ENC_11, SOAP_ENC_12):
            return declared.read(node, answer)  # says no more than the WSDL does
        if isinstance(kind, ComplexType) and kind.array_item is not None:
            return self.type(kind).read(node, answer)  # encoded arrays name their subtype at will
        if name is None:
            # xsd:int for xsd:long and the like: the WSDL's type decides
            if isinstance(kind, SimpleType) and (self.encoded or _derives(kind, declared_type)):
                return declared.read(node, answer)
            answer.deviate(node, f"its xsi:type {local_name(kind.name)} does not derive from the declared type")
            return declared.read(node, answer)
        value = self.type(kind).read(node, answer)
        if self.encoded and isinstance(kind, SimpleType):
            return value
        return {TYPE: name, **value} if type(value) is dict else {TYPE: name, TEXT: value}

    def text(self, element: Element) -> Callable[[str], object] | None:
        """For an element that is nothing but its text when it has some, no attributes and no elements inside; raises Odd.

        None for all others.
        """
        kind = element.type
        if self.encoded or not isinstance(kind, SimpleType):
            return None
        lexical = self.lexical(kind)
        return None if lexical.qname or element.fixed is not None else lexical.read

    def _leaf(self, element: Element, kind: SimpleType) -> ReadElement:
        lexical = self.lexical(kind)
        to_value, default, qname = lexical.read, element.default or element.fixed, lexical.qname
        is_fixed = None if element.fixed is None else equals(kind, element.fixed)
        binary = kind.variety == "atomic" and family(kind.builtin) == "base64Binary"

        def read(node: etree._Element, answer: Answer) -> object:
            text = node.text or ""
            if len(node):
                if binary and len(node) == 1 and node[0].tag == _INCLUDE:
                    return included(node[0], answer)
                answer.deviate(node, "has elements inside where text is expected")
                text = "".join(map(str, node.itertext()))
            if not text and default is not None:
                text = default  # XSD 1.0 part 1 §3.3.1: present and empty takes the default
            try:
                value = to_value(text)
            except Odd as odd:
                answer.deviate(node, odd.detail)
                return text
            if is_fixed is not None and not is_fixed(text):
                answer.deviate(node, f"has the fixed value {element.fixed}")
            return expanded(node, value, answer) if qname else value

        return read

    # --- types ---------------------------------------------------------------------------------------------

    def _compile(self, kind: AnyType) -> ReadElement:
        if isinstance(kind, SimpleType):
            return self._leaf(Element("", kind), kind)
        if kind is self.schema.anything:
            return lambda node, answer: read_anything(node, frozenset((XSI_TYPE,)))
        if kind.array_item is not None:
            return self._array(kind.array_item)
        if kind.text is not None:
            return self._simple_content(kind, kind.text)
        shape = shape_of(kind)
        if kind.mixed:
            return mixed_reader(self, kind, shape)
        if shape.plain:
            return plain_reader(self, kind, shape)
        return general_reader(self, kind, shape)

    def _array(self, item: Element) -> ReadElement:
        """SOAP 1.1 §5.4.2: the items' element names mean nothing; their type is the array's unless they say otherwise."""
        read_item = self.element(item)

        def read(node: etree._Element, answer: Answer) -> object:
            for name in ("offset", "position"):
                if node.get(clark(SOAP_ENC_11, name)) is not None:
                    answer.deviate(node, "is a partial or sparse array, which is not understood")
            return [read_item(child, answer) for child in node]

        return read

    def _simple_content(self, kind: ComplexType, text_type: SimpleType) -> ReadElement:
        content = self._leaf(Element("", text_type), text_type)
        if is_bare(kind):

            def read_bare(node: etree._Element, answer: Answer) -> object:
                check_undeclared(node, answer)
                return content(node, answer)

            return read_bare
        attributes = attributes_reader(self, kind)

        def read(node: etree._Element, answer: Answer) -> object:
            value: dict[str, object] = {}
            attributes(node, answer, value)
            value[TEXT] = content(node, answer)
            return value

        return read

    def named(self, node: etree._Element, answer: Answer) -> object:
        """An element that a wildcard lets in."""
        declared = self.schema.elements.get(str(node.tag))
        return self.element(declared)(node, answer) if declared is not None else read_anything(node)


def _derives(kind: SimpleType, declared: AnyType) -> bool:
    """Whether `kind` may stand for `declared` (XSD 1.0 part 1 §3.14.6, Type Derivation OK (Simple))."""
    current: AnyType | None = kind
    while isinstance(current, SimpleType) and current is not declared:
        current = current.base
    return current is declared
