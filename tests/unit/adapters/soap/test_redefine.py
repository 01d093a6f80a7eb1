"""xs:redefine: who gets the new component, what it may say of the old one, what is wrong. Round trips are with the others'."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lxml import etree

from adapters.soap.catalogue import Catalogue
from adapters.soap.listen.served import ServedDocuments
from adapters.soap.schema.model import XSD, ComplexType, Element, Group, Particle, local_name

from .wsdls import FOLDER, compiled, wsdl, wsdl_of

ELEMENT = '<x:element name="A" type="t:T"/>'


def document(content: str, namespace: str = "urn:t") -> str:
    target = f'targetNamespace="{namespace}" xmlns:t="{namespace}" elementFormDefault="qualified"' if namespace else ""
    return f'<x:schema xmlns:x="{XSD}" {target}>{content}</x:schema>'


def declared(name: str, kind: str = "T") -> str:
    return (
        f'<x:complexType name="{kind}"><x:sequence><x:element name="{name}" type="x:int"/></x:sequence></x:complexType>'
    )


def extended(name: str, kind: str = "T", base: str = "t:T") -> str:
    return (
        f'<x:complexType name="{kind}"><x:complexContent><x:extension base="{base}"><x:sequence>'
        f'<x:element name="{name}" type="x:int"/></x:sequence></x:extension></x:complexContent></x:complexType>'
    )


def redefine(location: str, content: str) -> str:
    return f'<x:redefine schemaLocation="{location}">{content}</x:redefine>'


def elements(particle: Particle | None) -> Iterator[str]:
    if particle is not None and isinstance(particle.term, Element):
        yield local_name(particle.term.name)
    elif particle is not None and isinstance(particle.term, Group):
        for inner in particle.term.particles:
            yield from elements(inner)


def members(schema: str, kind: str = "T", **files: str) -> str:
    """The elements of a type, in order."""
    service = compiled(wsdl_of(schema, "A"), **files)
    assert not service.findings
    found = service.schema.types[f"{{urn:t}}{kind}"]
    assert isinstance(found, ComplexType)
    return " ".join(elements(found.content))


def test_a_redefinition_holds_in_the_redefined_document_too() -> None:
    files = {"a_xsd": document(declared("a") + extended("u", "User"))}
    schema = ELEMENT + redefine("a.xsd", extended("b"))
    assert members(schema, **files) == "a b"
    assert members(schema, "User", **files) == "a b u"


def test_a_type_that_holds_itself_holds_the_new_one() -> None:
    recursive = declared("a").replace("</x:sequence>", '<x:element name="t" type="t:T" minOccurs="0"/></x:sequence>')
    service = compiled(wsdl_of(ELEMENT + redefine("a.xsd", extended("b")), "A"), a_xsd=document(recursive))
    redefined = service.schema.types["{urn:t}T"]
    assert isinstance(redefined, ComplexType)
    original = redefined.base
    assert isinstance(original, ComplexType)
    assert original.name == ""  # XSD 1.0 part 1 §4.2.2: what it was has no name
    assert original.content is not None
    assert isinstance(original.content.term, Group)
    inner = original.content.term.particles[1].term
    assert isinstance(inner, Element)
    assert inner.type is redefined


def test_a_redefinition_may_be_redefined() -> None:
    middle = document(redefine("a.xsd", extended("b")))
    assert members(ELEMENT + redefine("b.xsd", extended("c")), a_xsd=document(declared("a")), b_xsd=middle) == "a b c"


@pytest.mark.parametrize("first", ["include", "import"])
def test_the_order_of_documents_does_not_matter(first: str) -> None:
    """Here what is redefined last is met first."""
    files = {
        "a_xsd": document(declared("a")),
        "b_xsd": document(redefine("a.xsd", extended("b"))),
        "c_xsd": document(redefine("b.xsd", extended("c"))),
    }
    again = (
        '<x:import namespace="urn:t" schemaLocation="b.xsd"/>'
        if first == "import"
        else '<x:include schemaLocation="b.xsd"/>'
    )
    assert members(again + '<x:include schemaLocation="c.xsd"/>' + ELEMENT, **files) == "a b c"


def test_what_the_redefined_document_includes_can_be_redefined() -> None:
    files = {"a_xsd": document(declared("a")), "b_xsd": document('<x:include schemaLocation="a.xsd"/>')}
    assert members(ELEMENT + redefine("b.xsd", extended("b")), **files) == "a b"


def test_a_document_without_a_namespace_takes_on_that_of_who_redefines_it() -> None:
    plain = '<x:complexType name="T"><x:sequence><x:element name="a" type="Small"/></x:sequence></x:complexType>'
    small = '<x:simpleType name="Small"><x:restriction base="x:int"/></x:simpleType>'
    assert members(ELEMENT + redefine("a.xsd", extended("b")), a_xsd=document(plain + small, "")) == "a b"


def test_each_includer_of_a_redefinition_without_a_namespace_has_its_own() -> None:
    files = {
        "a_xsd": document(declared("a"), ""),
        "b_xsd": document(redefine("a.xsd", extended("b", base="T")), ""),
        "o_xsd": document('<x:include schemaLocation="b.xsd"/>', "urn:o"),
    }
    schema = '<x:include schemaLocation="b.xsd"/><x:import namespace="urn:o" schemaLocation="o.xsd"/>' + ELEMENT
    service = compiled(wsdl_of(schema, "A"), **files)
    assert not service.findings
    for namespace in ("urn:t", "urn:o"):
        kind = service.schema.types[f"{{{namespace}}}T"]
        assert isinstance(kind, ComplexType)
        assert " ".join(elements(kind.content)) == "a b"


def test_a_redefine_of_nothing_is_an_include() -> None:
    assert members(ELEMENT + redefine("a.xsd", "<x:annotation/>"), a_xsd=document(declared("a"))) == "a"


def test_documents_that_redefine_each_other_end() -> None:
    files = {
        "a_xsd": document(declared("a") + redefine("b.xsd", extended("q", "Q", "t:Q"))),
        "b_xsd": document(declared("p", "Q") + redefine("a.xsd", extended("b"))),
    }
    schema = '<x:include schemaLocation="a.xsd"/>' + ELEMENT
    assert (members(schema, **files), members(schema, "Q", **files)) == ("a b", "p q")


GROUP = '<x:group name="G"><x:sequence>{}</x:sequence></x:group>'
SIMPLE = '<x:simpleType name="S"><x:restriction base="{}"/></x:simpleType>'
HELD = '<x:group ref="t:G"/>'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('<x:redefine schemaLocation="a.xsd"><x:element name="T"/></x:redefine>', "element cannot be redefined; types, groups"),
        (redefine("a.xsd", '<group xmlns="urn:o" name="G"/>'), "group cannot be redefined; types, groups"),
        (redefine("a.xsd", extended("b").replace('name="T"', "")), "xs:complexType needs a name"),
        (redefine("a.xsd", extended("b", "Tt", "t:Tt")), "Tt cannot be redefined: a.xsd does not declare it; did you mean T?"),
        (redefine("a.xsd", SIMPLE.format("t:T").replace('"S"', '"T"')), "simpleType T cannot be redefined: a.xsd does not declare it"),
        (redefine("a.xsd", extended("b", base="t:Other")), "so its base has to be T itself"),
        (redefine("a.xsd", declared("b")), "so its base has to be T itself"),
        (redefine("a.xsd", SIMPLE.format("x:int")), "so its base has to be S itself"),
        (redefine("a.xsd", GROUP.format(HELD + HELD)), "group G is redefined, so it may hold itself once only"),
        (redefine("a.xsd", GROUP.format('<x:group ref="t:G" minOccurs="0"/>')), "so it may hold itself once only"),
        (redefine("a.xsd", GROUP.format('<x:group ref="t:G" maxOccurs="2"/>')), "so it may hold itself once only"),
        (
            redefine("a.xsd", '<x:attributeGroup name="M"><x:attributeGroup ref="t:M"/><x:attributeGroup ref="t:M"/></x:attributeGroup>'),
            "attributeGroup M is redefined, so it may hold itself once only",
        ),
        (redefine("a.xsd", extended("b") + extended("c")), "it is that of service.wsdl:3, not that of a.xsd"),
        (declared("z") + redefine("a.xsd", extended("b")), "it is that of service.wsdl:3, not that of a.xsd"),
        (redefine("a.xsd", extended("b")) + redefine("b.xsd", ""), "it is that of service.wsdl:3, not that of a.xsd"),
        (redefine("o.xsd", extended("b")), "o.xsd has another targetNamespace; only a schema of its own can be redefined"),
        ("<x:redefine/>", "xs:redefine has no schemaLocation"),
        (redefine("none.xsd", ""), "cannot read none.xsd: No such file"),
        (redefine("../../etc/passwd", ""), "cannot read ../../etc/passwd"),
        (redefine("/etc/passwd", ""), "not a relative path"),
        (redefine("http://192.0.2.1/a.xsd", ""), "on the network"),
        (redefine("dtd.xsd", ""), "document type"),
        (redefine("html.xsd", ""), "no XML Schema"),
    ],
)  # fmt: skip
def test_findings(content: str, words: str) -> None:
    attributes = '<x:attributeGroup name="M"><x:attribute name="m"/></x:attributeGroup>'
    group = GROUP.format('<x:element name="g" type="x:int"/>')
    files = {
        "a_xsd": document(declared("a") + declared("o", "Other") + SIMPLE.format("x:int") + group + attributes),
        "b_xsd": document(redefine("a.xsd", extended("c"))),
        "o_xsd": document(declared("a"), "urn:o"),
        "dtd_xsd": "<!DOCTYPE a><a/>",
        "html_xsd": "<html/>",
    }
    service = compiled(wsdl_of('<x:element name="A" type="x:int"/>' + content, "A"), **files)
    found = [str(finding) for finding in service.findings]
    assert any(words in finding for finding in found), found
    assert all(finding.place.line > 0 for finding in service.findings)


def test_a_finding_names_the_line_of_the_component() -> None:
    content = f'<x:element name="A" type="x:int"/>\n<x:redefine schemaLocation="a.xsd">\n\n{declared("b")}</x:redefine>'
    (finding,) = compiled(wsdl_of(content, "A"), a_xsd=document(declared("a"))).findings
    assert (finding.place.file, finding.place.line) == ("service.wsdl", 6)


def test_listen_serves_what_is_redefined() -> None:
    service = wsdl("redefined/redefined.wsdl")
    served = ServedDocuments(service.documents.files, lambda path: (FOLDER / path).read_bytes())
    now = served.document("1", "https://api.example/post")
    assert now is not None
    (node,) = etree.fromstring(now).iterfind("{*}redefine")
    assert node.get("schemaLocation") == "https://api.example/post?wsdl=2"


def test_a_changed_document_that_is_redefined_is_compiled_anew() -> None:
    files = {path.name: path.read_bytes() for path in (FOLDER / "redefined").iterdir()}
    catalogue = Catalogue()
    first = catalogue.compiled("redefined.wsdl", files.__getitem__)
    assert catalogue.compiled("redefined.wsdl", files.__getitem__) is first
    assert not first.wsdl.documents.redefinitions  # nor are their trees kept
    files["before.xsd"] = files["before.xsd"].replace(b'maxOccurs="2"', b'maxOccurs="9"')
    assert catalogue.compiled("redefined.wsdl", files.__getitem__) is not first
