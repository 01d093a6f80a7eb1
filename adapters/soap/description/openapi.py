"""An OpenAPI 3.1 document for the routes of a WSDL, for partners who must not need to know there is one."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.soap.description.json_schema import JsonSchemas
from adapters.soap.description.routes import ImportedRoute
from adapters.soap.description.simple_schema import Json
from adapters.soap.schema.model import local_name
from adapters.soap.schema.service_model import Wsdl

_PREFIX = "#/components/schemas/"
_PROBLEM: Json = {
    "type": "object",
    "description": "RFC 9457.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "pointer": {"type": "string", "description": "RFC 6901: the member of the request that does not fit."},
        "fault": {
            "type": "object",
            "properties": {"code": {"type": "string"}, "reason": {"type": "string"}, "detail": {"type": "object"}},
        },
    },
    "required": ["type", "title", "status", "code"],
}


def openapi(wsdl: Wsdl, routes: Iterable[ImportedRoute]) -> Json:
    """One POST per route, with the schemas of its messages."""
    schemas = JsonSchemas(wsdl.schema, _PREFIX)
    schemas.definitions["Problem"] = _PROBLEM
    paths: Json = {}
    for route in routes:
        operation = route.operation
        described: Json = {
            "operationId": route.name,
            "summary": operation.name,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": schemas.message(operation.input)}},
            },
            "responses": _responses(schemas, route),
        }
        if operation.doc:
            described["description"] = operation.doc
        paths[route.path] = {"post": described}
    title = wsdl.name or (wsdl.ports[0].service if wsdl.ports else "SOAP")
    info: Json = {"title": title, "version": "1"}
    if wsdl.doc:
        info["description"] = wsdl.doc
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas.definitions}}


def _responses(schemas: JsonSchemas, route: ImportedRoute) -> Json:
    operation = route.operation
    if operation.output is None:
        responses: Json = {"202": {"description": "Taken; there is no answer."}}
    else:
        content = {"application/json": {"schema": schemas.message(operation.output)}}
        responses = {"200": {"description": "The answer.", "content": content}}
    faults = [part.element for part in operation.faults if part.element is not None]
    problem: Json = {"$ref": _PREFIX + "Problem"}
    refused = problem
    if faults:
        detail = schemas.elements(tuple(faults))
        refused = {"allOf": [problem, {"properties": {"fault": {"properties": {"detail": detail}}}}]}
    names = ", ".join(local_name(element.name) for element in faults)
    for status, text, schema in (
        ("422", "The request does not fit, or the backend refused it" + (f" ({names})." if names else "."), refused),
        ("502", "The backend failed, or its answer does not fit its description.", refused),
        ("504", "The backend did not answer in time.", problem),
    ):
        responses[status] = {"description": text, "content": {"application/problem+json": {"schema": schema}}}
    return responses
