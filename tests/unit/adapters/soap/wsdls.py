"""The WSDLs of these tests, an independent judge of XML (libxml2's own schema validation), and echoing codecs."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from lxml import etree

from adapters.soap.codec.envelope import OperationCodec
from adapters.soap.codec.parsing import parse
from adapters.soap.schema.model import XSD
from adapters.soap.schema.service_model import Operation, Wsdl
from adapters.soap.schema.services import compile_wsdl

FOLDER = Path(__file__).parent / "wsdl"
FILES = (
    "orders/orders.wsdl",
    "shapes.wsdl",
    "corners.wsdl",
    "rpc_literal.wsdl",
    "rpc_encoded.wsdl",
    "redefined/redefined.wsdl",
)
WHOLE = {"redefined/redefined.wsdl": "redefined/now.xsd"}  # a schema of one namespace that libxml2 can read by itself
X = f"{{{XSD}}}"


@lru_cache
def wsdl(name: str, folder: Path = FOLDER) -> Wsdl:
    return compile_wsdl(name, lambda path: (folder / path).read_bytes())


def wsdl_of(schema: str, *elements: str, namespace: str = "urn:t", more: str = "") -> str:
    """A WSDL around one schema, with an operation per element that echoes it."""
    messages = "".join(f'<message name="{name}"><part name="p" element="t:{name}"/></message>' for name in elements)
    operations = "".join(
        f'<operation name="{name}"><input message="t:{name}"/><output message="t:{name}"/></operation>'
        for name in elements
    )
    bound = "".join(
        f'<operation name="{name}"><s:operation soapAction="urn:t#{name}"/><input><s:body use="literal"/></input>'
        '<output><s:body use="literal"/></output></operation>'
        for name in elements
    )
    return f"""<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
      xmlns:x="{XSD}" xmlns:t="{namespace}" targetNamespace="{namespace}">
    <types><x:schema targetNamespace="{namespace}" elementFormDefault="qualified">{schema}</x:schema>{more}</types>
    {messages}<portType name="P">{operations}</portType>
    <binding name="B" type="t:P"><s:binding transport="http://schemas.xmlsoap.org/soap/http"/>{bound}</binding>
    <service name="S"><port name="P" binding="t:B"><s:address location="http://backend.internal/soap"/></port></service>
    </definitions>"""


def compiled(text: str, **files: str) -> Wsdl:
    """Compile a WSDL given as text; other files by name, `_` for the dot."""

    def read(path: str) -> bytes:
        if path == "service.wsdl":
            return text.encode()
        found = files.get(path.replace(".", "_"))
        if found is None:
            raise FileNotFoundError(2, "No such file or directory")
        return found.encode()

    return compile_wsdl("service.wsdl", read)


def echo(service: Wsdl, operation: Operation, direction: str = "input") -> OperationCodec:
    """A codec whose answer is what it sends: both directions of one message."""
    message = operation.input if direction == "input" else operation.output
    assert message is not None, "only asked for messages that exist"
    return OperationCodec(service, replace(operation, input=message, output=message))


def body_of(envelope: str) -> etree._Element:
    """The one element in the Body."""
    root = parse(envelope.encode())
    body = root.find("{*}Body")
    assert body is not None, "an envelope has a Body"
    return body[0]


@lru_cache
def judge(name: str, folder: Path = FOLDER) -> etree.XMLSchema:
    """libxml2's schema over all that the WSDL's types say, and over its rpc wrappers."""
    if name in WHOLE:
        return etree.XMLSchema(file=str(folder / WHOLE[name]))
    service = wsdl(name, folder)
    target = Path(tempfile.mkdtemp())
    by_namespace: dict[str, list[str]] = {}
    for number, document in enumerate(service.documents.schemas):
        root = etree.fromstring(etree.tostring(document.root, with_tail=False))
        for node in list(root):
            if node.tag == X + "include":
                root.remove(node)
            elif node.tag == X + "import":
                node.attrib.pop("schemaLocation", None)
        if document.chameleon:
            root.set("targetNamespace", document.target)
            root = etree.fromstring(
                etree.tostring(root).replace(b"<xs:schema ", f'<xs:schema xmlns="{document.target}" '.encode(), 1)
            )
        by_namespace.setdefault(document.target, []).append(f"{number}.xsd")
        (target / f"{number}.xsd").write_bytes(etree.tostring(root))
    imports = "".join(
        f'<xs:import {f"""namespace="{namespace}" """ if namespace else ""}schemaLocation="all{number}.xsd"/>'
        for number, namespace in enumerate(by_namespace)
    )
    for number, (namespace, files) in enumerate(by_namespace.items()):
        includes = "".join(f'<xs:include schemaLocation="{file}"/>' for file in files)
        named = f' targetNamespace="{namespace}"' if namespace else ""
        (target / f"all{number}.xsd").write_text(f'<xs:schema xmlns:xs="{XSD}"{named}>{includes}</xs:schema>')
        for file in files:  # give each import a place; libxml2 resolves by the first it sees
            text = (target / file).read_text()
            for other, place in ((other, f"all{index}.xsd") for index, other in enumerate(by_namespace)):
                text = re.sub(
                    rf'(<\w+:import [^>]*namespace="{re.escape(other)}")(?=[ />])',
                    rf'\1 schemaLocation="{place}"',
                    text,
                )
            (target / file).write_text(text)
    wrappers: dict[str, str] = {}
    for _, operation in service.operations():
        for message in (operation.input, operation.output):
            if message is not None and message.style == "rpc":
                namespace, local = message.wrapper[1:].split("}")
                parts = "".join(
                    f'<xs:element name="{part.name}" type="p{index}:{part.type.name.rpartition("}")[2]}" xmlns:p{index}="{part.type.name[1:].partition("}")[0]}"/>'
                    for index, part in enumerate(message.parts)
                )
                element = f'<xs:element name="{local}"><xs:complexType><xs:sequence>{parts}</xs:sequence></xs:complexType></xs:element>'
                wrappers[namespace] = wrappers.get(namespace, "") + element
    for number, (namespace, elements) in enumerate(wrappers.items()):
        (target / f"rpc{number}.xsd").write_text(
            f'<xs:schema xmlns:xs="{XSD}" targetNamespace="{namespace}">{imports}{elements}</xs:schema>'
        )
        imports = f'<xs:import namespace="{namespace}" schemaLocation="rpc{number}.xsd"/>' + imports
    (target / "root.xsd").write_text(
        f'<xs:schema xmlns:xs="{XSD}" targetNamespace="urn:the-judge">{imports}</xs:schema>'
    )
    return etree.XMLSchema(file=str(target / "root.xsd"))
