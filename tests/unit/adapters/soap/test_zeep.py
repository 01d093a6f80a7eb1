"""An independent judge: what zeep writes is read here, and what is written here zeep reads, to the same values."""

from __future__ import annotations

import datetime
import json
import warnings
from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from adapters.soap.codec.answers import Answer
from adapters.soap.codec.parsing import parse
from gateway.http.exact_json import load_json

from .wsdls import FOLDER, body_of, echo, wsdl

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    zeep = pytest.importorskip("zeep")

LINE = {
    "number": 1,
    "gift": True,
    "Sku": "ABC-12",
    "Quantity": 2,
    "Price": Decimal("9.90"),
    "Note": None,
    "Discount": Decimal("0.5"),
}
ORDER = {
    "Customer": 7,
    "Placed": datetime.datetime(2031, 1, 31, 12, 0, 0),
    "Lines": {"Line": [LINE, LINE]},
    "Priority": "HIGH",
    "Tags": ["a", "b"],
    "Document": b"\x00\xff",
    "Weight": 1.5,
    "Express": False,
    "Address": {"Street": "Main <1>", "City": "Prague", "country": "CZ"},
}
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "orders/orders.wsdl",
        "SubmitOrder",
        {"order": ORDER},
        {
            "order": {
                "Customer": 7,
                "Placed": "2031-01-31T12:00:00",
                "Lines": {
                    "Line": [
                        {
                            "@number": 1,
                            "@gift": True,
                            "Sku": "ABC-12",
                            "Quantity": 2,
                            "Price": "9.90",
                            "Note": None,
                            "Discount": "0.5",
                        }
                    ]
                    * 2
                },
                "Priority": "HIGH",
                "Tags": ["a", "b"],
                "Document": "AP8=",
                "Weight": 1.5,
                "Express": False,
                "Address": {"@country": "CZ", "Street": "Main <1>", "City": "Prague"},
            }
        },
    ),
    ("rpc_literal.wsdl", "Add", {"a": 1, "b": Decimal("2.50")}, {"a": 1, "b": "2.50"}),
    (
        "rpc_literal.wsdl",
        "Draw",
        {"shape": {"name": "n", "points": {"Point": [{"x": 1, "y": 2}]}}, "labels": {"item": ["a", "b"]}},
        {"shape": {"name": "n", "points": {"Point": [{"x": 1, "y": 2}]}}, "labels": {"item": ["a", "b"]}},
    ),
    (
        "shapes.wsdl",
        "Choice",
        {"Id": 1, "Iban": "X", "Bic": "Y", "Mail": "m"},
        {"Id": 1, "Iban": "X", "Bic": "Y", "Mail": "m"},
    ),
]


@pytest.mark.parametrize(("file", "name", "values", "json_form"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_what_zeep_writes_is_read(file: str, name: str, values: dict[str, Any], json_form: dict[str, Any]) -> None:
    client = zeep.Client(str(FOLDER / file))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        message = client.create_message(client.service, name, **values)
    service = wsdl(file)
    codec = echo(service, service.require(name)[1])
    assert codec.decode(parse(etree.tostring(message)), Answer()).value == json_form


def test_what_is_written_zeep_reads() -> None:
    service = wsdl("orders/orders.wsdl")
    codec = echo(service, service.require("SubmitOrder")[1])
    body = body_of(codec.encode(load_json(json.dumps(CASES[0][3]).encode())))
    client = zeep.Client(str(FOLDER / "orders/orders.wsdl"))
    read = client.get_element("{urn:example:orders:types}SubmitOrder").parse(body, client.wsdl.types)
    order = zeep.helpers.serialize_object(read, dict)["order"]
    assert order["Placed"] == ORDER["Placed"]
    assert order["Address"]["Street"] == "Main <1>"
    assert [line["Price"] for line in order["Lines"]["Line"]] == [Decimal("9.90")] * 2
    assert order["Document"] == b"\x00\xff"
