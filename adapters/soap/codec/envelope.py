"""One operation, compiled: JSON content to an envelope, an envelope to JSON content or a fault. Knows no HTTP.

SOAP 1.1 (W3C note of 8 May 2000) and SOAP 1.2 part 1; WSDL 1.1 §3 for what stands in the Body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lxml import etree

from adapters.soap.codec.answers import Answer, path_of
from adapters.soap.codec.errors import Deviation, Misfit
from adapters.soap.codec.faults import SoapFault, read_fault
from adapters.soap.codec.lexical_form import Numbers
from adapters.soap.codec.message import gathered, header_elements
from adapters.soap.codec.reachable import reach
from adapters.soap.codec.references import collect_ids
from adapters.soap.codec.shape import shape_of
from adapters.soap.codec.shared import Shared
from adapters.soap.codec.writing import Emit, Unknown, WriteElement, Writers
from adapters.soap.schema.model import (
    SOAP_ENC_11,
    XSD,
    XSI,
    Element,
    local_name,
    split,
)
from adapters.soap.schema.schema import Schema
from adapters.soap.schema.service_model import Message, Operation, Version, Wsdl

NAMESPACES: Final[dict[Version, str]] = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
HEADERS: Final = "$headers"
WARM_TYPES: Final = (
    64  # compiled with the operation, 20 to 100 ms; the rest when a message first needs them, in a thread
)


@dataclass(frozen=True, slots=True)
class _Names:
    """What an envelope of one SOAP version consists of."""

    namespace: str
    header: str
    body: str
    fault: str


_NAMES: Final = {
    f"{{{name}}}Envelope": _Names(name, f"{{{name}}}Header", f"{{{name}}}Body", f"{{{name}}}Fault")
    for name in NAMESPACES.values()
}
_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'


@dataclass(slots=True)
class Content:
    """What an envelope held: the operation's value, or a fault."""

    value: object = None
    fault: SoapFault | None = None
    body: etree._Element | None = None


class OperationCodec:
    """Both directions of one operation. Immutable once made; used by many calls at once."""

    def __init__(
        self,
        wsdl: Wsdl,
        operation: Operation,
        shared: Shared | None = None,
        *,
        numbers: Numbers = "string",
        unknown: Unknown = "reject",
        warm: int = WARM_TYPES,
    ) -> None:
        self.wsdl = wsdl
        self.operation = operation
        schema = wsdl.schema
        shared = shared or Shared(wsdl)
        message = operation.input
        self.request = shared.body(message)
        self.response = shared.body(operation.output) if operation.output is not None else ()
        self.header_elements = header_elements(operation.input)
        self.answer_headers = {element.name: element for element in header_elements(operation.output)}
        prefixes = shared.prefixes
        if message.wrapper:
            prefixes.qualified(message.wrapper)
        writers = shared.writers(unknown, message.encoded)
        self._readers = shared.readers(numbers, operation.output is not None and operation.output.encoded)
        self._literal = shared.readers(numbers, False)
        for element in (*self.response, *self.answer_headers.values()):
            self._readers.element(element)
        self._write_body = self._body_writer(writers, message)
        # header blocks are literal unless their own soap:header says otherwise, which nobody writes
        header_writers = shared.writers(unknown, False)
        self._write_headers: dict[str, WriteElement] = {
            local_name(element.name): header_writers.element(element) for element in self.header_elements
        }
        writers.warm(warm)
        self._readers.warm(warm)
        self.namespace = NAMESPACES[operation.version]
        self.opening = (
            f'{_DECLARATION}<env:Envelope xmlns:env="{self.namespace}"'
            + prefixes.declarations(self._namespaces(schema, (*self.request, *self.header_elements), message))
            + ">"
        )

    def mirrored(self, shared: Shared, numbers: Numbers = "string") -> OperationCodec:
        """A codec that reads what this one writes: for trying requests by hand, and for tests."""
        echoed = replace(self.operation, output=self.operation.input)
        return OperationCodec(self.wsdl, echoed, shared, numbers=numbers)

    # --- out -----------------------------------------------------------------------------------------------

    def encode(
        self,
        value: object,
        headers: Mapping[str, object] | None = None,
        blocks: Sequence[str] = (),
        body_id: str = "",
    ) -> str:
        """The envelope for the content `value`. `headers` are declared header blocks by local name; `blocks` go in as they are.

        Raises Misfit. `body_id` is an attribute for the Body, for signatures.
        """
        out: list[str] = [self.opening]
        emit = out.append
        try:
            if headers or blocks:
                emit("<env:Header>")
                out.extend(blocks)
                if headers:
                    self._encode_headers(headers, emit)
                emit("</env:Header>")
            emit(f"<env:Body{body_id}>")
            self._write_body(value, emit)
        except RecursionError as exc:
            raise Misfit("is nested too deeply") from exc
        emit("</env:Body></env:Envelope>")
        return "".join(out)

    def _encode_headers(self, headers: Mapping[str, object], emit: Emit) -> None:
        for name, value in headers.items():
            try:
                write = self._write_headers.get(name)
                if write is None:
                    raise Misfit(f"no such header is declared; there are: {', '.join(self._write_headers) or 'none'}")
                write(value, emit)
            except Misfit as misfit:
                misfit.path.extend((name, HEADERS))
                raise

    def _body_writer(self, writers: Writers, message: Message) -> WriteElement:
        if not self.request or (message.style == "document" and len(self.request) > 1):
            kind = gathered(message.parts)
            shape = shape_of(kind)
            fields = [(member.key, writers.element(member.element)) for member in shape.members.values()]
            writers.type(kind)

            def write_several(value: object, emit: Emit) -> None:
                if value is None and not fields:
                    return
                if type(value) is not dict:
                    raise Misfit("an object is expected")
                for key, write in fields:
                    if key not in value:
                        raise Misfit("the required member is missing", key)
                    try:
                        write(value[key], emit)
                    except Misfit as misfit:
                        misfit.path.append(key)
                        raise
                if len(fields) != len(value):
                    writers.check_unknown(value, {key for key, _ in fields})

            return write_several
        (element,) = self.request
        if message.style == "document":
            return writers.element(element)
        tag = writers.prefixes.qualified(element.name)
        style = f' env:encodingStyle="{SOAP_ENC_11}"' if message.encoded else ""
        inner = writers.type(element.type)
        empty = not message.parts

        def write_wrapper(value: object, emit: Emit) -> None:
            inner.write({} if value is None and empty else value, emit, f"<{tag}{style}", f"</{tag}>")

        return write_wrapper

    def _namespaces(self, schema: Schema, roots: Iterable[Element], message: Message) -> list[str]:
        """What the envelope must declare: the namespaces that this operation's content can reach, in a stable order."""
        reached = {XSI} | ({XSD, SOAP_ENC_11} if message.encoded else set()) | {split(message.wrapper)[0]}
        everything = reach(schema, roots, reached)
        known = [XSI, XSD, SOAP_ENC_11, *schema.namespaces, split(message.wrapper)[0]]
        return list(dict.fromkeys(name for name in known if name and (everything or name in reached)))

    # --- back ----------------------------------------------------------------------------------------------

    def decode(self, root: etree._Element, answer: Answer) -> Content:
        """The content of an answer's envelope. Raises Deviation."""
        names = _NAMES.get(str(root.tag))
        if names is None:
            raise Deviation("this is XML, but not a SOAP envelope", local_name(str(root.tag)))
        body = child_called(root, names.body)
        if body is None:
            raise Deviation("the envelope has no Body", "Envelope")
        first = body[0] if len(body) else None
        try:
            if first is not None and first.tag == names.fault:
                return Content(None, read_fault(first, names.namespace, self.wsdl, self.operation, self._literal), body)
            if names.namespace != self.namespace:
                answer.deviate(root, f"is of another SOAP version than the {self.operation.version} that was asked")
            if self._readers.encoded:
                collect_ids(root, answer)
            return Content(self._decode_body(body, answer), None, body)
        except RecursionError as exc:
            raise Deviation("is nested too deeply", "Body") from exc

    def _decode_body(self, body: etree._Element, answer: Answer) -> object:
        output = self.operation.output
        if output is None or not self.response:
            return None
        children: list[etree._Element] = list(body)
        if output.style == "rpc":
            if not children:
                raise Deviation("the Body is empty", "Body")
            # SOAP 1.1 §7.1: the name of the answer's struct has no meaning
            if output.wrapper != children[0].tag and not output.encoded:
                answer.deviate(children[0], f"is not the expected {local_name(output.wrapper)}")
            return self._readers.type(self.response[0].type).read(children[0], answer)
        values: dict[str, object] = {}
        for position, element in enumerate(self.response):
            if position >= len(children):
                raise Deviation(f"lacks the element {local_name(element.name)}", "Body")
            child = children[position]
            declared: Element | None = element
            if child.tag != element.name or element.abstract:
                declared = next((one for one in element.candidates() if one.name == child.tag), None)
            if declared is None:
                raise Deviation(f"is not the expected {local_name(element.name)}", path_of(child))
            values[local_name(declared.name)] = self._readers.element(declared)(child, answer)
        if len(children) > len(self.response):
            answer.deviate(children[len(self.response)], "is not declared here")
        return values if len(self.response) > 1 else next(iter(values.values()))

    def decode_headers(
        self, root: etree._Element, answer: Answer, understood: frozenset[str] = frozenset()
    ) -> dict[str, object]:
        """Declared header blocks of an envelope by local name. A block that must be understood and is not is a deviation."""
        header = child_called(root, _NAMES[str(root.tag)].header)
        found: dict[str, object] = {}
        for block in header if header is not None else ():
            element = self.answer_headers.get(str(block.tag))
            if element is not None:
                found[local_name(element.name)] = self._literal.element(element)(block, answer)
            elif split(str(block.tag))[0] not in understood and must_be_understood(block):
                answer.deviate(block, "must be understood, but is not")
        return found


def child_called(root: etree._Element, tag: str) -> etree._Element | None:
    """As root.find(), in a fifth of its time."""
    for child in root:
        if child.tag == tag:
            return child
    return None


def must_be_understood(block: etree._Element) -> bool:
    """Whether a header block is for us (SOAP 1.1 §4.2.2, 1.2 part 1 §2.2), and mandatory (1.1 §4.2.3, 1.2 part 1 §5.2.3)."""
    header = block.getparent()
    namespace = split(str(header.tag))[0] if header is not None else ""
    if (block.get(f"{{{namespace}}}mustUnderstand") or "").strip() not in ("1", "true"):
        return False
    role = (block.get(f"{{{namespace}}}actor") or block.get(f"{{{namespace}}}role") or "").strip()
    return not role or role.endswith(("/actor/next", "/role/next", "/role/ultimateReceiver"))
