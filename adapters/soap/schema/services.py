"""WSDL 1.1: services, ports, bindings and the messages of their operations. Knows no JSON and writes no envelope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lxml import etree

from adapters.soap.schema.components import compile_schema
from adapters.soap.schema.documents import WSDL, BadWsdl, Documents, Finding, Read, load, place
from adapters.soap.schema.model import AnyType, Element, Place, clark, local_name, suggestion
from adapters.soap.schema.schema import Schema
from adapters.soap.schema.service_model import Message, Operation, Part, Port, Wsdl

_W: Final = f"{{{WSDL}}}"
SOAP_BINDINGS: Final = {
    "http://schemas.xmlsoap.org/wsdl/soap/": "1.1",
    "http://schemas.xmlsoap.org/wsdl/soap12/": "1.2",
}
_MIME: Final = "{http://schemas.xmlsoap.org/wsdl/mime/}"


def compile_wsdl(location: str, read: Read, *, remote: bool = False) -> Wsdl:
    """Compile the WSDL at `location`. Raises BadWsdl only when there is no definitions element at all."""
    documents = load(location, read, remote=remote)
    if not documents.definitions:
        raise BadWsdl(documents.findings or [Finding(Place(location, 1), "holds no wsdl:definitions")])
    schema = compile_schema(documents)
    return _Reader(documents, schema).run(location)


class _Reader:
    def __init__(self, documents: Documents, schema: Schema) -> None:
        self._findings = documents.findings
        self._documents = documents
        self._schema = schema
        self._index: dict[str, dict[str, tuple[etree._Element, str]]] = {}
        for kind in ("message", "portType", "binding"):
            table = self._index.setdefault(kind, {})
            for root, file in documents.definitions:
                for node in root.iterfind(_W + kind):
                    table.setdefault(clark(root.get("targetNamespace") or "", node.get("name") or ""), (node, file))

    def run(self, location: str) -> Wsdl:
        root, _ = self._documents.definitions[0]
        ports: list[Port] = []
        for definitions, file in self._documents.definitions:
            for service in definitions.iterfind(_W + "service"):
                for node in service.iterfind(_W + "port"):
                    port = self._port(service.get("name") or "", node, file)
                    if port is not None:
                        ports.append(port)
        if not ports and not self._findings.errors:
            self._findings.error(place(root, location), "no service has a port with a SOAP binding")
        services = root.findall(_W + "service")
        return Wsdl(
            location,
            root.get("targetNamespace") or "",
            root.get("name") or (services[0].get("name") if services else None) or "",
            self._schema,
            ports,
            self._findings,
            self._documents,
            _documentation(root),
        )

    def _find(self, kind: str, node: etree._Element, attribute: str, file: str) -> tuple[etree._Element, str] | None:
        text = (node.get(attribute) or "").strip()
        prefix, colon, local = text.partition(":")
        namespace = node.nsmap.get(prefix if colon else None) or ""
        name = clark(namespace, local if colon else prefix)
        found = self._index[kind].get(name)
        if found is None and not colon:  # common slip: an unprefixed name meant for the target namespace
            found = next((entry for name, entry in self._index[kind].items() if local_name(name) == text), None)
        if found is None:
            hint = suggestion(name, self._index[kind])
            self._findings.error(place(node, file), f"{kind} {text or '(no name)'} is not declared{hint}")
        return found

    def _port(self, service: str, node: etree._Element, file: str) -> Port | None:
        name, address, version = node.get("name") or "", "", None
        for child in node:
            qualified = etree.QName(child)
            if qualified.namespace in SOAP_BINDINGS and qualified.localname == "address":
                address, version = (child.get("location") or "").strip(), SOAP_BINDINGS[qualified.namespace]
        found = self._find("binding", node, "binding", file)
        if found is None:
            return None
        binding, binding_file = found
        soap = next((child for child in binding if _soap(child, "binding")), None)
        if soap is None:
            return None  # an HTTP binding
        version = SOAP_BINDINGS[etree.QName(soap).namespace or ""]
        transport = soap.get("transport") or ""
        if transport and "http" not in transport.rpartition("/")[2].lower():
            self._findings.warning(
                place(soap, binding_file), f"transport {transport} is not HTTP; the port is left out"
            )
            return None
        port = Port(service, name, address, "1.2" if version == "1.2" else "1.1", place(node, file))
        port_type = self._find("portType", binding, "type", binding_file)
        if port_type is None:
            return port
        for child in binding.iterfind(_W + "operation"):
            operation = self._operation(port, soap, child, binding_file, *port_type)
            if operation is None:
                continue
            if operation.name in port.operations:
                self._findings.warning(operation.place, f"operation {operation.name} is overloaded; the first is used")
            else:
                port.operations[operation.name] = operation
        return port

    def _operation(
        self, port: Port, soap: etree._Element, node: etree._Element, file: str, types: etree._Element, types_file: str
    ) -> Operation | None:
        name, here = node.get("name") or "", place(node, file)
        given = node.find(_W + "input")
        abstract = None
        for candidate in types.iterfind(_W + "operation"):
            if candidate.get("name") != name:
                continue
            wanted = candidate.find(_W + "input")
            same = given is None or wanted is None or given.get("name") in (None, wanted.get("name"))
            if abstract is None or same:
                abstract = candidate
                if same:
                    break
        if abstract is None:
            self._findings.error(here, f"operation {name} is not in the port type {types.get('name')}")
            return None
        details = next((child for child in node if _soap(child, "operation")), None)
        style = (details.get("style") if details is not None else None) or soap.get("style") or "document"
        action = (details.get("soapAction") if details is not None else None) or ""
        wanted = abstract.find(_W + "input")
        if wanted is None:
            self._findings.warning(here, f"operation {name} has no input (a notification); it is left out")
            return None
        answered = abstract.find(_W + "output")
        return Operation(
            name,
            action,
            port.version,
            self._message(name, style, node.find(_W + "input"), wanted, file, types_file),
            None
            if answered is None
            else self._message(name + "Response", style, node.find(_W + "output"), answered, file, types_file),
            here,
            tuple(self._faults(abstract, types_file)),
            _documentation(abstract),
            _wsa_action(types, wanted, name if answered is None else f"{name}Request", action),
            _wsa_action(types, answered, f"{name}Response") if answered is not None else "",
        )

    def _faults(self, abstract: etree._Element, file: str) -> Iterator[Part]:
        for fault in abstract.iterfind(_W + "fault"):
            message = self._find("message", fault, "message", file)
            if message is not None:
                yield from self._parts(*message).values()

    def _message(
        self,
        wrapper: str,
        style: str,
        node: etree._Element | None,
        abstract: etree._Element,
        file: str,
        types_file: str,
    ) -> Message:
        made = Message("rpc" if style == "rpc" else "document")
        found = self._find("message", abstract, "message", types_file)
        parts = self._parts(*found) if found else {}
        body: etree._Element | None = None
        headers: list[Part] = []
        attached: list[Part] = []
        in_header: set[str] = set()
        for child in node.iter() if node is not None else ():
            if _soap(child, "body"):
                body = child if body is None else body
            elif _soap(child, "header"):
                message = self._find("message", child, "message", file)
                part = self._parts(*message).get(child.get("part") or "") if message else None
                if part is not None:
                    headers.append(part)
                    if found is not None and message is not None and message[0] is found[0]:
                        in_header.add(part.name)  # WSDL 1.1 §3.7: a header may be a part of any message
                elif message is not None:
                    self._findings.error(
                        place(child, file), f"the header's part {child.get('part')} is not in its message"
                    )
            elif child.tag == _MIME + "content":
                part = parts.get(child.get("part") or "")
                if part is not None:
                    attached.append(part)
        namespace = ""
        chosen = None
        if body is not None:
            made.encoded = body.get("use") == "encoded"
            namespace = body.get("namespace") or ""
            chosen = body.get("parts")
            if made.encoded and made.style == "document":
                self._findings.warning(place(body, file), "document/encoded is read as document/literal")
                made.encoded = False
        if made.style == "rpc" and not namespace:
            namespace = self._documents.definitions[0][0].get("targetNamespace") or ""
        made.wrapper = clark(namespace, wrapper) if made.style == "rpc" else ""
        named = set(chosen.split()) if chosen is not None else set(parts)
        away = {part.name for part in attached} | (in_header if chosen is None else set())
        made.parts = tuple(part for name, part in parts.items() if name in named and name not in away)
        made.headers, made.attached = tuple(headers), tuple(attached)
        if made.style == "document" and len(made.parts) > 1 and node is not None:
            self._findings.warning(
                place(node, file), "several parts in a document body; they are written one after the other"
            )
        return made

    def _parts(self, message: etree._Element, file: str) -> dict[str, Part]:
        parts: dict[str, Part] = {}
        for node in message.iterfind(_W + "part"):
            here, name = place(node, file), node.get("name") or ""
            kind: AnyType = self._schema.anything
            element: Element | None = None
            for attribute in ("element", "type"):
                text = node.get(attribute)
                if not text:
                    continue
                prefix, colon, local = text.strip().partition(":")
                qualified = clark(node.nsmap.get(prefix if colon else None) or "", local if colon else prefix)
                table: dict[str, Element] | dict[str, AnyType]
                table = self._schema.elements if attribute == "element" else self._schema.types
                component = table.get(qualified)
                if component is None:
                    hint = suggestion(qualified, table)
                    self._findings.error(here, f"{attribute} {text} of part {name} is not declared{hint}")
                elif isinstance(component, Element):
                    element, kind = component, component.type
                else:
                    kind = component
            if not node.get("element") and not node.get("type"):
                self._findings.error(here, f"part {name} needs an element or a type")
            parts[name] = Part(name, element, kind, here)
        return parts


def _wsa_action(types: etree._Element, wanted: etree._Element, name: str, action: str = "") -> str:
    """WS-Addressing 1.0 Metadata §4.4.1: what the WSDL says, else the SOAPAction, else the default pattern.

    `name` is what WSDL 1.1 §2.4.5 calls a message that has no name.
    """
    for namespace in ("http://www.w3.org/2007/05/addressing/metadata", "http://www.w3.org/2006/05/addressing/wsdl"):
        said = wanted.get(clark(namespace, "Action"))
        if said:
            return said
    if action:
        return action
    root = types.getparent()
    target = (root.get("targetNamespace") if root is not None else None) or ""
    separator = ":" if target.startswith("urn:") else "/"
    return f"{target.rstrip('/')}{separator}{types.get('name')}{separator}{wanted.get('name') or name}"


def _soap(node: etree._Element, local: str) -> bool:
    if not isinstance(node.tag, str):
        return False
    qualified = etree.QName(node)
    return qualified.localname == local and qualified.namespace in SOAP_BINDINGS


def _documentation(node: etree._Element) -> str:
    found = node.find(_W + "documentation")
    return " ".join("".join(map(str, found.itertext())).split())[:500] if found is not None else ""
