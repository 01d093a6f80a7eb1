"""SOAP faults (1.1 §4.4, 1.2 part 1 §5.4) as values, and the HTTP status each deserves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from adapters.soap.codec.answers import Answer
from adapters.soap.codec.generic import read_anything
from adapters.soap.codec.reading import Readers
from adapters.soap.schema.model import clark, local_name

if TYPE_CHECKING:
    from adapters.soap.schema.service_model import Operation, Wsdl

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True, slots=True)
class SoapFault:
    """`code` is without prefixes, subcodes appended: `Client.NotFound`, `Sender/NotFound`."""

    code: str
    reason: str
    detail: dict[str, object]  # what the WSDL declares
    undeclared: dict[str, object]  # what it does not, in its generic form, for those who may see it


def status_of(fault: SoapFault, statuses: Mapping[str, int]) -> int:
    """The status by the longest key that leads the fault's code; else 422 for the caller's fault, 502 for the backend's."""
    segments = re.split(r"[./]", fault.code)
    for length in range(len(segments), 0, -1):
        for key, status in statuses.items():
            if re.split(r"[./]", key) == segments[:length]:
                return status
    return 422 if segments[0] in ("Client", "Sender") else 502


def read_fault(node: etree._Element, namespace: str, wsdl: Wsdl, operation: Operation, readers: Readers) -> SoapFault:
    if namespace.startswith("http://www.w3.org/"):
        code = _subcodes(node, namespace)
        texts = node.findall(f"{clark(namespace, 'Reason')}/{clark(namespace, 'Text')}")
        english = [text for text in texts if (text.get(_XML_LANG) or "").lower().startswith("en")]
        reason = ((english or texts)[0].text or "") if texts else ""
        detail = node.find(clark(namespace, "Detail"))
    else:
        # elements of a 1.1 fault are unqualified; some servers qualify them all the same
        code = _local(_first(node, "faultcode", namespace))
        reason = _first(node, "faultstring", namespace)
        detail = node.find("detail")
        if detail is None:
            detail = node.find(clark(namespace, "detail"))
    typed: dict[str, object] = {}
    undeclared: dict[str, object] = {}
    parts = {part.name: part for part in operation.faults}
    # node-soap and others write the declared element without its namespace; there is nothing else that it could mean
    unqualified = {local_name(part.element.name): part.element for part in operation.faults if part.element is not None}
    for child in detail if detail is not None else ():
        tag = str(child.tag)
        element = wsdl.schema.elements.get(tag) or unqualified.get(tag)
        lenient = Answer(strict=False)  # a fault that is not quite by the schema is still worth telling
        if element is not None:
            typed[local_name(tag)] = readers.element(element)(child, lenient)
        elif tag in parts:
            typed[tag] = readers.type(parts[tag].type).read(child, lenient)
        else:
            undeclared[tag] = read_anything(child)
    if detail is not None and not len(detail) and (detail.text or "").strip():
        undeclared["$"] = (detail.text or "").strip()[:4096]
    return SoapFault(code or "Server", " ".join(reason.split())[:2048], typed, undeclared)


def _first(node: etree._Element, name: str, namespace: str) -> str:
    return node.findtext(name) or node.findtext(clark(namespace, name)) or ""


def _local(text: str) -> str:
    """A QName without its prefix, bounded and free of anything but name characters."""
    local = text.strip().rpartition(":")[2]
    return re.sub(r"[^\w.\-/]", "", local)[:128]


def _subcodes(node: etree._Element, namespace: str) -> str:
    codes: list[str] = []
    current = node.find(clark(namespace, "Code"))
    while current is not None and len(codes) < 8:
        codes.append(_local(current.findtext(clark(namespace, "Value")) or ""))
        current = current.find(clark(namespace, "Subcode"))
    return "/".join(code for code in codes if code)
