"""What a compiled WSDL offers: ports, operations, messages. Knows no markup."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from adapters.soap.schema.documents import Documents, Findings
from adapters.soap.schema.model import AnyType, Element, Place
from adapters.soap.schema.schema import Schema

Version = Literal["1.1", "1.2"]
SHOWN = 5  # operations that are named when another was asked for


@dataclass(frozen=True, slots=True)
class Part:
    """A message part: typed (rpc) or an element (document)."""

    name: str
    element: Element | None
    type: AnyType
    place: Place


@dataclass(slots=True, eq=False)
class Message:
    """One direction of an operation. `wrapper` is the rpc element around the parts, "" for document style."""

    style: Literal["document", "rpc"]
    encoded: bool = False
    wrapper: str = ""
    parts: tuple[Part, ...] = ()
    headers: tuple[Part, ...] = ()
    attached: tuple[Part, ...] = ()  # parts that mime:content sends beside the envelope


@dataclass(slots=True)
class Operation:
    name: str
    action: str
    version: Version
    input: Message
    output: Message | None  # None: one-way
    place: Place
    faults: tuple[Part, ...] = ()
    doc: str = ""
    wsa_action: str = ""
    wsa_answer: str = ""


@dataclass(slots=True)
class Port:
    service: str
    name: str
    address: str
    version: Version
    place: Place
    operations: dict[str, Operation] = field(default_factory=dict)


@dataclass(slots=True)
class Wsdl:
    """A compiled WSDL. It may have findings; `errors` among them say what could not be understood."""

    location: str
    target: str
    name: str
    schema: Schema
    ports: list[Port]
    findings: Findings
    documents: Documents
    doc: str = ""

    def require(self, operation: str, *, service: str | None = None, port: str | None = None) -> tuple[Port, Operation]:
        """The first port in document order that offers `operation` over SOAP. Raises LookupError, saying what there is."""
        candidates = [
            candidate
            for candidate in self.ports
            if (service is None or candidate.service == service) and (port is None or candidate.name == port)
        ]
        if not candidates:
            there = ", ".join(f"{candidate.service}/{candidate.name}" for candidate in self.ports) or "none over SOAP"
            raise LookupError(f"no such service or port; there are: {there}")
        for candidate in candidates:
            if operation in candidate.operations:
                return candidate, candidate.operations[operation]
        known = {name for candidate in candidates for name in candidate.operations}
        close = difflib.get_close_matches(operation, known, 1)
        there = f"did you mean {close[0]}?" if close else f"there are: {', '.join(sorted(known)[:SHOWN]) or 'none'}"
        raise LookupError(f"no such operation; {there}")

    def operations(self) -> Iterator[tuple[Port, Operation]]:
        """Every operation once, at the first port that offers it."""
        seen: set[str] = set()
        for port in self.ports:
            for operation in port.operations.values():
                if operation.name not in seen:
                    seen.add(operation.name)
                    yield port, operation
