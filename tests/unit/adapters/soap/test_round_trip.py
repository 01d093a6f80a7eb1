"""Every message of every WSDL: JSON by the schema, to an envelope, judged by libxml2, and back to the same JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.soap.codec.json_text import load_json
from adapters.soap.codec.parsing import parse
from adapters.soap.codec.reading import Answer

from .strategies import Values
from .wsdls import FILES, body_of, echo, judge, wsdl

CASES = [
    pytest.param(file, operation.name, direction, id=f"{file}-{operation.name}-{direction}")
    for file in FILES
    for _, operation in wsdl(file).operations()
    for direction in ("input", "output")
    if direction == "input" or operation.output is not None
]


def all_elements(codec: Any) -> Iterator[Any]:
    yield from codec.request


@pytest.mark.parametrize(("file", "name", "direction"), CASES)
def test_json_to_envelope_and_back(file: str, name: str, direction: str) -> None:
    service = wsdl(file)
    _, operation = service.require(name)
    codec = echo(service, operation, direction)
    (element,) = codec.request
    encoded = codec.operation.input.encoded
    values = Values(service.schema, encoded=encoded).element(element)
    schema = None if encoded else judge(file)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(values)
    def check(value: Any) -> None:
        sent = load_json(json.dumps(value).encode())
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
    from adapters.soap.codec.errors import Misfit  # noqa: PLC0415

    try:
        envelope = codec.encode({"number": text})
    except Misfit as misfit:
        assert misfit.pointer == "/number"
        assert any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 or char in "\ufffe\uffff" for char in text)
    else:
        assert [child.tag for child in body_of(envelope)] == ["{urn:example:orders:types}number"]
        assert codec.decode(parse(envelope.encode()), Answer()).value == {"number": text}
