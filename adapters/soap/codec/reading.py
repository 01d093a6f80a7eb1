"""XML elements to JSON values, compiled from the schema: one function per type, dispatch by tag.

What is not by the schema is a Deviation that names the element; a lenient Answer notes it and goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from adapters.soap.codec.errors import Deviation, Odd
from adapters.soap.codec.generic import read_anything
from adapters.soap.codec.lexical import Lexical, Numbers, compile_lexical, family
from adapters.soap.codec.naming import attribute_keys, polymorphic, type_names
from adapters.soap.codec.shape import ANY, TEXT, TYPE, Shape, shape_of
from adapters.soap.schema.components import Schema
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

NIL: Final = clark(XSI, "nil")
XSI_TYPE: Final = clark(XSI, "type")
_INCLUDE: Final = "{http://www.w3.org/2004/08/xop/include}Include"
_ENVELOPES: Final = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")
_NOT_CONTENT: Final = frozenset((XSI, SOAP_ENC_11, SOAP_ENC_12, *_ENVELOPES))  # attributes that speak about, not of
_ENCODING_PLAIN: Final = frozenset(("id", "href", "ref"))
MAX_REFERENCES: Final = 20_000  # SOAP 1.1 §5.2.1 multi-references: a few lines can otherwise expand to gigabytes


@dataclass(slots=True)
class Answer:
    """One document being read: how strictly, what was overlooked, what its references and attachments are."""

    strict: bool = True
    overlooked: list[str] = field(default_factory=list)
    ids: dict[str, etree._Element] = field(default_factory=dict)
    attachment: Callable[[str], object] | None = None  # by Content-ID; what stands for the octets in JSON
    references: int = 0

    def deviate(self, element: etree._Element, detail: str) -> None:
        if self.strict:
            raise Deviation(detail, path_of(element))
        if len(self.overlooked) < 100:
            self.overlooked.append(f"{path_of(element)}: {detail}")


ReadElement = Callable[[etree._Element, Answer], object]


@dataclass(slots=True)
class TypeReader:
    read: ReadElement


def path_of(element: etree._Element) -> str:
    """`GetOrderResponse/Lines/Line[2]/Price`, from inside the Body."""
    steps: list[str] = []
    current: etree._Element | None = element
    while current is not None and split(str(current.tag))[0] not in _ENVELOPES:
        tag = str(current.tag)
        before = sum(1 for _ in current.itersiblings(tag, preceding=True))
        after = before or any(True for _ in current.itersiblings(tag))
        steps.append(local_name(tag) + (f"[{before + 1}]" if after else ""))
        current = current.getparent()
    return "/".join(reversed(steps)) or local_name(str(element.tag))


class Readers:
    """All readers of one schema for one way of writing decimals."""

    def __init__(self, schema: Schema, *, numbers: Numbers = "string", encoded: bool = False) -> None:
        self.schema = schema
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

    def _lexical(self, kind: SimpleType) -> Lexical:
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
                node = _dereference(node, answer)
            nil = node.get(NIL)
            if nil is not None and nil.strip() in ("true", "1"):
                return self._nil(node, kind, nillable, answer)
            named = node.get(XSI_TYPE)
            if named is not None:
                other = self._named(node, named, answer)
                if other is not None and other is not kind:
                    return self._read_as(node, other, choices, inner, answer)
            elif abstract:
                answer.deviate(node, "its type is abstract, and no xsi:type says which it is")
            if content is not None:
                _check_attributes(node, answer)
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
        if len(node) or (node.text and node.text.strip()):
            answer.deviate(node, "is nil but has content")
        if isinstance(kind, ComplexType) and (kind.attributes or kind.any_attribute):
            attributes: dict[str, object] = {}
            self._attributes(kind)(node, answer, attributes)
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
        self, node: etree._Element, kind: AnyType, choices: dict[AnyType, str], declared: TypeReader, answer: Answer
    ) -> object:
        """An element whose xsi:type names another type than the declared one."""
        name = choices.get(kind)
        if local_name(kind.name) == "Array" and split(kind.name)[0] in (SOAP_ENC_11, SOAP_ENC_12):
            return declared.read(node, answer)  # says no more than the WSDL does
        if isinstance(kind, ComplexType) and kind.array_item is not None:
            return self.type(kind).read(node, answer)  # encoded arrays name their subtype at will
        if name is None:
            if self.encoded and isinstance(kind, SimpleType):
                return declared.read(node, answer)  # xsd:int for xsd:long and the like: the WSDL's type decides
            answer.deviate(node, f"its xsi:type {local_name(kind.name)} does not derive from the declared type")
            return declared.read(node, answer)
        value = self.type(kind).read(node, answer)
        if self.encoded and isinstance(kind, SimpleType):
            return value
        return {TYPE: name, **value} if type(value) is dict else {TYPE: name, TEXT: value}

    def _leaf(self, element: Element, kind: SimpleType) -> ReadElement:
        lexical = self._lexical(kind)
        to_value, default, qname = lexical.read, element.default or element.fixed, lexical.qname
        binary = kind.variety == "atomic" and family(kind.builtin) == "base64Binary"

        def read(node: etree._Element, answer: Answer) -> object:
            text = node.text or ""
            if len(node):
                if binary and len(node) == 1 and node[0].tag == _INCLUDE:
                    return _included(node[0], answer)
                answer.deviate(node, "has elements inside where text is expected")
                text = "".join(map(str, node.itertext()))
            if not text and default is not None:
                text = default  # XSD 1.0 part 1 §3.3.1: present and empty takes the default
            if qname:
                return _expanded(node, text, answer)
            try:
                return to_value(text)
            except Odd as odd:
                answer.deviate(node, odd.detail)
                return text

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
            return self._mixed(kind, shape)
        if shape.plain:
            return self._plain(kind, shape)
        return self._general(kind, shape)

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
        if not kind.attributes and kind.any_attribute is None:

            def read_bare(node: etree._Element, answer: Answer) -> object:
                _check_attributes(node, answer)
                return content(node, answer)

            return read_bare
        attributes = self._attributes(kind)

        def read(node: etree._Element, answer: Answer) -> object:
            value: dict[str, object] = {}
            attributes(node, answer, value)
            value[TEXT] = content(node, answer)
            return value

        return read

    def _plain(self, kind: ComplexType, shape: Shape) -> ReadElement:
        attributes = self._attributes(kind)
        bounds = [(m.key, m.element.name, m.min, m.max) for m in shape.members.values()]
        required = [] if self.encoded else [(key, tag) for key, tag, low, high in bounds if low and high == 1]
        counted = [] if self.encoded else [bound for bound in bounds if bound[3] > 1]
        fill = [member.key for member in shape.members.values() if member.always]
        ordered = shape.ordered and not self.encoded
        slots = {
            member.element.name: (index, member.key, member.repeating, self.element(member.element))
            for index, member in enumerate(shape.members.values())
        }
        by_local = {local_name(tag): slot for tag, slot in slots.items()}
        encoded = self.encoded
        has_attributes = bool(kind.attributes) or kind.any_attribute is not None

        def read(node: etree._Element, answer: Answer) -> object:
            value: dict[str, object] = {}
            if has_attributes or node.keys():
                attributes(node, answer, value)
            text = node.text
            if text and not text.isspace():
                answer.deviate(node, "has text between its elements")
            position = 0
            for child in node:
                slot = slots.get(child.tag)
                if slot is None:
                    slot = by_local.get(local_name(str(child.tag)))
                    # SOAP 1.1 §5.1: encoded accessors are known by their local name, and servers differ in qualifying them
                    if slot is None:
                        answer.deviate(child, "is not declared here")
                        continue
                    if not encoded:
                        answer.deviate(child, "is declared, but in another namespace")
                index, key, repeating, read_child = slot
                if index < position:
                    if ordered:
                        answer.deviate(child, "is out of the schema's order")
                else:
                    position = index
                if repeating:
                    entries = value.get(key)
                    if entries is None:
                        value[key] = [read_child(child, answer)]
                    else:
                        entries.append(read_child(child, answer))  # type: ignore[attr-defined]  # a list, made above
                elif key in value:
                    answer.deviate(child, "occurs more than once")
                else:
                    value[key] = read_child(child, answer)
                text = child.tail
                if text and not text.isspace():
                    answer.deviate(node, "has text between its elements")
            for key, tag in required:
                if key not in value:
                    answer.deviate(node, f"lacks the required element {local_name(tag)}")
            for key in fill:
                if key not in value:
                    value[key] = []
            for key, tag, low, high in counted:
                if not low <= len(value.get(key, ())) <= high:  # type: ignore[arg-type]  # a list
                    answer.deviate(node, f"has too {'few' if low else 'many'} elements {local_name(tag)}")
            return value

        return read

    def _general(self, kind: ComplexType, shape: Shape) -> ReadElement:
        attributes = self._attributes(kind)
        slots = {
            tag: (member.key, member.repeating, self.element(member.element)) for tag, member in shape.by_tag.items()
        }
        fill = [member.key for member in shape.members.values() if member.always]
        order, check_order = shape.order, not self.encoded

        def read(node: etree._Element, answer: Answer) -> object:
            value: dict[str, object] = {}
            attributes(node, answer, value)
            if (node.text and node.text.strip()) or any(child.tail and child.tail.strip() for child in node):
                answer.deviate(node, "has text between its elements")
            codes: list[str] = []
            for child in node:
                tag = str(child.tag)
                code = order.code(tag)
                if code is None:
                    answer.deviate(child, "is not declared here")
                    continue
                codes.append(code)
                slot = slots.get(tag)
                if slot is None:
                    entries = value.setdefault(ANY, [])
                    entries.append({tag: self.named(child, answer)})  # type: ignore[attr-defined]  # a list
                    continue
                key, repeating, read_child = slot
                if repeating:
                    entries = value.setdefault(key, [])
                    entries.append(read_child(child, answer))  # type: ignore[attr-defined]  # a list
                elif key in value:
                    answer.deviate(child, "occurs more than once")
                else:
                    value[key] = read_child(child, answer)
            if check_order:
                _check_order(node, shape, "".join(codes), answer)
            for key in fill:
                if key not in value:
                    value[key] = []
            return value

        return read

    def _mixed(self, kind: ComplexType, shape: Shape) -> ReadElement:
        attributes = self._attributes(kind)
        slots = {tag: (member.key, self.element(member.element)) for tag, member in shape.by_tag.items()}

        def read(node: etree._Element, answer: Answer) -> object:
            value: dict[str, object] = {}
            attributes(node, answer, value)
            content: list[object] = [node.text] if node.text else []
            codes: list[str] = []
            for child in node:
                tag = str(child.tag)
                code = shape.order.code(tag) if shape.content is not None else None
                if code is None:
                    answer.deviate(child, "is not declared here")
                else:
                    codes.append(code)
                    slot = slots.get(tag)
                    content.append(
                        {slot[0]: slot[1](child, answer)} if slot is not None else {tag: self.named(child, answer)}
                    )
                if child.tail:
                    content.append(child.tail)
            if shape.content is not None:
                _check_order(node, shape, "".join(codes), answer)
            value[TEXT] = content
            return value

        return read

    def named(self, node: etree._Element, answer: Answer) -> object:
        """An element that a wildcard lets in."""
        declared = self.schema.elements.get(str(node.tag))
        return self.element(declared)(node, answer) if declared is not None else read_anything(node)

    def _attributes(self, kind: ComplexType) -> Callable[[etree._Element, Answer, dict[str, object]], None]:
        keys = attribute_keys(kind)
        compiled: dict[str, tuple[str, Lexical]] = {
            name: (keys[name], self._lexical(attribute.type)) for name, attribute in kind.attributes.items()
        }
        required = [] if self.encoded else [name for name, attribute in kind.attributes.items() if attribute.required]
        wildcard = kind.any_attribute

        def read(node: etree._Element, answer: Answer, value: dict[str, object]) -> None:
            for name, text in node.items():
                known = compiled.get(str(name))
                if known is not None:
                    key, lexical = known
                    try:
                        value[key] = lexical.read(str(text))
                    except Odd as odd:
                        answer.deviate(node, f"its attribute {key[1:]}: {odd.detail}")
                        value[key] = text
                elif _speaks_of_itself(str(name), self.encoded):
                    continue
                elif wildcard is not None and wildcard.allows(split(str(name))[0]):
                    value["@" + str(name)] = text
                else:
                    answer.deviate(node, f"has an attribute {local_name(str(name))} that is not declared")
            for name in required:
                if node.get(name) is None:
                    answer.deviate(node, f"lacks the required attribute {local_name(name)}")

        return read


def _speaks_of_itself(name: str, encoded: bool) -> bool:
    namespace, local = split(name)
    return namespace in _NOT_CONTENT or (encoded and not namespace and local in _ENCODING_PLAIN)


def _check_attributes(node: etree._Element, answer: Answer) -> None:
    """For elements that declare none."""
    for name in node.keys():  # noqa: SIM118  # an element is not a dict: iterating it gives its children
        if not _speaks_of_itself(str(name), True):
            answer.deviate(node, f"has an attribute {local_name(str(name))} that is not declared")


def _check_order(node: etree._Element, shape: Shape, codes: str, answer: Answer) -> None:
    if shape.content is None or shape.order.valid(codes):
        return
    wrong, expected = shape.order.first_wrong(codes)
    declared = [child for child in node if shape.order.code(str(child.tag)) is not None]
    if wrong < len(declared):
        answer.deviate(declared[wrong], f"does not fit here; the schema wants {expected or 'the end'}")
    else:
        answer.deviate(node, f"ends too early; the schema wants {expected}")


def _dereference(node: etree._Element, answer: Answer) -> etree._Element:
    """SOAP 1.1 §5.2.1 href, SOAP 1.2 part 2 §3.1.5 ref: the element that carries the value."""
    for _ in range(16):
        reference = node.get("href") or node.get("ref") or node.get(clark(SOAP_ENC_12, "ref"))
        if not reference:
            return node
        target = answer.ids.get(reference.lstrip("#"))
        if target is None:
            answer.deviate(node, "refers to an element that is not there")
            return node
        answer.references += 1
        if answer.references > MAX_REFERENCES:
            raise Deviation(f"more than {MAX_REFERENCES} references", path_of(node))
        node = target
    raise Deviation("refers to itself", path_of(node))


def _included(include: etree._Element, answer: Answer) -> object:
    """XOP 1.0 §3.2: the octets of the part that the cid: URI names."""
    href = include.get("href") or ""
    if answer.attachment is None or not href.startswith("cid:"):
        answer.deviate(include, "refers to an attachment, but the message has none")
        return ""
    found = answer.attachment(href[4:])
    if found is None:
        answer.deviate(include, "refers to an attachment that is not in the message")
        return ""
    return found


def _expanded(node: etree._Element, text: str, answer: Answer) -> str:
    prefix, colon, local = text.strip().partition(":")
    namespace = node.nsmap.get(prefix if colon else None)
    if colon and namespace is None:
        answer.deviate(node, "is a qualified name whose prefix is not declared")
        return text
    return clark(namespace or "", local if colon else prefix)
