"""The JSON Schema of the whole configuration, with the policies and adapters of a registry. Checks no configuration.

Editors read it (`# yaml-language-server: $schema=`), so wherever a value may be interpolated the schema says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.api.adapter import AdapterSpec
from gateway.api.policy import Level, PolicySpec
from gateway.api.settings.document import Document
from gateway.api.settings.route import AuthConfig
from gateway.compile.decode.policies import AUTH
from gateway.compile.decode.units import IN_EVERY_FILE
from gateway.compile.registry import Registry

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = {"type": "string", "pattern": r"\$\{(env|file):", "description": "a reference: ${env:NAME}, ${file:PATH}"}
_OFF = {"enum": ["off", False], "description": "drops what is inherited"}

# Which mapping of policies each model holds.
_POLICIES_OF = {
    "RouteConfig": Level.ROUTE,
    "UpstreamConfig": Level.UPSTREAM,
    "Defaults": Level.DEFAULTS,
    "PoliciesEverywhere": Level.GLOBAL,
}


class _WithUnits(GenerateJsonSchema):
    """Defaults as ops write them: 2s, 1MiB, 50%. pydantic prints seconds and octets."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        inner: Any = schema["schema"]
        serialization: Any = inner.get("serialization") or {}
        default = schema.get("default")
        if "function" in serialization and isinstance(default, int | float) and not isinstance(default, bool):
            write: Callable[[Any], object] = serialization["function"]
            return {**self.generate_inner(inner), "default": write(default)}
        return super().default_schema(schema)


def configuration_schema(registry: Registry) -> dict[str, Any]:
    """One document for gateway.yaml and for the files under routes/: nothing in it is required at the top but by gateway.yaml."""
    schema = _schema_of(Document)
    definitions: dict[str, Any] = schema.pop("$defs")
    for level in Level:
        definitions[_policies_name(level)] = _policies(registry.policies.values(), level, definitions)
    definitions["Adapter"] = _adapters(registry.adapters.values(), definitions)
    for model, level in _POLICIES_OF.items():
        _put(definitions[model], "policies", _policies_name(level))
    _put(definitions["RouteConfig"], "adapter", "Adapter")
    upstream = definitions["UpstreamConfig"]["properties"]
    defaults = {name: {"anyOf": [each, _OFF]} for name, each in upstream.items() if name not in ("targets", "policies")}
    definitions["UpstreamDefaults"] = {"type": "object", "additionalProperties": False, "properties": defaults}
    _put(definitions["Defaults"], "upstream", "UpstreamDefaults")
    for definition in definitions.values():
        _admit_references(definition)
    for name, part in schema["properties"].items():
        if name != "version":
            _admit_references(part)
    required = schema.pop("required")
    properties = schema.pop("properties")
    in_every_file = {name: part for name, part in properties.items() if name in IN_EVERY_FILE}
    return {
        "$schema": DIALECT,
        "title": "Sluicegate configuration",
        "description": "gateway.yaml, and the files under routes/ beside it (which hold routes, upstreams and consumers).",
        "type": "object",
        "anyOf": [{"required": required}, {"properties": in_every_file, "additionalProperties": False}],
        "additionalProperties": False,
        "properties": properties,
        "$defs": dict(sorted(definitions.items())),
    }


def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    schema = TypeAdapter(model).json_schema(schema_generator=_WithUnits)
    _without_titles(schema)
    return schema


def _policies_name(level: Level) -> str:
    return f"PoliciesOf{level.value.capitalize()}"


def _policies(specs: Iterable[PolicySpec], level: Level, definitions: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for spec in specs:
        if level in spec.levels:
            block = _define(f"policy.{spec.name}", spec.config, definitions)
            forms: list[dict[str, Any]] = [block]
            if spec.repeatable:
                forms.append({"type": "array", "items": block, "minItems": 1})
            if level in (Level.ROUTE, Level.UPSTREAM):
                forms.append(_OFF)
            properties[spec.name] = {"anyOf": forms} if len(forms) > 1 else block
    if level in (Level.ROUTE, Level.DEFAULTS):
        properties[AUTH] = _define("auth", AuthConfig, definitions)
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _adapters(specs: Iterable[AdapterSpec], definitions: dict[str, Any]) -> dict[str, Any]:
    properties = {spec.name: _define(f"adapter.{spec.name}", spec.config, definitions) for spec in specs}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _define(name: str, model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """The model among the definitions, under a name of its own: two plugins may call their models alike."""
    if name not in definitions:
        schema = _schema_of(model)
        inner: dict[str, Any] = schema.pop("$defs", {})
        for each, definition in inner.items():
            definitions[f"{name}.{each}"] = _renamed(definition, name)
        definitions[name] = _renamed(schema, name)
    return {"$ref": f"#/$defs/{name}"}


def _renamed(schema: Any, prefix: str) -> Any:
    if isinstance(schema, dict):
        return {
            key: f"#/$defs/{prefix}.{value.removeprefix('#/$defs/')}" if key == "$ref" else _renamed(value, prefix)
            for key, value in schema.items()
        }
    return [_renamed(part, prefix) for part in schema] if isinstance(schema, list) else schema


def _put(definition: dict[str, Any], field: str, name: str) -> None:
    described = definition["properties"][field].get("description", "")
    definition["properties"][field] = {"$ref": f"#/$defs/{name}", "description": described}


def _without_titles(schema: Any) -> None:
    """pydantic's titles say what the names already say."""
    if isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for part in schema.values():
            _without_titles(part)
    elif isinstance(schema, list):
        for part in schema:
            _without_titles(part)


_SCALARS = ("integer", "number", "boolean")


def _admit_references(schema: Any) -> None:
    """A reference may stand wherever a number, a truth value or text of a certain form does."""
    if isinstance(schema, list):
        for part in schema:
            _admit_references(part)
    if not isinstance(schema, dict):
        return
    for key, part in schema.items():
        if key in ("properties", "patternProperties", "$defs") and isinstance(part, dict):
            for inner in part.values():
                _admit_references(inner)
        elif key in ("anyOf", "oneOf", "allOf", "items", "prefixItems", "additionalProperties"):
            _admit_references(part)
    if _is_formed(schema):
        constraints = {
            key: schema.pop(key) for key in list(schema) if key not in ("description", "default", "examples")
        }
        schema["anyOf"] = [constraints, _REFERENCE]


def _is_formed(schema: Mapping[str, Any]) -> bool:
    if schema.get("type") in _SCALARS:
        return True
    return schema.get("type") == "string" and ("pattern" in schema or "enum" in schema) and schema != _REFERENCE
