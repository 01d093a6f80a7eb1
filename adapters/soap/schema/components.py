"""XML Schema documents to linked components (XSD 1.0 part 1). Knows no WSDL and no JSON.

Components are made as empty shells first and filled from a queue, so types may refer to each other in circles
and depth of nesting costs no stack.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from lxml import etree

from adapters.soap.schema.builtins import builtin_types
from adapters.soap.schema.documents import Findings, SchemaDocument, place
from adapters.soap.schema.model import (
    SOAP_ENC_11,
    SOAP_ENC_12,
    UNBOUNDED,
    XSD,
    AnyType,
    Attribute,
    ComplexType,
    Element,
    Group,
    Particle,
    Place,
    SimpleType,
    Wildcard,
    clark,
    local_name,
    split,
)
from adapters.soap.schema.simple_types import restrict, simple_definition

XML_NS: Final = "http://www.w3.org/XML/1998/namespace"
XMIME: Final = "http://www.w3.org/2005/05/xmlmime"
WSDL_ARRAY: Final = "{http://schemas.xmlsoap.org/wsdl/}arrayType"
_ARRAYS: Final = (clark(SOAP_ENC_11, "Array"), clark(SOAP_ENC_12, "Array"))
_X: Final = f"{{{XSD}}}"
_GLOBALS: Final = ("element", "complexType", "simpleType", "group", "attributeGroup", "attribute")
_GROUPS: Final = {_X + "sequence": "sequence", _X + "choice": "choice", _X + "all": "all"}
_IGNORED: Final = {_X + kind for kind in ("annotation", "import", "include", "redefine", "override", "notation")}
_IDENTITY: Final = {_X + kind for kind in ("unique", "key", "keyref")}


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


def compile_schema(documents: Iterable[SchemaDocument], findings: Findings) -> Schema:
    """All global components, filled. What does not resolve is a finding and stands as xs:anyType."""
    return _Compiler(list(documents), findings).run()


Source = tuple[etree._Element, SchemaDocument]


class _Compiler:
    def __init__(self, documents: list[SchemaDocument], findings: Findings) -> None:
        self.findings = findings
        self.schema = Schema(findings)
        self._queue: list[Callable[[], None]] = []
        self._filling: set[int] = set()
        self._pending: dict[int, Callable[[], None]] = {}
        self._sources: dict[str, dict[str, Source]] = {kind: {} for kind in _GLOBALS}
        self._members: dict[str, list[str]] = {}
        self._group_depth = 0
        for document in documents:
            self._index(document)

    def run(self) -> Schema:
        for name, (node, document) in self._sources["attribute"].items():
            self.schema.attributes[name] = self._attribute_declaration(node, document, name)
        for name in self._sources["complexType"] | self._sources["simpleType"]:
            self._type(name, Place(), "")
        for name in self._sources["element"]:
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
            if kind not in self._sources:
                self.findings.error(here, f"{etree.QName(tag).localname} is not understood at the top of a schema")
                continue
            local = node.get("name")
            if not local:
                self.findings.error(here, f"xs:{kind} at the top of a schema needs a name")
                continue
            name = clark(document.target, local)
            known = self._sources[kind].get(name)
            if known is None:
                self._sources[kind][name] = (node, document)
            elif etree.tostring(known[0], with_tail=False) != etree.tostring(node, with_tail=False):
                first = place(known[0], known[1].file)
                self.findings.warning(
                    here, f"{kind} {local} is declared twice; the one at {first.file}:{first.line} is used"
                )
            if kind == "element" and node.get("substitutionGroup"):
                head = self._qname(node, node.get("substitutionGroup") or "", document)
                self._members.setdefault(head, []).append(name)

    # --- names ---------------------------------------------------------------------------------------------

    def _qname(self, node: etree._Element, text: str, document: SchemaDocument) -> str:
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

    def _unknown(self, what: str, name: str, here: Place, candidates: Iterable[str]) -> None:
        namespace, local = split(name)
        close = difflib.get_close_matches(local, {local_name(other) for other in candidates}, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        inside = f" in namespace {namespace}" if namespace else ""
        if namespace and namespace not in self.schema.namespaces and not hint:
            hint = "; no schema of that namespace was loaded (an import without schemaLocation?)"
        self.findings.error(here, f"{what} {local}{inside} is not declared{hint}")

    def _type(self, name: str, here: Place, what: str) -> AnyType:
        known = self.schema.types.get(name)
        if known is not None:
            return known
        source = self._sources["complexType"].get(name)
        if source is not None:
            return self._complex(source, name)
        source = self._sources["simpleType"].get(name)
        if source is not None:
            return self._simple(source, name)
        self._unknown("type", name, here, self._sources["complexType"] | self._sources["simpleType"])
        self.schema.types[name] = self.schema.anything  # said once
        return self.schema.anything

    # --- simple types --------------------------------------------------------------------------------------

    def _simple(self, source: Source, name: str) -> SimpleType:
        node, document = source
        made = SimpleType(name, place=place(node, document.file), doc=_doc(node))
        if name:
            self.schema.types[name] = made
        self._later(made, lambda: self._fill_simple(made, node, document))
        return made

    def _fill_simple(self, made: SimpleType, node: etree._Element, document: SchemaDocument) -> None:
        def simple(child: etree._Element, attribute: str) -> list[SimpleType]:
            named = [self._qname(child, name, document) for name in (child.get(attribute) or "").split()]
            found: list[SimpleType] = []
            for name in named:
                found.append(
                    self._ready_simple(self._type(name, place(child, document.file), ""), place(child, document.file))
                )
            for inner in child.iterfind(_X + "simpleType"):
                found.append(self._ready_simple(self._simple((inner, document), ""), place(inner, document.file)))
            return found

        simple_definition(made, node, document.file, simple, self.findings, self.schema.any_simple)

    def _ready_simple(self, kind: AnyType, here: Place) -> SimpleType:
        if isinstance(kind, ComplexType):
            if kind is not self.schema.anything:
                self.findings.error(here, f"{local_name(kind.name)} is a complex type where a simple one belongs")
            return self.schema.any_simple
        self._ready(kind, here)
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

    def _ready(self, component: AnyType, here: Place) -> bool:
        """Whether `component` is filled now; False, with a finding, when it derives from itself."""
        if id(component) in self._filling:
            self.findings.error(here, f"{local_name(component.name) or 'a type'} derives from itself")
            return False
        pending = self._pending.get(id(component))
        if pending is not None:
            pending()
        return True

    # --- complex types -------------------------------------------------------------------------------------

    def _complex(self, source: Source, name: str) -> ComplexType:
        node, document = source
        made = ComplexType(
            name,
            abstract=_true(node.get("abstract")),
            mixed=_true(node.get("mixed")),
            place=place(node, document.file),
            doc=_doc(node),
        )
        if name:
            self.schema.types[name] = made
        self._later(made, lambda: self._fill_complex(made, node, document))
        return made

    def _fill_complex(self, made: ComplexType, node: etree._Element, document: SchemaDocument) -> None:
        for child in node:
            if child.tag == _X + "simpleContent":
                self._derive(made, child, document, simple=True)
                return
            if child.tag == _X + "complexContent":
                if child.get("mixed") is not None:
                    made.mixed = _true(child.get("mixed"))
                self._derive(made, child, document, simple=False)
                return
        made.base = self.schema.anything
        made.content = self._content(node, document)
        self._attributes(made, node, document)

    def _derive(self, made: ComplexType, content: etree._Element, document: SchemaDocument, *, simple: bool) -> None:
        here = place(content, document.file)
        step = next((child for child in content if child.tag in (_X + "extension", _X + "restriction")), None)
        if step is None or not step.get("base"):
            self.findings.error(here, "needs an extension or a restriction with a base")
            return
        kind: Literal["extension", "restriction"] = "extension" if step.tag == _X + "extension" else "restriction"
        made.derivation = kind
        base = self._type(self._qname(step, step.get("base") or "", document), place(step, document.file), "")
        if not self._ready(base, place(step, document.file)):
            return
        made.base = base
        if base is not self.schema.anything:
            base.derived.append(made)
        if simple:
            self._simple_content(made, base, step, document)
        elif isinstance(base, ComplexType):
            self._complex_content(made, base, step, document)
        else:
            self.findings.error(here, f"{local_name(base.name)} is a simple type; extend it within xs:simpleContent")
        inherited = base if isinstance(base, ComplexType) else None
        if inherited is not None:
            made.attributes.update(inherited.attributes)
            made.any_attribute = inherited.any_attribute if kind == "extension" else None
        self._attributes(made, step, document)

    def _simple_content(self, made: ComplexType, base: AnyType, step: etree._Element, document: SchemaDocument) -> None:
        text = base if isinstance(base, SimpleType) else base.text
        here = place(step, document.file)
        inner = step.find(_X + "simpleType")
        if inner is not None:
            text = self._ready_simple(self._simple((inner, document), ""), here)
        if text is None:
            if base is not self.schema.anything:
                self.findings.error(here, f"{local_name(base.name)} has no simple content to derive from")
            text = self.schema.any_simple
        self._ready(text, here)
        if made.derivation == "restriction":
            text = restrict(text, step, document.file, self.findings)
        made.text = text

    def _complex_content(
        self, made: ComplexType, base: ComplexType, step: etree._Element, document: SchemaDocument
    ) -> None:
        own = self._content(step, document)
        if base.name in _ARRAYS or base.array_item is not None:
            self._array(made, base, own, step, document)
        elif made.derivation == "restriction" or base is self.schema.anything:
            made.content = own
        elif base.content is None or own is None:
            made.content = own or base.content
        else:
            made.content = Particle(Group("sequence", (base.content, own)))
        made.mixed = made.mixed or (made.derivation == "extension" and base.mixed and base is not self.schema.anything)
        if base.text is not None:
            self.findings.error(
                place(step, document.file), "a type with simple content is derived within xs:simpleContent"
            )

    def _array(
        self, made: ComplexType, base: ComplexType, own: Particle | None, step: etree._Element, document: SchemaDocument
    ) -> None:
        """SOAP 1.1 §5.4.2 by WSDL 1.1 §2.2: the type of the items stands in wsdl:arrayType, or in an element of its own."""
        made.array_item = base.array_item
        for node in step.iter(_X + "attribute"):
            text = node.get(WSDL_ARRAY)
            if text:
                name, _, dimensions = text.partition("[")  # "xsd:string[]": one dimension is the array itself
                kind = self._type(self._qname(node, name, document), place(node, document.file), "")
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
            made.array_item = Element("item", self.schema.anything, nillable=True)

    # --- particles -----------------------------------------------------------------------------------------

    def _content(self, node: etree._Element, document: SchemaDocument) -> Particle | None:
        for child in node:
            if child.tag in _GROUPS or child.tag == _X + "group":
                return self._particle(child, document)
        return None

    def _particle(self, node: etree._Element, document: SchemaDocument) -> Particle | None:
        low, high = self._occurs(node, document)
        if high == 0:
            return None
        tag = node.tag
        if tag == _X + "element":
            return Particle(self._local_element(node, document), low, high)
        if tag == _X + "any":
            return Particle(self._wildcard(node, document), low, high)
        if tag == _X + "group":
            name = self._qname(node, node.get("ref") or "", document)
            source = self._sources["group"].get(name)
            if source is None:
                self._unknown("group", name, place(node, document.file), self._sources["group"])
                return None
            self._group_depth += 1
            if self._group_depth > 50:
                self.findings.error(place(node, document.file), f"group {local_name(name)} contains itself")
                self._group_depth -= 1
                return None
            content = self._content(*source)
            self._group_depth -= 1
            if content is None or (low, high) == (1, 1):
                return content
            return Particle(Group("sequence", (content,)), low, high)
        particles = []
        for child in node:
            if child.tag in _GROUPS or child.tag in (_X + "element", _X + "any", _X + "group"):
                particle = self._particle(child, document)
                if particle is not None:
                    particles.append(particle)
            elif isinstance(child.tag, str) and child.tag not in _IGNORED:
                self.findings.error(
                    place(child, document.file), f"{local_name(child.tag)} is not understood in a content model"
                )
        kind = cast(Literal["sequence", "choice", "all"], _GROUPS[tag])
        return Particle(Group(kind, tuple(particles)), low, high) if particles or kind == "choice" else None

    def _occurs(self, node: etree._Element, document: SchemaDocument) -> tuple[int, int]:
        low, high = node.get("minOccurs", "1").strip(), node.get("maxOccurs", "1").strip()
        if not low.isdigit() or not (high.isdigit() or high == "unbounded"):
            self.findings.error(
                place(node, document.file), "minOccurs and maxOccurs are whole numbers, or maxOccurs unbounded"
            )
            return 1, 1
        bounds = int(low), UNBOUNDED if high == "unbounded" else int(high)
        if bounds[0] > bounds[1]:
            self.findings.error(place(node, document.file), "minOccurs is greater than maxOccurs")
        return bounds

    def _wildcard(self, node: etree._Element, document: SchemaDocument) -> Wildcard:
        text = node.get("namespace", "##any").split()
        process = node.get("processContents", "strict")
        checked: Literal["strict", "lax", "skip"] = process if process in ("lax", "skip") else "strict"  # type: ignore[assignment]  # narrowed by the test
        if text == ["##any"]:
            return Wildcard(process=checked)
        if text == ["##other"]:
            return Wildcard(excluded=frozenset((document.target, "")), process=checked)
        names = {"##targetNamespace": document.target, "##local": ""}
        return Wildcard(namespaces=frozenset(names.get(name, name) for name in text), process=checked)

    # --- elements ------------------------------------------------------------------------------------------

    def _global_element(self, name: str) -> Element:
        known = self.schema.elements.get(name)
        if known is not None:
            return known
        node, document = self._sources["element"][name]
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

    def _local_element(self, node: etree._Element, document: SchemaDocument) -> Element:
        reference = node.get("ref")
        if reference:
            name = self._qname(node, reference, document)
            if name in self._sources["element"]:
                return self._global_element(name)
            if name == clark(XSD, "schema"):  # .NET DataSets: the schema travels with the rows
                return Element(name, self.schema.anything, place=place(node, document.file))
            self._unknown("element", name, place(node, document.file), self._sources["element"])
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
        made.nillable = _true(node.get("nillable"))
        made.abstract = _true(node.get("abstract"))
        made.default, made.fixed = node.get("default"), node.get("fixed")
        made.binary = node.get(clark(XMIME, "expectedContentTypes")) or ""
        if len(node):
            made.doc = _doc(node)
        made.type = self._type_of(node, document)
        for child in node:
            if child.tag in _IDENTITY:
                self.findings.warning(place(child, document.file), f"xs:{local_name(child.tag)} is not checked")

    def _type_of(self, node: etree._Element, document: SchemaDocument) -> AnyType:
        name = node.get("type")
        if name:
            return self._type(self._qname(node, name, document), place(node, document.file), "")
        for child in node:
            if child.tag == _X + "complexType":
                return self._complex((child, document), "")
            if child.tag == _X + "simpleType":
                return self._simple((child, document), "")
        head = node.get("substitutionGroup")
        if head:  # XSD 1.0 part 1 §3.3.2: without a type of its own, the head's
            name = self._qname(node, head, document)
            if name in self._sources["element"]:
                return self._global_element(name).type
            self._unknown("element", name, place(node, document.file), self._sources["element"])
        return self.schema.anything

    # --- attributes ----------------------------------------------------------------------------------------

    def _attributes(self, made: ComplexType, node: etree._Element, document: SchemaDocument, depth: int = 0) -> None:
        for child in node:
            if child.tag == _X + "attribute":
                attribute = self._attribute(child, document)
                if attribute is None:
                    continue
                if attribute.prohibited:
                    made.attributes.pop(attribute.name, None)
                else:
                    made.attributes[attribute.name] = attribute
            elif child.tag == _X + "anyAttribute":
                made.any_attribute = self._wildcard(child, document)
            elif child.tag == _X + "attributeGroup":
                name = self._qname(child, child.get("ref") or "", document)
                source = self._sources["attributeGroup"].get(name)
                if source is None or depth > 20:
                    self._unknown("attributeGroup", name, place(child, document.file), self._sources["attributeGroup"])
                else:
                    self._attributes(made, *source, depth + 1)

    def _attribute(self, node: etree._Element, document: SchemaDocument) -> Attribute | None:
        reference = node.get("ref")
        use = node.get("use")
        if reference:
            name = self._qname(node, reference, document)
            if split(name)[0] in (SOAP_ENC_11, SOAP_ENC_12):
                return None  # arrayType and its kin, written by the encoding itself
            declared = self.schema.attributes.get(name)
            if declared is None and name in self._sources["attribute"]:
                declared = self._attribute_declaration(*self._sources["attribute"][name], name)
            if declared is None:
                if split(name)[0] not in (XML_NS, XMIME):
                    self._unknown("attribute", name, place(node, document.file), self._sources["attribute"])
                declared = Attribute(name, cast(SimpleType, self.schema.types[_X + "string"]))
            kind, default, fixed = declared.type, declared.default, declared.fixed
        else:
            form = node.get("form") or document.root.get("attributeFormDefault")
            local = node.get("name")
            if not local:
                self.findings.error(place(node, document.file), "an attribute needs a name or a ref")
                return None
            name = clark(document.target if form == "qualified" else "", local)
            declared = self._attribute_declaration(node, document, name)
            kind, default, fixed = declared.type, None, None
        return Attribute(
            name,
            kind,
            required=use == "required",
            prohibited=use == "prohibited",
            default=node.get("default", default),
            fixed=node.get("fixed", fixed),
            doc=_doc(node),
        )

    def _attribute_declaration(self, node: etree._Element, document: SchemaDocument, name: str) -> Attribute:
        kind = self._type_of(node, document)
        if kind is self.schema.anything:
            kind = self.schema.any_simple
        simple = kind if isinstance(kind, SimpleType) else self._ready_simple(kind, place(node, document.file))
        return Attribute(name, simple, default=node.get("default"), fixed=node.get("fixed"))


def _true(text: str | None) -> bool:
    return text is not None and text.strip() in ("true", "1")


def _doc(node: etree._Element) -> str:
    """The first documentation, on one line; partners read it in the OpenAPI document."""
    text = node.findtext(f"{_X}annotation/{_X}documentation")
    return " ".join(text.split())[:500] if text else ""
