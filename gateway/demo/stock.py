"""A SOAP service for the demo, with wsdl/stock.wsdl as its description: how much of an item there is."""

from __future__ import annotations

from lxml import etree
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
STOCK = "urn:demo:stock"
ITEMS = {
    "penstock": (3, "1250.00", ("Delft", "Leiden")),
    "stop-log": (48, "89.90", ("Delft",)),
    "trash-rack": (0, "310.50", ()),
}
MAX_BODY = 64 * 1024


async def _answer(request: Request) -> Response:
    body = await request.body()
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        envelope = etree.fromstring(body[:MAX_BODY], parser)
    except etree.XMLSyntaxError:
        return _fault("Client", "this is not XML")
    item = envelope.findtext(f"{{{SOAP}}}Body/{{{STOCK}}}GetStock/{{{STOCK}}}Item")
    if item not in ITEMS:
        return _fault("Client.NotFound", "no such item")
    on_hand, price, sites = ITEMS[item]
    answer = etree.Element(f"{{{STOCK}}}GetStockResponse", nsmap={"stock": STOCK})
    for name, value in (("Item", item), ("OnHand", str(on_hand)), ("UnitPrice", price), *(("Site", s) for s in sites)):
        etree.SubElement(answer, f"{{{STOCK}}}{name}").text = value
    return _envelope(answer, 200)


def _fault(code: str, reason: str) -> Response:
    fault = etree.Element(f"{{{SOAP}}}Fault", nsmap={"soap": SOAP})
    etree.SubElement(fault, "faultcode").text = f"soap:{code}"
    etree.SubElement(fault, "faultstring").text = reason
    return _envelope(fault, 500)  # SOAP 1.1 §6.2: a fault is a 500, whoever is to blame


def _envelope(content: etree._Element, status: int) -> Response:
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP})
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(content)
    return Response(etree.tostring(envelope, xml_declaration=True, encoding="utf-8"), status, media_type="text/xml")


app = Starlette(routes=[Route("/soap", _answer, methods=["POST"])])
