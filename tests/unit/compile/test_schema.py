"""The JSON Schema: shipped as generated, and telling what the models tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.compile import compile_configuration
from gateway.compile.registry import Registry, installed
from gateway.compile.schema import configuration_schema

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "config" / "schema" / "sluicegate.schema.json"


def test_the_shipped_schema_is_the_generated_one() -> None:
    generated = configuration_schema(installed())
    assert orjson.loads(SHIPPED.read_bytes()) == orjson.loads(orjson.dumps(generated)), (
        "stale; run: sluicegate schema > config/schema/sluicegate.schema.json"
    )


def test_the_shipped_configuration_is_sound_and_names_the_schema() -> None:
    compiled = compile_configuration(ROOT / "config")
    assert compiled.findings == ()
    for path in [ROOT / "config" / "gateway.yaml", *(ROOT / "config" / "routes").glob("*.yaml")]:
        first = path.read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=")
        assert (path.parent / first.partition("$schema=")[2]).resolve() == SHIPPED


@pytest.fixture
def schema(specs: Registry) -> dict[str, Any]:
    return configuration_schema(specs)


def test_every_reference_within_leads_somewhere(schema: dict[str, Any]) -> None:
    def references(part: object) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [each for value in part.values() for each in references(value)]
        return [each for value in part for each in references(value)] if isinstance(part, list) else []

    found = references(schema)
    assert found
    assert {each.removeprefix("#/$defs/") for each in found} <= set(schema["$defs"])


def test_policies_stand_where_their_levels_say(schema: dict[str, Any]) -> None:
    definitions = schema["$defs"]
    assert "routed" in definitions["PoliciesOfRoute"]["properties"]
    assert "routed" not in definitions["PoliciesOfUpstream"]["properties"]
    assert "auth" in definitions["PoliciesOfDefaults"]["properties"]
    assert "auth" not in definitions["PoliciesOfGlobal"]["properties"]
    assert definitions["RouteConfig"]["properties"]["policies"]["$ref"] == "#/$defs/PoliciesOfRoute"
    assert list(definitions["Adapter"]["properties"]) == ["wrap"]


def test_a_repeatable_policy_takes_a_list_and_a_routes_policy_off(schema: dict[str, Any]) -> None:
    forms = schema["$defs"]["PoliciesOfRoute"]["properties"]["twice"]["anyOf"]
    assert [form.get("type") for form in forms] == [None, "array", None]
    assert forms[-1]["enum"] == ["off", False]


def test_fields_carry_their_text_their_default_with_its_unit_and_admit_references(schema: dict[str, Any]) -> None:
    total = schema["$defs"]["Drain"]["properties"]["timeout"]
    assert total["default"] == "30s"
    assert "calls in flight" in total["description"]
    assert [form["type"] for form in total["anyOf"]] == ["string", "string"]
    assert "env|file" in total["anyOf"][1]["pattern"]
    port = schema["$defs"]["Listen"]["properties"]["port"]
    assert port["anyOf"][0] == {"type": "integer", "minimum": 0, "maximum": 65535}


def test_shorthands_are_known(schema: dict[str, Any]) -> None:
    upstream = schema["$defs"]["UpstreamConfig"]["properties"]
    assert {"type": "string"} in upstream["targets"]["items"]["anyOf"]
    assert {"type": "string"} in upstream["timeout"]["anyOf"]
    assert {"enum": ["off", False]} in upstream["outlier"]["anyOf"]


def test_unknown_fields_are_refused_everywhere(schema: dict[str, Any]) -> None:
    assert schema["additionalProperties"] is False
    models = [each for each in schema["$defs"].values() if each.get("type") == "object" and "properties" in each]
    assert len(models) > 30
    assert all(each["additionalProperties"] is False for each in models)
