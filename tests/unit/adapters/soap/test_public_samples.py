"""WSDLs and message pairs of other projects, where SLUICEGATE_TEST_DATA names a folder with them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from adapters.soap.codec.answers import Answer
from adapters.soap.codec.envelope import OperationCodec
from adapters.soap.codec.errors import Deviation
from adapters.soap.codec.parsing import parse
from adapters.soap.schema.service_model import Wsdl
from adapters.soap.schema.services import compile_wsdl
from gateway.http.exact_json import load_json

from .strategies import Values
from .wsdls import body_of, echo

pytestmark = pytest.mark.data
FOLDER = os.environ.get("SLUICEGATE_TEST_DATA")
if not FOLDER:
    pytest.skip("SLUICEGATE_TEST_DATA is not set: public WSDLs are not tested", allow_module_level=True)
DATA = Path(FOLDER) / "soap"
WSDLS = [(entry["id"], entry["root"]) for entry in json.loads((DATA / "wsdl" / "index.json").read_text())]
VECTORS = [
    (entry["id"], entry["operation"]) for entry in json.loads((DATA / "vectors" / "index.json").read_text())["cases"]
]
# what these samples lack, or ask against their own schema
BROKEN = {
    "import_port_types": "bydexchange.nbs-us.com",
    "login__attributes_in_request_should_be_handled": "platform.coreTypes.xsd",
    "RetrieveFareQuoteDateRange__should_handle_child_namespaces": "childxs0.wsdl",
    "GetSubscription__should_handle_ref_minOccurs_and_maxOccurs": "EVT:SubscribeResponse",
}


def compiled(path: Path) -> Wsdl:
    return compile_wsdl(path.name, lambda name: (path.parent / name).read_bytes())


@pytest.mark.parametrize(("name", "root"), WSDLS, ids=[name for name, _ in WSDLS])
def test_public_wsdls_compile_and_round_trip(name: str, root: str) -> None:
    service = compiled(DATA / "wsdl" / root)
    if name in BROKEN:
        assert any(BROKEN[name] in finding.message for finding in service.findings.errors)
        return
    assert not service.findings.errors
    for _, operation in service.operations():
        for direction in ("input", "output"):
            if direction == "output" and operation.output is None:
                continue
            codec = echo(service, operation, direction)
            if len(codec.request) == 1:
                _round_trip(codec, service)


def _round_trip(codec: OperationCodec, service: Wsdl) -> None:
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(Values(service.schema).element(codec.request[0]))
    def check(value: Any) -> None:
        envelope = codec.encode(load_json(json.dumps(value).encode()))
        answer = codec.decode(parse(envelope.encode()), Answer()).value
        assert answer == value or json.loads(json.dumps(value)) == answer

    check()


def test_the_samples_have_soap_headers_and_choices_of_port() -> None:
    service = compiled(DATA / "wsdl" / "zeep_soap_header" / "soap_header.wsdl")
    assert [part.name for part in service.require("GetLastTradePrice")[1].input.headers] == ["header", "token"]
    several = compiled(DATA / "wsdl" / "node_multiservice" / "multi-service.wsdl")
    assert several.require("sayBye")[0].name == "Bye_Port"


def normal(value: Any) -> Any:
    """Strings and nothing else: these samples' own JSON knows no types; `attributes` and `$value` are its own words."""
    if isinstance(value, dict):
        out = {}
        for key, inner in value.items():
            if key == "attributes":
                out |= {
                    f"@{name.rpartition(':')[2]}": str(text)
                    for name, text in inner.items()
                    if not name.startswith("xsi")
                }
            elif inner not in (None, [], [None]) and normal(inner) != {}:
                out["$" if key == "$value" else key] = normal(inner)
        return out["$"] if set(out) == {"$"} else out
    if isinstance(value, list):
        value = [entry for entry in value if entry is not None]
        if not value:
            return {}
        return normal(value[0]) if len(value) == 1 else [normal(entry) for entry in value]
    return str(value).strip().lower() if isinstance(value, bool) else str(value).strip()


@pytest.mark.parametrize(("name", "operation"), VECTORS, ids=[name for name, _ in VECTORS])
def test_sample_answers_are_read_to_the_same_values(name: str, operation: str) -> None:
    folder = DATA / "vectors" / name
    if not (folder / "response.json").exists() or not (folder / "response.xml").exists():
        pytest.skip("this sample has no answer")
    service = compiled(folder / "soap.wsdl")
    if name in BROKEN:
        assert any(BROKEN[name] in finding.message for finding in service.findings.errors)
        return
    codec = OperationCodec(service, service.require(operation)[1])
    answer = Answer(strict=False)
    root = parse((folder / "response.xml").read_bytes())
    try:
        value = json.loads(json.dumps(codec.decode(root, answer).value))
    except Deviation as deviation:
        # the sample answers with an element of another namespace than its own WSDL declares
        assert "is not the expected" in deviation.detail  # noqa: PT017  # which of the samples it is does not matter
        return
    wanted = normal(json.loads((folder / "response.json").read_text()))
    if wanted in ("None", {}) or "cdata_xml" in name or "multiCall" in name:
        return  # nothing in it, or text that node-soap parses a second time
    assert normal(value) == wanted


@pytest.mark.parametrize(("name", "operation"), VECTORS, ids=[name for name, _ in VECTORS])
def test_sample_requests_have_the_same_elements(name: str, operation: str) -> None:
    folder = DATA / "vectors" / name
    service = compiled(folder / "soap.wsdl")
    if name in BROKEN or "multiCall" in name or not (folder / "request.xml").exists():
        return
    codec = echo(service, service.require(operation)[1])
    answer = Answer(strict=False)
    try:
        value = codec.decode(parse((folder / "request.xml").read_bytes()), answer).value
    except Deviation:
        return  # a request that is not of its own WSDL
    if answer.overlooked:
        return
    envelope = codec.encode(value)
    sent, wanted = body_of(envelope), body_of((folder / "request.xml").read_text())
    shape = [(node.tag, (node.text or "").strip(), sorted(node.items())) for node in sent.iter()]
    assert shape == [(node.tag, (node.text or "").strip(), sorted(node.items())) for node in wanted.iter()]
