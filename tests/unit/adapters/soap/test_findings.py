"""What a WSDL gets wrong is said with file and line, all of it in one run."""

from __future__ import annotations

import pytest

from adapters.soap.catalogue import Catalogue
from adapters.soap.codec.envelope import OperationCodec
from adapters.soap.schema.documents import BadWsdl
from adapters.soap.schema.model import SOAP_ENC_11, XSD

from .wsdls import FOLDER, compiled, wsdl, wsdl_of

OK = '<x:element name="A" type="x:string"/>'


def messages(schema: str, **files: str) -> list[str]:
    return [
        f"{finding.place.file}:{finding.place.line}: {finding.message}"
        for finding in compiled(wsdl_of(schema, "A"), **files).findings
    ]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ('<x:element name="A" type="t:Nope"/>', "type Nope in namespace urn:t is not declared"),
        ('<x:complexType name="Order"/><x:element name="A" type="t:Ordr"/>', "did you mean Order?"),
        ('<x:element name="A" type="q:B"/>', "the prefix of q:B is not declared"),
        (
            '<x:element name="A"><x:complexType><x:sequence><x:element ref="t:B"/></x:sequence></x:complexType></x:element>',
            "element B",
        ),
        ('<x:element name="A"><x:complexType><x:group ref="t:B"/></x:complexType></x:element>', "group B"),
        ('<x:element name="A"><x:complexType><x:attribute ref="t:b"/></x:complexType></x:element>', "attribute b"),
        (
            '<x:element name="A"><x:complexType><x:sequence><x:element type="x:int"/></x:sequence></x:complexType></x:element>',
            "needs a name or a ref",
        ),
        (
            '<x:element name="A"><x:complexType><x:sequence><x:element name="B" minOccurs="2" maxOccurs="1"/></x:sequence></x:complexType></x:element>',
            "minOccurs is greater",
        ),
        (
            '<x:element name="A"><x:complexType><x:sequence><x:element name="B" maxOccurs="many"/></x:sequence></x:complexType></x:element>',
            "whole numbers",
        ),
        (
            OK
            + '<x:complexType name="C"><x:complexContent><x:extension base="t:C"/></x:complexContent></x:complexType>',
            "derives from itself",
        ),
        (
            OK
            + '<x:simpleType name="S"><x:restriction base="x:string"><x:pattern value="(["/></x:restriction></x:simpleType>',
            "pattern",
        ),
        (
            OK
            + '<x:simpleType name="S"><x:restriction base="x:string"><x:maxLength value="long"/></x:restriction></x:simpleType>',
            "whole number",
        ),
        (
            OK
            + '<x:simpleType name="S"><x:restriction base="x:int"><x:minInclusive value="few"/></x:restriction></x:simpleType>',
            "bound of a number",
        ),
        (OK + '<x:simpleType name="S"/>', "needs a restriction, a list or a union"),
        (OK + '<x:complexType name="C"><x:simpleContent/></x:complexType>', "extension or a restriction"),
        (OK + "<x:complexType/>", "needs a name"),
        (
            OK
            + '<x:group name="G"><x:sequence><x:group ref="t:G"/></x:sequence></x:group><x:complexType name="C"><x:group ref="t:G"/></x:complexType>',
            "contains itself",
        ),
        (OK + '<x:include schemaLocation="none.xsd"/>', "cannot read none.xsd: No such file"),
        (OK + '<x:include schemaLocation="http://192.0.2.1/x.xsd"/>', "on the network"),
        (OK + '<x:include schemaLocation="/etc/passwd"/>', "not a relative path"),
        (OK + '<x:include schemaLocation="file:///etc/passwd"/>', "not a relative path"),
        (OK + '<x:override schemaLocation="a.xsd"/>', "not supported"),
        (OK + '<x:import namespace="urn:other" schemaLocation="bad.xsd"/>', "well-formed"),
        (OK + '<x:import namespace="urn:other" schemaLocation="dtd.xsd"/>', "document type"),
        (OK + '<x:import namespace="urn:other" schemaLocation="html.xsd"/>', "no XML Schema"),
        (OK + OK.replace("string", "int"), "declared twice"),
        ('<x:element name="A"><x:complexType/><x:key name="k"/></x:element>', "xs:key is not checked"),
    ],
)
def test_schemas(schema: str, words: str) -> None:
    found = messages(schema, bad_xsd="<a>", dtd_xsd="<!DOCTYPE a><a/>", html_xsd="<html/>")
    assert any(words in message for message in found), found
    assert all(int(message.split(":")[1]) > 0 for message in found)


def test_lines_are_those_of_the_file() -> None:
    schema = '\n\n\n<x:element name="A" type="t:Nope"/>'
    (finding,) = compiled(wsdl_of(schema, "A")).findings
    assert (finding.place.file, finding.place.line) == ("service.wsdl", 6)


def test_all_findings_come_in_one_run() -> None:
    schema = OK + "".join(f'<x:element name="B{number}" type="t:Nope{number}"/>' for number in range(5))
    assert len(messages(schema)) == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('element="t:A"', 'element="t:B"'), "element t:B of part p is not declared"),
        (('binding="t:B"', 'binding="t:C"'), "binding t:C is not declared"),
        (('type="t:P"', 'type="t:Q"'), "portType t:Q is not declared"),
        (('<input message="t:A"/>', '<input message="t:Z"/>'), "message t:Z is not declared"),
        (
            ('<operation name="A"><s:operation', '<operation name="Z"><s:operation'),
            "operation Z is not in the port type",
        ),
        (
            ('transport="http://schemas.xmlsoap.org/soap/http"', 'transport="http://schemas.xmlsoap.org/soap/jms"'),
            "not HTTP",
        ),
        (
            ("http://schemas.xmlsoap.org/wsdl/soap/", "http://schemas.xmlsoap.org/wsdl/http/"),
            "no service has a port with a SOAP binding",
        ),
        (('element="t:A"', ""), "needs an element or a type"),
    ],
)
def test_wsdls(change: tuple[str, str], words: str) -> None:
    found = [finding.message for finding in compiled(wsdl_of(OK, "A").replace(*change)).findings]
    assert any(words in message for message in found), found


def test_a_header_of_another_message_takes_no_part_of_the_same_name_from_the_body() -> None:
    service = compiled(
        wsdl_of(OK + '<x:element name="H" type="x:string"/>', "A")
        .replace("<portType", '<message name="H"><part name="p" element="t:H"/></message><portType')
        .replace('<input><s:body use="literal"/>', '<input><s:header message="t:H" part="p" use="literal"/><s:body use="literal"/>')
    )  # fmt: skip
    sent = OperationCodec(service, service.require("A")[1])
    assert [element.name for element in sent.request] == ["{urn:t}A"]
    assert [element.name for element in sent.header_elements] == ["{urn:t}H"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<a", "well-formed"),
        ("<a/>", "not wsdl:definitions"),
        ('<description xmlns="http://www.w3.org/ns/wsdl"/>', "WSDL 2.0"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "document type"),
    ],
)
def test_files_that_are_no_wsdl(text: str, words: str) -> None:
    with pytest.raises(BadWsdl, match=words):
        compiled(text)


def test_imports_in_circles_end() -> None:
    schema = OK + '<x:include schemaLocation="a.xsd"/>'
    inner = '<x:schema xmlns:x="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t"><x:include schemaLocation="b.xsd"/></x:schema>'
    assert not messages(schema, a_xsd=inner, b_xsd=inner.replace("b.xsd", "a.xsd"))


def test_an_include_of_another_namespace_is_said() -> None:
    inner = f'<x:schema xmlns:x="{XSD}" targetNamespace="urn:other"><x:element name="B" type="x:string"/></x:schema>'
    (message,) = messages(OK + '<x:include schemaLocation="a.xsd"/>', a_xsd=inner)
    assert message.endswith("a.xsd has another targetNamespace than what includes it; its own is used")


def test_the_tests_own_wsdls_are_clean() -> None:
    for name in (
        "orders/orders.wsdl",
        "shapes.wsdl",
        "rpc_literal.wsdl",
        "rpc_encoded.wsdl",
        "redefined/redefined.wsdl",
    ):
        assert not wsdl(name).findings


def test_a_changed_import_is_compiled_anew() -> None:
    files = {path.name: path.read_bytes() for path in (FOLDER / "orders").iterdir()}
    catalogue = Catalogue()
    first = catalogue.compiled("orders.wsdl", files.__getitem__)
    assert catalogue.compiled("orders.wsdl", files.__getitem__) is first
    files["common.xsd"] = files["common.xsd"].replace(b'"40"', b'"41"')
    assert catalogue.compiled("orders.wsdl", files.__getitem__) is not first


def test_remote_documents_are_fetched_only_when_allowed() -> None:
    with pytest.raises(OSError, match="remote: true"):
        Catalogue().compiled("http://192.0.2.1/service.wsdl", lambda path: b"")


@pytest.mark.parametrize(
    ("namespace", "home", "use"),
    [
        ("http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2001/xml.xsd", '<x:attributeGroup ref="xml:specialAttrs"/>'),
        ("http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2001/xml.xsd", '<x:attribute ref="xml:lang"/>'),
        (SOAP_ENC_11, SOAP_ENC_11, '<x:attributeGroup xmlns:e="http://schemas.xmlsoap.org/soap/encoding/" ref="e:commonAttributes"/>'),
        ("http://schemas.xmlsoap.org/wsdl/", "http://schemas.xmlsoap.org/wsdl/", ""),
        (XSD, "http://www.w3.org/2001/XMLSchema.xsd", ""),
    ],
)  # fmt: skip
def test_what_everybody_imports_is_known_without_the_network(namespace: str, home: str, use: str) -> None:
    schema = f'<x:import namespace="{namespace}" schemaLocation="{home}"/><x:element name="A"><x:complexType><x:sequence/>{use}</x:complexType></x:element>'
    assert messages(schema) == []


def test_the_attributes_of_xml_itself_are_written_with_its_prefix() -> None:
    service = compiled(wsdl_of('<x:element name="A"><x:complexType><x:sequence/><x:attributeGroup ref="xml:specialAttrs"/></x:complexType></x:element>', "A"))  # fmt: skip
    codec = OperationCodec(service, service.require("A")[1])
    assert 'xml:lang="de" xml:space="preserve"' in codec.encode({"@space": "preserve", "@lang": "de"})


def test_a_name_of_another_namespace_is_said_to_be_there() -> None:
    other = f'<x:schema xmlns:x="{XSD}" targetNamespace="urn:other"><x:complexType name="T"/></x:schema>'
    service = compiled(wsdl_of('<x:element name="A" type="t:T"/>', "A", more=other))
    (finding,) = service.findings
    assert finding.message == "type T in namespace urn:t is not declared; it is in namespace urn:other"
