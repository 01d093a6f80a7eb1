"""One route per operation, as YAML that a person reads, edits and owns from then on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from adapters.soap.address import target_of
from adapters.soap.codec.message import body_elements
from adapters.soap.codec.shape import shape_of
from adapters.soap.schema.model import ComplexType, SimpleType
from adapters.soap.schema.service_model import Operation, Port, Wsdl

_READING: Final = re.compile(
    r"(?:get|find|list|search|read|query|fetch|lookup|retrieve|count)(?=[A-Z0-9_]|$)", re.IGNORECASE
)
NOWHERE: Final = "http://backend.invalid:8080"
MAX_NAME: Final = 63  # they become metric labels and store keys


@dataclass(frozen=True, slots=True)
class ImportedRoute:
    name: str
    path: str
    upstream: str
    port: Port
    operation: Operation

    @property
    def reads(self) -> bool:
        """Whether it looks as if it changed nothing, and its input fits into a query. Only a person can know."""
        return _READING.match(self.operation.name) is not None and _simple_input(self.operation)


def imported_routes(wsdl: Wsdl) -> list[ImportedRoute]:
    """A route for every operation, at the first port that offers it."""
    routes: list[ImportedRoute] = []
    taken: set[str] = set()
    for port, operation in wsdl.operations():
        service = kebab(port.service) or "soap"
        upstream = _unique(service, set()) if not routes else _upstream(routes, port, service)
        name = _unique(f"{service}-{kebab(operation.name)}", taken)
        taken.add(name)
        routes.append(ImportedRoute(name, f"/{service}/{kebab(operation.name)}", upstream, port, operation))
    return routes


def _upstream(routes: list[ImportedRoute], port: Port, service: str) -> str:
    """One upstream per origin; services that live elsewhere get their own."""
    for route in routes:
        if origin(route.port.address) == origin(port.address):
            return route.upstream
    return _unique(service, {route.upstream for route in routes})


def routes_yaml(wsdl: Wsdl, routes: list[ImportedRoute], wsdl_path: str) -> str:
    return "".join(_lines(wsdl, routes, wsdl_path))


def _lines(wsdl: Wsdl, routes: list[ImportedRoute], wsdl_path: str) -> Iterator[str]:
    yield f"# Routes of {_comment(wsdl.name or wsdl_path)}, one per operation, written by `sluicegate import wsdl`. It is yours now.\n"
    yield "# Each needs an authenticator, here or in the defaults, or `public: true`.\n"
    yield "upstreams:\n"
    for upstream in dict.fromkeys(route.upstream for route in routes):
        address = next(route.port.address for route in routes if route.upstream == upstream)
        yield f"  {upstream}: {{targets: [{json.dumps(origin(address))}]}}\n"
    if not all(_callable(route.port.address) for route in routes):
        yield "# Where `address: /` stands the WSDL names no URL: set it to the path of the service, and `targets` to its host.\n"
    yield "routes:\n"
    for route in routes:
        if route.operation.doc:
            yield f"  # {_comment(route.operation.doc)}\n"
        yield from _route(route, wsdl_path, "  ", "POST", "")
        if route.reads:
            yield f"  # {route.operation.name} looks as if it changed nothing. If that is so, this may be retried and cached:\n"
            yield from _route(route, wsdl_path, "  # ", "GET", "-get")


def _route(route: ImportedRoute, wsdl_path: str, indent: str, method: str, suffix: str) -> Iterator[str]:
    first = wsdl_settings(route, wsdl_path) + (", safe: true" if suffix else "")
    yield f"{indent}- name: {route.name[: MAX_NAME - len(suffix)]}{suffix}\n"
    yield f"{indent}  match: {{method: {method}, path: {route.path}}}\n"
    yield f"{indent}  upstream: {route.upstream}\n"
    yield f"{indent}  adapter: {{soap: {{{first}}}}}\n"


def wsdl_settings(route: ImportedRoute, wsdl_path: str) -> str:
    named = f"wsdl: {json.dumps(wsdl_path)}, operation: {json.dumps(route.operation.name)}"
    return named if _callable(route.port.address) else f"{named}, address: /"


def _callable(address: str) -> bool:
    try:
        return bool(target_of(None, address))
    except ValueError:
        return False


def origin(address: str) -> str:
    """Scheme, host and port of a soap:address; a placeholder that says so where it has none."""
    try:
        parts = urlsplit(address)
    except ValueError:  # a bracket that is not closed
        return NOWHERE
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return NOWHERE
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def kebab(name: str) -> str:
    """GetHTTPStatus becomes get-http-status; the result is a name of the configuration, or empty."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name)
    return re.sub(r"[^a-z0-9]+", "-", spaced.lower()).strip("-")[:MAX_NAME].strip("-")


def _unique(name: str, taken: set[str]) -> str:
    name = name[:MAX_NAME].strip("-")
    number, made = 2, name
    while made in taken:
        made = f"{name[: MAX_NAME - 4]}-{number}"
        number += 1
    return made


def _comment(text: str) -> str:
    return re.sub(r"[^\x20-\x7e\xa0-\ufffd]+", " ", text)[:200]


def _simple_input(operation: Operation) -> bool:
    elements = body_elements(operation.input)
    if len(elements) != 1 or operation.input.headers:
        return False
    kind = elements[0].type
    if not isinstance(kind, ComplexType) or kind.text is not None or kind.mixed or kind.attributes:
        return False
    shape = shape_of(kind)
    return shape.plain and all(
        isinstance(member.element.type, SimpleType) and member.element.type.variety == "atomic"
        for member in shape.members.values()
    )
