"""What is wrong with a SOAP route's configuration, or with its WSDL: all of it in one run, each at its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from adapters.soap.adapter import SoapCodec
from adapters.soap.catalogue import CATALOGUE, reader
from adapters.soap.codec.envelope import OperationCodec
from adapters.soap.codec.message import body_elements, header_elements
from adapters.soap.codec.reachable import reachable_types
from adapters.soap.codec.shape import shape_of
from adapters.soap.codec.shared import Shared
from adapters.soap.config import Exposed, Listen, SoapConfig
from adapters.soap.listen.front import SoapFront, outgoing_of
from adapters.soap.listen.outgoing import BODILESS
from adapters.soap.mapping import compile_assignments
from adapters.soap.paths import BadPath, resolve
from adapters.soap.schema.documents import BadWsdl, Finding
from adapters.soap.schema.model import Element, local_name
from adapters.soap.schema.schema import Schema
from adapters.soap.schema.service_model import Operation
from adapters.soap.trees import content_root, headers_root
from gateway.api.adapter import AdapterScope
from gateway.api.placeholder import PlaceholderError
from gateway.api.policy import Complaint

SHOWN = 50  # findings of one WSDL; a broken import can make hundreds
LOOKED_AT = 2000  # components; in a schema where all refers to all, the rest is not looked at for warnings


def check(config: SoapConfig, scope: AdapterScope) -> Iterator[Complaint]:
    """Compile the WSDL and everything that the route says about it."""
    try:
        shared = CATALOGUE.compiled(config.wsdl, scope.read_file, remote=config.remote)
    except OSError as exc:
        yield Complaint(("wsdl",), f"cannot read {config.wsdl}: {exc.strerror or exc}")
        return
    except BadWsdl as exc:
        yield from _shown(exc.findings)
        return
    yield from _shown(shared.wsdl.findings)
    if config.listen is not None:
        yield from _listening(config, config.listen, scope, shared)
        return
    assert config.operation is not None, "one of the two is there"
    try:
        _, operation = shared.wsdl.require(config.operation, service=config.service, port=config.port)
    except LookupError as exc:
        path = "operation" if "operation" in str(exc) else ("port" if config.port else "service")
        yield Complaint((path,), str(exc.args[0]))
        return
    mapped = list(_mapping(config, shared.wsdl.schema, operation))
    yield from mapped
    yield from _lossy(shared, operation)
    if not mapped and not shared.wsdl.findings.errors:
        yield from _built(config, scope, shared, operation)


def _shown(findings: Iterable[Finding]) -> Iterator[Complaint]:
    listed = list(findings)
    for finding in listed[:SHOWN]:
        yield Complaint(("wsdl",), f"{finding.place.file}:{finding.place.line}: {finding.message}", finding.level)
    if len(listed) > SHOWN:
        yield Complaint(("wsdl",), f"and {len(listed) - SHOWN} more findings in the WSDL", "warning")


def _mapping(config: SoapConfig, schema: Schema, operation: Operation) -> Iterator[Complaint]:
    request = content_root(body_elements(operation.input))
    yield from _lines("request", schema, request, config.request or {})
    yield from _lines("headers", schema, headers_root(header_elements(operation.input)), config.headers)
    if config.response.select is not None:
        if operation.output is None:
            yield Complaint(("response", "select"), "the operation is one-way: there is nothing to select from")
        else:
            try:
                resolve(schema, content_root(body_elements(operation.output)), config.response.select)
            except BadPath as exc:
                yield Complaint(("response", "select"), str(exc))
    yield from _codes(config)


def _lines(block: str, schema: Schema, root: Element, lines: Mapping[str, object]) -> Iterator[Complaint]:
    for path, value in lines.items():
        try:
            compile_assignments(schema, root, {path: value})
        except (BadPath, PlaceholderError) as exc:
            yield Complaint((block, path), str(exc))


def _lossy(shared: Shared, operation: Operation) -> Iterator[Complaint]:
    """Nothing is lost in silence: where JSON cannot keep the order of elements, ops are told."""
    if not shared.lossy:
        return
    schema = shared.wsdl.schema
    messages = [message for message in (operation.input, operation.output) if message is not None]
    roots = [element for message in messages for element in body_elements(message)]
    for kind in reachable_types(schema, roots, LOOKED_AT):
        keys = [] if kind.mixed or kind.content is None else shape_of(kind).lossy
        if keys:
            name = local_name(kind.name) or "a type"
            where = f"{kind.place.file}:{kind.place.line}: " if kind.place.file else ""
            message = f"{where}in {name} {', '.join(keys[:6])} repeat together; JSON does not keep their order among each other"
            yield Complaint(("operation",), message, "warning")


def _listening(config: SoapConfig, listen: Listen, scope: AdapterScope, shared: Shared) -> Iterator[Complaint]:
    """Each operation that SOAP clients may call, and how the upstream does it."""
    sound = True
    for name, settings in listen.operations.items():
        at = ("listen", "operations", name)
        try:
            outgoing_of(config, listen, shared, name)
        except LookupError as exc:
            yield Complaint(at, str(exc.args[0]))
        except PlaceholderError as exc:
            yield Complaint((*at, "query" if settings.query else "path"), str(exc))
        except BadPath as exc:
            yield Complaint(at, str(exc))
        except ValueError as exc:
            yield Complaint((*at, "path"), str(exc))
        else:
            _, operation = shared.wsdl.require(name, service=config.service, port=config.port)
            yield from _lossy(shared, operation)
            yield from _unused(at, settings, operation)
            continue
        sound = False
    yield from _codes(config)
    if sound and not shared.wsdl.findings.errors:
        try:
            SoapFront(config, listen, shared, reader(scope.read_file, config.remote), warm=0)
        except OSError as exc:
            yield Complaint(("wsdl",), f"cannot read {exc.filename or 'a file'}: {exc.strerror or exc}")


def _unused(at: tuple[str, ...], settings: Exposed, operation: Operation) -> Iterator[Complaint]:
    if settings.into is not None and operation.output is None:
        yield Complaint((*at, "into"), "the operation is one-way: it has no answer")
    if settings.select is not None and settings.method in BODILESS:
        yield Complaint((*at, "select"), f"a {settings.method} has no body to send it in")


def _codes(config: SoapConfig) -> Iterator[Complaint]:
    for code in config.faults:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.\-]*(?:/[A-Za-z_][A-Za-z0-9_.\-]*)*", code):
            yield Complaint(
                ("faults", code), "a fault code is written without its prefix, as in Client.NotFound or Sender/NotFound"
            )


def _built(config: SoapConfig, scope: AdapterScope, shared: Shared, operation: Operation) -> Iterator[Complaint]:
    """Files of the signature, the address: whatever only building shows."""
    port, _ = shared.wsdl.require(operation.name, service=config.service, port=config.port)
    try:
        SoapCodec(config, OperationCodec(shared.wsdl, operation, shared, warm=0), port, scope.read_file)
    except OSError as exc:
        yield Complaint(("security", "signature"), f"cannot read {exc.filename or 'a file'}: {exc.strerror or exc}")
    except ValueError as exc:
        words = {"address": ("address",), "soapAction": ("operation",)}
        path = next((path for word, path in words.items() if word in str(exc)), ("security", "signature"))
        yield Complaint(path, str(exc))
