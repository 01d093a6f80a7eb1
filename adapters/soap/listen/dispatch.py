"""From an envelope to the operation it calls and the operation's content. Knows no upstream."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lxml import etree

from adapters.soap.addressing import WSA
from adapters.soap.codec.answers import Answer
from adapters.soap.codec.envelope import HEADERS, NAMESPACES, OperationCodec
from adapters.soap.codec.errors import Deviation
from adapters.soap.codec.shared import Shared
from adapters.soap.config import SoapConfig
from adapters.soap.listen.blocks import NotUnderstood, not_understood
from adapters.soap.schema.model import split
from adapters.soap.schema.service_model import Message, Operation, Version
from gateway.api.errors import RequestRefused

VERSIONS: dict[str, Version] = {namespace: version for version, namespace in NAMESPACES.items()}

_ADDRESSING = frozenset((WSA,))


class AlienBlocks(RequestRefused):
    """Header blocks must be understood, and are not."""

    def __init__(self, blocks: NotUnderstood) -> None:
        names = ", ".join(split(name)[1] for name in blocks.names)[:200]
        detail = (
            f"The header block {names} must be understood, but is not; send it without mustUnderstand, or leave it out."
        )
        super().__init__(400, "soap.must-understand", detail)
        self.blocks = blocks


@dataclass(frozen=True, slots=True)
class Called:
    """What an envelope asks for. `codec` reads requests and writes answers: its directions are turned round."""

    operation: Operation
    codec: OperationCodec
    content: object
    headers: dict[str, object]

    @property
    def whole(self) -> object:
        """The content with its header blocks, as placeholders see it."""
        if self.headers and isinstance(self.content, dict):
            return {HEADERS: self.headers, **self.content}
        return self.content


def turned(operation: Operation) -> Operation:
    """The operation as its server sees it: requests are read, answers are written."""
    return replace(operation, input=operation.output or Message("document"), output=operation.input)


class Dispatch:
    """The operations that a route offers. SOAP 1.1 and 1.2 side by side, as far as the WSDL has ports for them."""

    def __init__(self, shared: Shared, config: SoapConfig, warm: int) -> None:
        assert config.listen is not None, "the configuration has been checked"
        self._shared = shared
        self._offered: dict[tuple[Version, str], list[tuple[Operation, OperationCodec]]] = {}
        self.versions: set[Version] = set()
        for port in shared.wsdl.ports:
            if config.service not in (None, port.service) or config.port not in (None, port.name):
                continue
            self.versions.add(port.version)
            for operation in port.operations.values():
                if operation.name not in config.listen.operations:
                    continue
                numbers, unknown = config.numbers, config.unknown
                codec = OperationCodec(
                    shared.wsdl, turned(operation), shared, numbers=numbers, unknown=unknown, warm=warm
                )
                for tag in self._tags(operation):
                    offered = self._offered.setdefault((port.version, tag), [])
                    if all(other.name != operation.name for other, _ in offered):
                        offered.append((operation, codec))

    def _tags(self, operation: Operation) -> list[str]:
        """What the first element in the Body may be; "" where the Body is empty."""
        body = self._shared.body(operation.input)
        return [one.name for one in body[0].candidates()] if body else [""]

    def called(self, root: etree._Element, action: str, answer: Answer) -> Called:
        """Raises RequestRefused: what the caller sent is no envelope, or not one of this route's operations."""
        namespace, local = split(str(root.tag))
        if local != "Envelope":
            raise RequestRefused(400, "soap.no-envelope", "This is XML, but not a SOAP envelope; send it in one.")
        version = VERSIONS.get(namespace)
        if version is None or version not in self.versions:
            spoken = " and ".join(sorted(self.versions))
            raise RequestRefused(
                400, "soap.version-mismatch", f"This service speaks SOAP {spoken}; send an envelope of that version."
            )
        operation, codec = self._found(version, root.find(f"{{{namespace}}}Body"), action)
        alien = not_understood(root, codec.answer_headers)
        if alien is not None:
            raise AlienBlocks(alien)
        try:
            content = codec.decode(root, answer)
            headers = codec.decode_headers(root, answer, _ADDRESSING)
        except Deviation as deviation:
            detail = f"{deviation.where[:200]}: {deviation.detail}" if deviation.where else deviation.detail
            raise RequestRefused(
                400,
                "soap.bad-envelope",
                f"The envelope is not by the WSDL: {detail}. Correct it; ?wsdl has the description.",
            ) from deviation
        if content.fault is not None:
            raise RequestRefused(400, "soap.bad-envelope", "The envelope holds a fault; send a request.")
        return Called(operation, codec, content.value, headers)

    def _found(self, version: Version, body: etree._Element | None, action: str) -> tuple[Operation, OperationCodec]:
        if body is None:
            raise RequestRefused(400, "soap.bad-envelope", "The envelope has no Body; send one with the message.")
        offered = self._offered.get((version, str(body[0].tag) if len(body) else ""), [])
        if len(offered) > 1:  # one message, several operations: the action tells them apart
            offered = [one for one in offered if action in (one[0].action, one[0].wsa_action)] or offered
        if not offered:
            raise RequestRefused(
                400,
                "soap.unknown-operation",
                "The Body holds no message of an operation that is offered here; see ?wsdl for those that are.",
            )
        return offered[0]
