"""Every message of every WSDL: JSON by the schema, to an envelope, judged by libxml2, and back to the same JSON."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from adapters.soap.codec.answers import Answer
from adapters.soap.codec.errors import Misfit
from adapters.soap.codec.parsing import parse
from adapters.soap.description.json_schema import JsonSchemas
from gateway.http.exact_json import load_json

from .strategies import Values
from .wsdls import FILES, body_of, echo, judge, wsdl

CASES = [
    pytest.param(file, operation.name, direction, id=f"{file}-{operation.name}-{direction}")
    for file in FILES
    for _, operation in wsdl(file).operations()
    for direction in ("input", "output")
    if direction == "input" or operation.output is not None
]


@pytest.mark.parametrize(("file", "name", "direction"), CASES)
def test_json_to_envelope_and_back(file: str, name: str, direction: str) -> None:
    service = wsdl(file)
    _, operation = service.require(name)
    codec = echo(service, operation, direction)
    (element,) = codec.request
    encoded = codec.operation.input.encoded
    values = Values(service.schema, encoded=encoded).element(element)
    schema = None if encoded else judge(file)
    schemas = JsonSchemas(service.schema, "#/$defs/")
    described = {**schemas.message(codec.operation.input), "$defs": schemas.definitions}
    Draft202012Validator.check_schema(described)
    by_schema = Draft202012Validator(described)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(values)
    def check(value: Any) -> None:
        sent = load_json(json.dumps(value).encode())
        by_schema.validate(value)
        envelope = codec.encode(sent)
        if schema is not None and not schema.validate(body_of(envelope)):
            raise AssertionError(f"{schema.error_log}\n{envelope}\n{value}")
        answer = codec.decode(parse(envelope.encode()), Answer()).value
        assert orjson.loads(orjson.dumps(answer)) == json.loads(json.dumps(value)), envelope

    check()


@given(st.text(max_size=30))
def test_text_never_changes_what_surrounds_it(text: str) -> None:
    """Whatever a string holds, the envelope has the elements it had; characters XML cannot carry are refused."""
    service = wsdl("orders/orders.wsdl")
    codec = echo(service, service.require("GetOrder")[1])
    if any((ord(char) < 32 and char not in "\t\r\n") or char in "\ufffe\uffff" for char in text):
        with pytest.raises(Misfit) as refusal:
            codec.encode({"number": text})
        assert refusal.value.pointer == "/number"
    else:
        envelope = codec.encode({"number": text})
        assert [child.tag for child in body_of(envelope)] == ["{urn:example:orders:types}number"]
        assert codec.decode(parse(envelope.encode()), Answer()).value == {"number": text}
