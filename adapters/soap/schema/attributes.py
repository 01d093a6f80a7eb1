"""Attributes of a complex type: its own, those of groups, those that a restriction takes away (XSD 1.0 part 1 §3.2, §3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from lxml import etree

from adapters.soap.schema.annotations import doc_of
from adapters.soap.schema.documents import XMIME, XML_NS, SchemaDocument, place
from adapters.soap.schema.model import SOAP_ENC_11, SOAP_ENC_12, XSD, Attribute, ComplexType, SimpleType, clark, split
from adapters.soap.schema.particles import wildcard_of

if TYPE_CHECKING:
    from adapters.soap.schema.components import Compiler

_X: Final = f"{{{XSD}}}"


def collect_attributes(
    compiler: Compiler, made: ComplexType, node: etree._Element, document: SchemaDocument, depth: int = 0
) -> None:
    for child in node:
        if child.tag == _X + "attribute":
            attribute = _attribute(compiler, child, document)
            if attribute is None:
                continue
            if attribute.prohibited:
                made.attributes.pop(attribute.name, None)
            else:
                made.attributes[attribute.name] = attribute
        elif child.tag == _X + "anyAttribute":
            made.any_attribute = wildcard_of(compiler, child, document)
        elif child.tag == _X + "attributeGroup":
            name, source = compiler.part("attributeGroup", child, document)
            if source is None and split(name)[0] in (SOAP_ENC_11, SOAP_ENC_12):
                continue  # as in _attribute()
            if source is None and name == clark(XML_NS, "specialAttrs"):  # https://www.w3.org/2001/xml.xsd
                string = cast(SimpleType, compiler.schema.types[_X + "string"])
                for attribute in (Attribute(clark(XML_NS, local), string) for local in ("base", "lang", "space", "id")):
                    made.attributes[attribute.name] = attribute
            elif source is None or depth > 20:
                compiler.unknown(
                    "attributeGroup", name, place(child, document.file), compiler.sources["attributeGroup"]
                )
            else:
                collect_attributes(compiler, made, *source, depth + 1)


def _attribute(compiler: Compiler, node: etree._Element, document: SchemaDocument) -> Attribute | None:
    reference = node.get("ref")
    use = node.get("use")
    if reference:
        name = compiler.qname(node, reference, document)
        if split(name)[0] in (SOAP_ENC_11, SOAP_ENC_12):
            return None  # arrayType and its kin, written by the encoding itself
        declared = compiler.schema.attributes.get(name)
        if declared is None and name in compiler.sources["attribute"]:
            declared = compiler.attribute_declaration(*compiler.sources["attribute"][name], name)
        if declared is None:
            if split(name)[0] not in (XML_NS, XMIME):
                compiler.unknown("attribute", name, place(node, document.file), compiler.sources["attribute"])
            declared = Attribute(name, cast(SimpleType, compiler.schema.types[_X + "string"]))
        kind, default, fixed = declared.type, declared.default, declared.fixed
    else:
        form = node.get("form") or document.root.get("attributeFormDefault")
        local = node.get("name")
        if not local:
            compiler.findings.error(place(node, document.file), "an attribute needs a name or a ref")
            return None
        name = clark(document.target if form == "qualified" else "", local)
        declared = compiler.attribute_declaration(node, document, name)
        kind, default, fixed = declared.type, None, None
    return Attribute(
        name,
        kind,
        required=use == "required",
        prohibited=use == "prohibited",
        default=node.get("default", default),
        fixed=node.get("fixed", fixed),
        doc=doc_of(node),
    )
