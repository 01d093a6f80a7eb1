"""XML Schema documents to linked components (XSD 1.0 part 1). Knows no WSDL and no JSON.

Components are made as empty shells first and filled from a queue, so types may refer to each other in circles
and depth of nesting costs no stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from lxml import etree

from adapters.soap.schema.annotations import doc_of, is_true
from adapters.soap.schema.complex_types import fill_complex
from adapters.soap.schema.documents import XMIME, XML_NS, Documents, SchemaDocument, place
from adapters.soap.schema.model import (
    XSD,
    AnyType,
    Attribute,
    ComplexType,
    Element,
    Place,
    SimpleType,
    clark,
    local_name,
    split,
    suggestion,
)
from adapters.soap.schema.redefinitions import redefined
from adapters.soap.schema.schema import Schema
from adapters.soap.schema.simple_types import simple_definition

_X: Final = f"{{{XSD}}}"
_GLOBALS: Final = ("element", "complexType", "simpleType", "group", "attributeGroup", "attribute")
_IGNORED: Final = {_X + kind for kind in ("annotation", "import", "include", "redefine", "override", "notation")}
_IDENTITY: Final = {_X + kind for kind in ("unique", "key", "keyref")}


def compile_schema(documents: Documents) -> Schema:
    """All global components, filled. What does not resolve is a finding and stands as xs:anyType."""
    return Compiler(documents).run()


Source = tuple[etree._Element, SchemaDocument]


class Compiler:
    def __init__(self, documents: Documents) -> None:
        self.findings = documents.findings
        self.schema = Schema(documents.findings)
        self._queue: list[Callable[[], None]] = []
        self._filling: set[int] = set()
        self._pending: dict[int, Callable[[], None]] = {}
        self.sources: dict[str, dict[str, Source]] = {kind: {} for kind in _GLOBALS}
        self._members: dict[str, list[str]] = {}
        self.group_depth = 0
        for document in documents.schemas:
            self._index(document)
        self._originals = redefined(self, documents.redefinitions)

    def run(self) -> Schema:
        for name, (node, document) in self.sources["attribute"].items():
            self.schema.attributes[name] = self.attribute_declaration(node, document, name)
        for name in self.sources["complexType"] | self.sources["simpleType"]:
            self.type(name, Place(), "")
        for name in self.sources["element"]:
            self._global_element(name)
        self.drain()
        return self.schema

    def drain(self) -> None:
        while self._queue:
            self._queue.pop()()

    # --- index ---------------------------------------------------------------------------------------------

    def _index(self, document: SchemaDocument) -> None:
        self.schema.namespaces.setdefault(document.target)
        for node in document.root:
            tag = node.tag
            if not isinstance(tag, str) or tag in _IGNORED:
                continue
            kind = tag.removeprefix(_X)
            here = place(node, document.file)
            if kind not in self.sources:
                self.findings.error(here, f"{etree.QName(tag).localname} is not understood at the top of a schema")
                continue
            local = node.get("name")
            if not local:
                self.findings.error(here, f"xs:{kind} at the top of a schema needs a name")
                continue
            name = clark(document.target, local)
            known = self.sources[kind].get(name)
            if known is None:
                self.sources[kind][name] = (node, document)
            elif etree.tostring(known[0], with_tail=False) != etree.tostring(node, with_tail=False):
                first = place(known[0], known[1].file)
                self.findings.warning(
                    here, f"{kind} {local} is declared twice; the one at {first.file}:{first.line} is used"
                )
            if kind == "element" and node.get("substitutionGroup"):
                head = self.qname(node, node.get("substitutionGroup") or "", document)
                self._members.setdefault(head, []).append(name)

    # --- names ---------------------------------------------------------------------------------------------

    def qname(self, node: etree._Element, text: str, document: SchemaDocument) -> str:
        prefix, colon, local = text.strip().partition(":")
        if not colon:
            prefix, local = "", prefix
        namespaces = node.nsmap
        namespace = namespaces.get(prefix or None)
        if namespace is None and prefix == "xml":
            namespace = XML_NS
        if namespace is None:
            if prefix:
                self.findings.error(place(node, document.file), f"the prefix of {text} is not declared")
            elif document.chameleon:
                namespace = document.target
        return clark(namespace or "", local)

    def unknown(self, what: str, name: str, here: Place, candidates: Iterable[str]) -> None:
        namespace, local = split(name)
        hint = suggestion(name, candidates)
        inside = f" in namespace {namespace}" if namespace else ""
        if namespace and namespace not in self.schema.namespaces and not hint:
            hint = "; no schema of that namespace was loaded (an import without schemaLocation?)"
        self.findings.error(here, f"{what} {local}{inside} is not declared{hint}")

    def type(self, name: str, here: Place, what: str) -> AnyType:
        known = self.schema.types.get(name)
        if known is not None:
            return known
        source = self.sources["complexType"].get(name)
        if source is not None:
            return self._complex(source, name)
        source = self.sources["simpleType"].get(name)
        if source is not None:
            return self.simple(source, name)
        self.unknown("type", name, here, self.sources["complexType"] | self.sources["simpleType"])
        self.schema.types[name] = self.schema.anything  # said once
        return self.schema.anything

    def base(self, node: etree._Element, text: str, document: SchemaDocument) -> AnyType:
        """The type that `text`, an attribute of `node`, names; within an xs:redefine also what its own type was."""
        original = self._originals.get((node, document))
        if original is None:
            return self.type(self.qname(node, text, document), place(node, document.file), "")
        return self._complex(original, "") if original[0].tag == _X + "complexType" else self.simple(original, "")

    def part(self, kind: str, node: etree._Element, document: SchemaDocument) -> tuple[str, Source | None]:
        """What the `ref` of a group or attribute group names; within an xs:redefine also what it was itself."""
        name = self.qname(node, node.get("ref") or "", document)
        return name, self._originals.get((node, document)) or self.sources[kind].get(name)

    # --- simple types --------------------------------------------------------------------------------------

    def simple(self, source: Source, name: str) -> SimpleType:
        node, document = source
        made = SimpleType(name, place=place(node, document.file), doc=doc_of(node))
        if name:
            self.schema.types[name] = made
        self._later(made, lambda: self._fill_simple(made, node, document))
        return made

    def _fill_simple(self, made: SimpleType, node: etree._Element, document: SchemaDocument) -> None:
        def simple(child: etree._Element, attribute: str) -> list[SimpleType]:
            found: list[SimpleType] = []
            for text in (child.get(attribute) or "").split():
                found.append(self.ready_simple(self.base(child, text, document), place(child, document.file)))
            for inner in child.iterfind(_X + "simpleType"):
                found.append(self.ready_simple(self.simple((inner, document), ""), place(inner, document.file)))
            return found

        simple_definition(made, node, document.file, simple, self.findings, self.schema.any_simple)

    def ready_simple(self, kind: AnyType, here: Place) -> SimpleType:
        if isinstance(kind, ComplexType):
            if kind is not self.schema.anything:
                self.findings.error(here, f"{local_name(kind.name)} is a complex type where a simple one belongs")
            return self.schema.any_simple
        self.ready(kind, here)
        return kind

    # --- order of filling ----------------------------------------------------------------------------------

    def _later(self, component: AnyType, fill: Callable[[], None]) -> None:
        """Fill `component` when the queue gets to it, or earlier when a derived type needs it."""
        key = id(component)

        def run() -> None:
            if self._pending.pop(key, None) is not None:
                self._filling.add(key)
                fill()
                self._filling.discard(key)

        self._pending[key] = run
        self._queue.append(run)

    def ready(self, component: AnyType, here: Place) -> bool:
        """Whether `component` is filled now; False, with a finding, when it derives from itself."""
        if id(component) in self._filling:
            self.findings.error(here, f"{local_name(component.name) or 'a type'} derives from itself")
            return False
        pending = self._pending.get(id(component))
        if pending is not None:
            pending()
        return True

    def _complex(self, source: Source, name: str) -> ComplexType:
        node, document = source
        made = ComplexType(
            name,
            abstract=is_true(node.get("abstract")),
            mixed=is_true(node.get("mixed")),
            place=place(node, document.file),
            doc=doc_of(node),
        )
        if name:
            self.schema.types[name] = made
        self._later(made, lambda: fill_complex(self, made, node, document))
        return made

    # --- elements ------------------------------------------------------------------------------------------

    def _global_element(self, name: str) -> Element:
        known = self.schema.elements.get(name)
        if known is not None:
            return known
        node, document = self.sources["element"][name]
        made = Element(name, self.schema.anything)
        self.schema.elements[name] = made
        self._describe_element(made, node, document)
        waiting, seen = list(self._members.get(name, ())), {name}
        while waiting:
            member = waiting.pop(0)
            if member not in seen:
                seen.add(member)
                made.substitutes.append(self._global_element(member))
                waiting.extend(self._members.get(member, ()))
        return made

    def local_element(self, node: etree._Element, document: SchemaDocument) -> Element:
        reference = node.get("ref")
        if reference:
            name = self.qname(node, reference, document)
            if name in self.sources["element"]:
                return self._global_element(name)
            if name == clark(XSD, "schema"):  # .NET DataSets: the schema travels with the rows
                return Element(name, self.schema.anything, place=place(node, document.file))
            self.unknown("element", name, place(node, document.file), self.sources["element"])
            return Element(name, self.schema.anything)
        local = node.get("name")
        if not local:
            self.findings.error(place(node, document.file), "an element needs a name or a ref")
        form = node.get("form") or document.root.get("elementFormDefault")
        made = Element(clark(document.target if form == "qualified" else "", local or "unnamed"), self.schema.anything)
        self._describe_element(made, node, document)
        return made

    def _describe_element(self, made: Element, node: etree._Element, document: SchemaDocument) -> None:
        made.place = place(node, document.file)
        made.nillable = is_true(node.get("nillable"))
        made.abstract = is_true(node.get("abstract"))
        made.default, made.fixed = node.get("default"), node.get("fixed")
        made.binary = node.get(clark(XMIME, "expectedContentTypes")) or ""
        if len(node):
            made.doc = doc_of(node)
        made.type = self._type_of(node, document)
        for child in node:
            if child.tag in _IDENTITY:
                self.findings.warning(place(child, document.file), f"xs:{local_name(child.tag)} is not checked")

    def _type_of(self, node: etree._Element, document: SchemaDocument) -> AnyType:
        name = node.get("type")
        if name:
            return self.type(self.qname(node, name, document), place(node, document.file), "")
        for child in node:
            if child.tag == _X + "complexType":
                return self._complex((child, document), "")
            if child.tag == _X + "simpleType":
                return self.simple((child, document), "")
        head = node.get("substitutionGroup")
        if head:  # XSD 1.0 part 1 §3.3.2: without a type of its own, the head's
            name = self.qname(node, head, document)
            if name in self.sources["element"]:
                return self._global_element(name).type
            self.unknown("element", name, place(node, document.file), self.sources["element"])
        return self.schema.anything

    def attribute_declaration(self, node: etree._Element, document: SchemaDocument, name: str) -> Attribute:
        kind = self._type_of(node, document)
        if kind is self.schema.anything:
            kind = self.schema.any_simple
        simple = kind if isinstance(kind, SimpleType) else self.ready_simple(kind, place(node, document.file))
        return Attribute(name, simple, default=node.get("default"), fixed=node.get("fixed"))
