"""Complex types and what they inherit: extension, restriction, simple content, soapenc:Array (XSD 1.0 part 1 §3.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from lxml import etree

from adapters.soap.schema.annotations import is_true
from adapters.soap.schema.attributes import collect_attributes
from adapters.soap.schema.documents import SchemaDocument, place
from adapters.soap.schema.model import (
    SOAP_ENC_11,
    SOAP_ENC_12,
    XSD,
    AnyType,
    ComplexType,
    Element,
    Group,
    Particle,
    SimpleType,
    clark,
    local_name,
)
from adapters.soap.schema.particles import content_of
from adapters.soap.schema.simple_types import restrict

if TYPE_CHECKING:
    from adapters.soap.schema.components import Compiler

_X: Final = f"{{{XSD}}}"
WSDL_ARRAY: Final = "{http://schemas.xmlsoap.org/wsdl/}arrayType"
_ARRAYS: Final = (clark(SOAP_ENC_11, "Array"), clark(SOAP_ENC_12, "Array"))


def fill_complex(compiler: Compiler, made: ComplexType, node: etree._Element, document: SchemaDocument) -> None:
    for child in node:
        if child.tag == _X + "simpleContent":
            _derive(compiler, made, child, document, simple=True)
            return
        if child.tag == _X + "complexContent":
            if child.get("mixed") is not None:
                made.mixed = is_true(child.get("mixed"))
            _derive(compiler, made, child, document, simple=False)
            return
    made.base = compiler.schema.anything
    made.content = content_of(compiler, node, document)
    collect_attributes(compiler, made, node, document)


def _derive(
    compiler: Compiler, made: ComplexType, content: etree._Element, document: SchemaDocument, *, simple: bool
) -> None:
    here = place(content, document.file)
    step = next((child for child in content if child.tag in (_X + "extension", _X + "restriction")), None)
    if step is None or not step.get("base"):
        compiler.findings.error(here, "needs an extension or a restriction with a base")
        return
    kind: Literal["extension", "restriction"] = "extension" if step.tag == _X + "extension" else "restriction"
    made.derivation = kind
    base = compiler.base(step, step.get("base") or "", document)
    if not compiler.ready(base, place(step, document.file)):
        return
    made.base = base
    if base is not compiler.schema.anything:
        base.derived.append(made)
    if simple:
        _simple_content(compiler, made, base, step, document)
    elif isinstance(base, ComplexType):
        _complex_content(compiler, made, base, step, document)
    else:
        compiler.findings.error(here, f"{local_name(base.name)} is a simple type; extend it within xs:simpleContent")
    inherited = base if isinstance(base, ComplexType) else None
    if inherited is not None:
        made.attributes.update(inherited.attributes)
        made.any_attribute = inherited.any_attribute if kind == "extension" else None
    collect_attributes(compiler, made, step, document)


def _simple_content(
    compiler: Compiler, made: ComplexType, base: AnyType, step: etree._Element, document: SchemaDocument
) -> None:
    text = base if isinstance(base, SimpleType) else base.text
    here = place(step, document.file)
    inner = step.find(_X + "simpleType")
    if inner is not None:
        text = compiler.ready_simple(compiler.simple((inner, document), ""), here)
    if text is None:
        if base is not compiler.schema.anything:
            compiler.findings.error(here, f"{local_name(base.name)} has no simple content to derive from")
        text = compiler.schema.any_simple
    compiler.ready(text, here)
    if made.derivation == "restriction":
        text = restrict(text, step, document.file, compiler.findings)
    made.text = text


def _complex_content(
    compiler: Compiler, made: ComplexType, base: ComplexType, step: etree._Element, document: SchemaDocument
) -> None:
    own = content_of(compiler, step, document)
    if base.name in _ARRAYS or base.array_item is not None:
        _array(compiler, made, base, own, step, document)
    elif made.derivation == "restriction" or base is compiler.schema.anything:
        made.content = own
    elif base.content is None or own is None:
        made.content = own or base.content
    else:
        made.content = Particle(Group("sequence", (base.content, own)))
    made.mixed = made.mixed or (made.derivation == "extension" and base.mixed and base is not compiler.schema.anything)
    if base.text is not None and own is None and made.derivation == "extension":
        made.text = base.text  # XSD 1.0 part 1 §3.4.2: nothing of its own, so the base's content; some tools write that
    elif base.text is not None:
        compiler.findings.error(
            place(step, document.file), "a type with simple content is derived within xs:simpleContent"
        )


def _array(
    compiler: Compiler,
    made: ComplexType,
    base: ComplexType,
    own: Particle | None,
    step: etree._Element,
    document: SchemaDocument,
) -> None:
    """SOAP 1.1 §5.4.2 by WSDL 1.1 §2.2: the type of the items stands in wsdl:arrayType, or in an element of its own."""
    made.array_item = base.array_item
    for node in step.iter(_X + "attribute"):
        text = node.get(WSDL_ARRAY)
        if text:
            name, _, dimensions = text.partition("[")  # "xsd:string[]": one dimension is the array itself
            kind = compiler.type(compiler.qname(node, name, document), place(node, document.file), "")
            for _ in range(dimensions.count("[")):  # string[][]: an array of arrays
                kind = ComplexType("", base=base, array_item=Element("item", kind, nillable=True))
            made.array_item = Element("item", kind, nillable=True)
    inner = own
    while inner is not None and isinstance(inner.term, Group) and inner.term.particles:
        inner = inner.term.particles[0]
    if inner is not None and isinstance(inner.term, Element):
        item = inner.term
        made.array_item = Element(
            item.name, made.array_item.type if made.array_item else item.type, nillable=True, place=item.place
        )
    if made.array_item is None:
        made.array_item = Element("item", compiler.schema.anything, nillable=True)
