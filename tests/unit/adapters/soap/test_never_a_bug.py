"""Whatever arrives from either side: it is sent, refused or a bad answer, never a failure of the gateway's own."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from .calls import answered, built, envelope, exchange_of, problem_of, refused, sent
from .strategies import Values
from .wsdls import FILES, FOLDER, body_of, echo, wsdl

OPERATIONS = [(file, operation.name) for file in FILES for _, operation in wsdl(file).operations()]
NAMES = sorted(
    {"$", "$any", "$headers", "@xsi:type", "{urn:x}y", "a", "Animal", "Dog"}
    | {
        str(node.get("name"))
        for file in FILES
        for node in etree.fromstring((FOLDER / file).read_bytes()).iter("{*}element")
        if node.get("name")
    }
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(NAMES),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)),
    max_leaves=12,
)


@pytest.mark.parametrize("unknown", ["reject", "drop"])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(operation=st.sampled_from(OPERATIONS), body=JSON)
def test_any_json_is_sent_or_refused(unknown: str, operation: tuple[str, str], body: Any) -> None:
    codec = built(wsdl=operation[0], operation=operation[1], unknown=unknown)
    octets = json.dumps(body).encode()
    exchange = exchange_of()
    try:
        encoded = sent(codec, octets, exchange)
    except Exception:
        assert refused(codec, octets)["status"] in (400, 422)
    else:
        assert body_of(encoded.body.decode()) is not None or operation[1] == "Ping"


@pytest.mark.parametrize("strict", [True, False])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.data(),
    operation=st.sampled_from([entry for entry in OPERATIONS if entry[1] != "Notify"]),
    seed=st.integers(0, 2**32),
)
def test_any_answer_is_read_or_bad(strict: bool, data: st.DataObject, operation: tuple[str, str], seed: int) -> None:
    service = wsdl(operation[0])
    found = service.require(operation[1])[1]
    mirror = echo(service, found, "output")
    encoded = mirror.operation.input.encoded
    value = data.draw(Values(service.schema, encoded=encoded).element(mirror.request[0]))
    body = body_of(mirror.encode(json.loads(json.dumps(value), parse_float=Decimal)))
    mangled = mangle(body, random.Random(seed))
    codec = built(wsdl=operation[0], operation=operation[1], strict_answers=strict)
    response = answered(codec, envelope(etree.tostring(mangled, encoding="unicode")))
    assert response.status in (200, 502)
    if response.status == 502:
        assert problem_of(response)["where"]


def mangle(root: etree._Element, chance: random.Random) -> etree._Element:
    """A few elements lost, doubled, renamed, moved, or given text and attributes they should not have."""
    for _ in range(chance.randint(0, 4)):
        nodes = list(root.iter())
        node = chance.choice(nodes)
        parent = node.getparent()
        match chance.randint(0, 7):
            case 0 if parent is not None:
                parent.remove(node)
            case 1 if parent is not None:
                parent.append(etree.fromstring(etree.tostring(node, with_tail=False)))
            case 2:
                node.tag = chance.choice(["x", "{urn:x}y", str(chance.choice(nodes).tag)])
            case 3:
                node.text = chance.choice(["", "text", "1", " ", "true", "9" * 30])
            case 4:
                node.set(
                    chance.choice(["a", "id", "href", "{http://www.w3.org/2001/XMLSchema-instance}type"]),
                    chance.choice(["x", "#x", "n0:Dog", "xs:int", "q:nope"]),
                )
            case 5:
                node.set("{http://www.w3.org/2001/XMLSchema-instance}nil", "true")
            case 6:
                etree.SubElement(node, chance.choice(["x", "{urn:example:other}Extra", str(chance.choice(nodes).tag)]))
            case _:
                node.tail = "tail"
    return root
