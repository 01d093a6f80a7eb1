"""A SOAP client that shares no code with us (zeep) calls the gateway by the WSDL that it serves; JSON answers. On both servers."""

from __future__ import annotations

import asyncio
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree

from gateway.compile.registry import installed
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.inprocess import Gateway
from gateway.testing.upstream import Peer, ScriptedUpstream
from tests.wire.plays import Server, plan_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    zeep = pytest.importorskip("zeep")

WSDLS = Path(__file__).parents[1] / "unit" / "adapters" / "soap" / "wsdl" / "orders"
LINE = {"@number": 1, "@gift": False, "Sku": "ABC-12", "Quantity": 2, "Price": "9.90", "Note": None}
ORDER = {"Customer": 7, "Placed": "2031-01-31T12:00:00", "Lines": {"Line": [LINE]}, "Tags": []}


def _answer(raw: bytes) -> bytes:
    """A JSON API of two resources."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if head.startswith(b"GET /orders/none "):
        return _http(b"404 Not Found", {"detail": "no such order"})
    if head.startswith(b"GET /orders/"):
        return _http(b"200 OK", {"order": [ORDER]})
    assert head.startswith(b"POST /orders ")
    order = json.loads(body)
    total = sum(line["Quantity"] for line in order["Lines"]["Line"])
    return _http(b"201 Created", {"number": f"for-{order['Customer']}", "total": total})


def _http(status: bytes, document: object) -> bytes:
    octets = json.dumps(document).encode()
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(octets)) + octets


async def _api(peer: Peer) -> None:
    while True:
        try:
            raw = await peer.request()
        except EOFError:
            return
        await peer.send(_answer(raw))


ROUTE = {
    "name": "soap",
    "match": {"method": ["GET", "POST"], "path": "/soap/orders"},
    "public": True,
    "upstream": "api",
    "policies": {"rate_limit": {"per": "ip", "rate": "1/h", "burst": 7}},
    "adapter": {
        "soap": {
            "wsdl": "wsdl/orders.wsdl",
            "faults": {"Client.NotFound": 404},
            "fault_detail": "pass",
            "listen": {
                "operations": {
                    "GetOrder": {"method": "GET", "path": "/orders/{body./number}"},
                    "SubmitOrder": {"path": "/orders", "select": "order"},
                }
            },
        }
    },
}


class Through:
    """What zeep wants of a transport, by the HTTP client that is here anyway."""

    def __init__(self) -> None:
        self.http = httpx.Client(timeout=10.0)

    def load(self, url: str) -> bytes:
        return self.http.get(url).raise_for_status().content

    def post_xml(self, address: str, envelope: Any, headers: Any) -> httpx.Response:
        return self.http.post(address, content=etree.tostring(envelope, xml_declaration=True), headers=headers)


def _talk(url: str) -> dict[str, Any]:
    """What a program of the old world does, in a thread of its own. Seven requests."""
    transport = Through()
    client = zeep.Client(f"{url}/soap/orders?wsdl", transport=transport)  # 1, and 3 imports
    heard: dict[str, Any] = {"address": client.service._binding_options["address"]}
    order = {
        "Customer": 7,
        "Placed": "2031-01-31T12:00:00",
        "Lines": {"Line": [{"number": 1, "Sku": "ABC-12", "Quantity": 2, "Price": "9.90", "Note": None}]},
    }
    heard["submitted"] = client.service.SubmitOrder(order=order)["body"]  # 5
    heard["got"] = client.bind("OrderService", "Orders12").GetOrder(number="A-1")  # 6
    for name in ("missing", "limited"):  # 7, and one too many
        try:
            client.service.GetOrder(number="none")
        except zeep.exceptions.Fault as fault:
            heard[name] = (fault.code, fault.message)
    transport.http.close()
    return heard


def test_zeep_calls_a_json_api_through_the_gateway(server: Server, tmp_path: Path) -> None:
    shutil.copytree(WSDLS, tmp_path / "wsdl")

    async def scene() -> dict[str, Any]:
        async with ScriptedUpstream(_api) as api:
            plan = plan_of(
                tmp_path,
                {
                    "version": 1,
                    "listen": {"host": "127.0.0.1", "port": 0},
                    "log": {"access": "off"},
                    "upstreams": {"api": {"targets": [api.url]}},
                    "routes": [ROUTE],
                },
            )
            async with Gateway(plan, WorkerPlane(installed()), server=server) as gateway:
                heard = await asyncio.to_thread(_talk, gateway.urls[0])
                assert heard["address"] == f"{gateway.urls[0]}/soap/orders"
                return heard

    heard = asyncio.run(scene())
    assert heard["submitted"]["number"] == "for-7"
    assert str(heard["submitted"]["total"]) == "2"
    assert json.loads(json.dumps(heard["got"][0]["Lines"]["Line"][0]["Sku"])) == "ABC-12"
    assert heard["missing"] == ("env:Client.NotFound", "no such order")
    assert heard["limited"][0] == "env:Client"
